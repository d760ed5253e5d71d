from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockgate.cli.main import main


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "gateway.yaml").write_text("issuers:\n  - dev: true\n")
    (tmp_path / "targets.yaml").write_text("targets:\n  crm: {url: https://api.crm.example}\n")
    return tmp_path


def test_good_rules(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(rules)]) == 0
    assert capsys.readouterr().out.startswith("ok: generation ")


def test_every_error_with_its_place(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rules / "gateway.yaml").write_text("issuer:\n  - dev: true\n")
    (rules / "targets.yaml").write_text("targets:\n  crm: {url: ftp://api.crm.example}\n")
    assert main(["check", str(rules)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"{rules}/gateway.yaml:1:1: ") for line in lines)
    assert any(line.startswith(f"{rules}/targets.yaml:2:14: ") for line in lines)


def test_json(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(rules), "--json"]) == 0
    good = json.loads(capsys.readouterr().out)
    assert len(good["generation"]) == 64
    assert good["problems"] == []
    (rules / "targets.yaml").write_text("targets: []\n")
    assert main(["check", str(rules), "--json"]) == 1
    bad = json.loads(capsys.readouterr().out)
    assert bad["generation"] is None
    assert bad["problems"][0].keys() == {"file", "line", "column", "message"}


def test_a_directory_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none")]) == 1
    assert "no directory" in capsys.readouterr().out
