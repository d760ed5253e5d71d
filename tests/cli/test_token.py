from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

import pytest

from lockgate.cli.main import main
from lockgate.errors import TokenRejected
from lockgate.identity.dev import key_path
from lockgate.identity.jwt import Verifier
from lockgate.policy.load import load

DEV = "issuers:\n  - dev: true\n"
OTHER = (
    "issuers:\n  - issuer: https://login.example\n    audience: lockgate\n    algorithms: [RS256]\n"
    "    roles: $.roles[*]\n    jwks_file: jwks.json\n"
)


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """A rules directory that trusts the development issuer, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    rules = tmp_path / "rules"
    (rules / "roles").mkdir(parents=True)
    (rules / "gateway.yaml").write_text(DEV)
    (rules / "targets.yaml").write_text("targets:\n  crm: {url: https://api.crm.example}\n")
    (rules / "roles" / "support.yaml").write_text("role: support\nrules:\n  - id: read\n    allow: GET crm /v1/**\n")
    return rules


@pytest.fixture
def run(capsys):
    def run(*arguments: str):
        code = main(["token", *arguments])
        return code, *capsys.readouterr()

    return run


def test_the_gateway_takes_the_token(run, rules):
    code, output, errors = run("--role", "support", "--role", "reader", "--subject", "me", "--ttl", "15m")
    assert (code, errors) == (0, "")
    assert output.endswith("\n")
    verifier = Verifier(load(rules).gateway.issuers, rules.parent / ".lockgate")
    principal = verifier.verify(output.strip(), time.time(), True)
    assert (principal.subject, principal.roles) == ("me", ("support", "reader"))
    assert 890 < principal.claims["exp"] - time.time() <= 900


def test_rules_and_state_elsewhere(run, rules, tmp_path):
    moved = rules.rename(tmp_path / "other-rules")
    code, output, _ = run("--role", "x", "--rules", str(moved), "--state", str(tmp_path / "other-state"))
    assert (code, output.count(".")) == (0, 2)
    assert key_path(tmp_path / "other-state").exists()
    assert not (tmp_path / ".lockgate").exists()


def test_json(run, rules):
    code, output, _ = run("--role", "support", "--json")
    document = json.loads(output)
    assert code == 0
    assert document.pop("token").count(".") == 2
    assert abs(document.pop("expires_at") - time.time() - 3600) < 10
    assert document == {"issuer": "lockgate-dev", "subject": "dev", "roles": ["support"]}


def test_an_approver_s_token_is_not_an_agent_s(run, rules):
    (rules / "gateway.yaml").write_text(f"{DEV}approvals: {{dev: true, audience: persons}}\n")
    code, output, _ = run("--approver", "--role", "finance", "--subject", "ada")
    assert code == 0
    (issuer,) = load(rules).gateway.issuers
    for_approvals = Verifier([replace(issuer, audience="persons")], rules.parent / ".lockgate")
    assert for_approvals.verify(output.strip(), time.time(), True).subject == "ada"
    for_agents = Verifier([issuer], rules.parent / ".lockgate")
    with pytest.raises(TokenRejected):
        for_agents.verify(output.strip(), time.time(), True)


def test_an_approver_s_token_needs_rules_that_take_it(run, rules):
    code, output, errors = run("--approver", "--role", "finance")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert "add `dev: true` under `approvals:`" in errors
    assert not (rules.parent / ".lockgate").exists()


def test_a_terminal_gets_a_note(run, rules, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, output, errors = run("--role", "support", "--ttl", "30s")
    assert (code, output.count("\n"), errors.count("\n")) == (0, 1, 1)
    assert "30 seconds" in errors
    assert output.strip() not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--role", "x", "--ttl", "1"], "write 30s", id="no-unit"),
        pytest.param(["--role", "x", "--ttl", "0s"], "write 30s", id="zero"),
        pytest.param(["--role", "x", "--ttl", "-1h"], "write 30s", id="negative"),
        pytest.param(["--role", "x", "--ttl", "1.5h"], "write 30s", id="fraction"),
        pytest.param(["--role", "x", "--ttl", "1w"], "write 30s", id="unknown-unit"),
        pytest.param(["--role", "x", "--ttl", "31d"], "longer than 30d", id="too-long"),
        pytest.param(["--role", ""], "empty", id="empty-role"),
        pytest.param(["--role", "x", "--subject", ""], "empty", id="empty-subject"),
        pytest.param(["--role", "x", "more"], "unexpected extra argument", id="extra"),
        pytest.param([], "--role", id="no-role"),
    ],
)
def test_wrong_use(run, rules, arguments, message):
    code, output, errors = run(*arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert message in errors
    assert not (rules.parent / ".lockgate").exists()


def test_rules_without_the_development_issuer(run, rules):
    (rules / "gateway.yaml").write_text(OTHER)
    (rules / "jwks.json").write_text('{"keys": []}')
    code, output, errors = run("--role", "support")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert "gateway.yaml has no development issuer; add `- dev: true`" in errors
    assert not (rules.parent / ".lockgate").exists()


def test_no_rules(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, output, errors = run("--role", "support")
    assert (code, output) == (2, "")
    assert "rules" in errors


def test_a_key_open_to_others(run, rules):
    run("--role", "support")
    key_path(rules.parent / ".lockgate").chmod(0o644)
    code, output, errors = run("--role", "support")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert "chmod 0600" in errors
