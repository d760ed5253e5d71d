"""`lockgate doctor`: what it prints, and its exit code. With a running gateway it is in tests/e2e/test_doctor.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lockgate = Callable[..., Any]
NOWHERE = ("--gateway", "127.0.0.1:1")


@pytest.fixture
def good_rules(tmp_path: Path) -> Path:
    rules = tmp_path / "rules"
    rules.mkdir(mode=0o755)
    (rules / "gateway.yaml").write_text(f"issuers: [{{dev: true}}]\nstate: {tmp_path / 'state'}\n")
    target = "{url: http://wiki.example, connect: '127.0.0.1:1', private: true}"
    (rules / "targets.yaml").write_text(f"targets: {{wiki: {target}}}\n")
    return rules


def test_each_finding_has_its_remedy(lockgate: Lockgate, good_rules: Path) -> None:
    ended = lockgate("doctor", "--rules", good_rules, "--ca", good_rules / "none.pem", *NOWHERE)
    assert ended.code == 1
    lines = ended.out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("wrong  gateway's CA:"))
    assert "Start the gateway once" in lines[place + 1]


def test_as_json(lockgate: Lockgate, good_rules: Path) -> None:
    ended = lockgate("doctor", "--rules", good_rules, "--ca", good_rules / "none.pem", *NOWHERE, "--json")
    findings = json.loads(ended.out)
    assert all(finding.keys() == {"level", "subject", "detail", "remedy"} for finding in findings)
    assert {finding["subject"] for finding in findings} >= {"python", "mitmproxy", "rules", "state", "clock"}


def test_rules_with_errors_end_it_there(lockgate: Lockgate, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("issuer: x\n")
    ended = lockgate("doctor", "--rules", tmp_path)
    assert ended.code == 1
    assert "gateway.yaml:1:1" in ended.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--role", "a", "--token-file", "b"], "is enough", id="two tokens"),
        pytest.param(["--role", "a"], "needs the development issuer", id="no development issuer"),
    ],
)
def test_wrong_use(lockgate: Lockgate, good_rules: Path, arguments: list[str], said: str) -> None:
    (good_rules / "gateway.yaml").write_text(
        "issuers: [{issuer: i, audience: a, algorithms: [RS256], roles: $.roles, jwks_file: jwks.json}]\n"
    )
    ended = lockgate("doctor", "--rules", good_rules, *NOWHERE, *arguments)
    assert ended.code == 2
    assert said in ended.err
