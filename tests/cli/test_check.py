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
    out = capsys.readouterr().out
    assert out.startswith("ok: generation ")
    assert out.endswith(", 0 roles, 0 rules, 1 target\n")


def test_rules_that_have_expired_are_noted(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rules / "roles").mkdir()
    (rules / "roles" / "support.yaml").write_text(
        "role: support\nrules:\n"
        "  - id: old\n    allow: GET crm /a\n    expires: 2020-01-31T12:00:00+01:00\n"
        "  - id: new\n    allow: GET crm /b\n    expires: 9020-01-31\n"
    )
    assert main(["check", str(rules)]) == 0
    first, *notes = capsys.readouterr().out.splitlines()
    message = "support/old expired at 2020-01-31T11:00:00Z, and counts as not there: leave it out, or move expires"
    assert first.endswith(", 1 role, 2 rules, 1 target")
    assert notes == [f"note: {rules}/roles/support.yaml:3: {message}"]
    assert main(["check", str(rules), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["roles"], found["rules"], found["targets"]) == (1, 2, 1)
    assert found["notes"] == [{"file": "roles/support.yaml", "line": 3, "message": message}]


def test_what_a_guardrail_denies_whole_is_noted(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rules / "roles").mkdir()
    (rules / "roles" / "support.yaml").write_text("role: support\nrules:\n  - {id: a, allow: GET crm /a}\n")
    (rules / "guardrails.yaml").write_text("rules:\n  - {id: stop, deny: any crm}\n")
    assert main(["check", str(rules)]) == 0
    _, note = capsys.readouterr().out.splitlines()
    assert note.startswith(f"note: {rules}/roles/support.yaml:3: never counts: denied whole by guardrails/stop")


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
