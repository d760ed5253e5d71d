from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockgate.cli.main import main
from lockgate.policy.json_schema import written_out


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(written_out())
    return path


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert printed == written_out()
    assert json.loads(printed)["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_a_current_file(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--check", str(shipped)]) == 0
    assert capsys.readouterr().out == ""


def test_a_stale_file(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped.write_text(shipped.read_text().replace("Lockgate", "lockgate", 1))
    assert main(["schema", "--check", str(shipped)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"`lockgate schema > {shipped}`")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert main(["schema", "--check", str(tmp_path / "none")]) == 2
