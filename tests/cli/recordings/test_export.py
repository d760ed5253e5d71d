from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from lockgate.recordings import trust
from lockgate.recordings.files import in_order

Invoke = Callable[..., Result]


@pytest.mark.parametrize("kind", ["har", "ocsf", "csv"])
def test_an_export_verifies(directory: Path, invoke: Invoke, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "out"
    result = invoke("export", "--format", kind, "-o", file)
    assert result.exit_code == 0, result.output
    assert result.stderr == "4 requests of records 1 to 6; not signed: no key is at hand; give --state\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert invoke("export", "--format", kind).stdout_bytes.splitlines()[:-1] == file.read_bytes().splitlines()[:-1]
    assert invoke("verify", "--export", file).exit_code == 0


def test_filters_go_into_the_manifest(directory: Path, invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "out"
    asked = [
        "--role",
        "billing",
        "--status",
        "4xx",
        "--since",
        "2023-11-14",
        "--redact",
        "$.a",
        "--redact",
        "header:X-A",
    ]
    assert invoke("export", "--format", "ocsf", *asked, "--no-bodies", "-o", file).exit_code == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["metadata"].get("uid") for line in lines] == ["req-3", "req-4", None]
    manifest = lines[-1]["unmapped"]["lockgate_export"]
    assert manifest["filters"] == {"since": "2023-11-14T00:00:00+00:00", "role": "billing", "status": "4xx"}
    assert (manifest["redact"], manifest["bodies"], manifest["entries"]) == (["$.a", "header:X-A"], False, 2)
    assert invoke("verify", "--export", file).exit_code == 0


def test_it_is_signed_where_the_key_is(directory: Path, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    trust.signer(tmp_path / "state")
    result = invoke("export", "--format", "har", "--state", tmp_path / "state")
    assert result.stderr.endswith("; signed\n")
    assert "signature" in json.loads(result.stdout)["log"]["_lockgate"]
    missing = invoke("export", "--format", "har", "--state", tmp_path / "none")
    assert missing.exit_code == 1
    assert "has no signing key" in missing.output


def test_a_record_that_was_altered_is_not_passed_on(directory: Path, invoke: Invoke) -> None:
    [path] = in_order(directory)
    path.write_bytes(path.read_bytes().replace(b"/v1/req-2", b"/v1/req-9", 1))
    result = invoke("export", "--format", "csv")
    assert result.exit_code == 1
    assert "req-2" not in result.stdout
    assert "is not as it was written" in result.stderr


@pytest.mark.parametrize("what", ["amount", "header:", "cookie:a", "$[?(@.a)]"])
def test_what_names_nothing_is_wrong_use(directory: Path, invoke: Invoke, what: str) -> None:
    assert invoke("export", "--format", "har", "--redact", what).exit_code == 2


def test_a_file_that_cannot_be_written(directory: Path, invoke: Invoke, tmp_path: Path) -> None:
    result = invoke("export", "--format", "har", "-o", tmp_path / "none" / "out")
    assert result.exit_code == 1
    assert "No such file or directory" in result.output
