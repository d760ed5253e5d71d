"""`lockgate approvals` with a whole gateway: what a person looks at there is what is sent, and nothing before."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from harness.answers import CRM_TOKEN
from harness.holding import JSON_TYPE, Beside, Holding, nothing_arrived
from lockgate.cli.main import main


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(holding: Holding, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `lockgate approvals ...` as somebody of finance."""
    fiona = holding.approver("finance")
    monkeypatch.setenv("LOCKGATE_TOKEN", fiona.token)
    monkeypatch.delenv("LOCKGATE_URL", raising=False)

    def ran(command: str, *arguments: str) -> Ended:
        capsys.readouterr()
        rules = [] if command == "request" else ["--rules", str(holding.gateway.rules)]
        return Ended(main(["approvals", command, *rules, *arguments]), *capsys.readouterr())

    return ran


def test_what_is_shown_and_approved_is_what_is_sent(holding: Holding, run: Run, beside: Beside) -> None:
    seen, token = holding.target.watch(), holding.agent("shown")
    body = '{"amount": 900, "note": "\u202egpj.exe\x7f\u200b"}'.encode()
    sent = beside(holding.gateway.ask, "POST", "/open/json?a=%20b", token, JSON_TYPE, body=body)
    (held,) = holding.held("shown")
    assert "  shown  POST crm /open/json  support/big" in run("list").out
    shown = run("show", held["id"])
    for told in (
        "POST https://api.crm.example",
        "/open/json?a=%20b",
        '|   "amount": 900,',
        "\\u202egpj.exe\\x7f\\u200b",
        "Refunds above 500 need finance.",
    ):
        assert told in shown.out
    assert not set("\x1b\u202e\x7f\u200b") & set(shown.out)
    for secret in (token, token.rpartition(".")[2], CRM_TOKEN):
        assert secret not in shown.out + run("show", held["id"], "--json").out
    assert run("approve", held["id"]).code == 2  # nobody has looked at it
    assert run("approve", held["id"], "--digest", "0" * 64).code == 1
    assert nothing_arrived(seen)
    digest = json.loads(run("show", held["id"], "--json").out)["digest"]
    approved = run("approve", held["id"], "--digest", digest)
    assert (approved.code, approved.out) == (0, f"Approved {held['id']}: POST crm /open/json.\n")
    assert sent.result().status == 200
    assert seen.plain.count(body) == 1


def test_what_is_denied_is_not_sent(holding: Holding, run: Run, beside: Beside) -> None:
    seen = holding.target.watch()
    sent = beside(holding.send, holding.agent("denied"))
    (held,) = holding.held("denied")
    assert run("deny", held["id"], "--yes", "--reason", "not this one").code == 0
    assert (sent.result().status, b"not this one" in sent.result().body) == (403, True)
    assert nothing_arrived(seen)
    late = run("approve", held["id"], "--yes")
    assert (late.code, "It is denied" in late.err) == (1, True)


def test_a_grant_is_asked_for_ahead_and_taken_back(
    holding: Holding, run: Run, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, token = holding.target.watch(), holding.agent("ahead")
    monkeypatch.setenv("HTTPS_PROXY", f"http://agent:{token}@127.0.0.1:{holding.gateway.port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(holding.gateway.confdir / "mitmproxy-ca-cert.pem"))
    wanted = ("--rule", "support/big", "--target", "crm", "--reason", "month's end")
    refused = run("request", *wanted, "--for", "2h")
    assert (refused.code, "3600 seconds at most" in refused.err) == (2, True)
    waiting = beside(main, ["approvals", "request", *wanted, "--for", "10m", "--wait"])
    (held,) = holding.held("ahead")
    assert "| month's end" in run("show", held["id"]).out
    assert nothing_arrived(seen)
    assert run("approve", held["id"], "--yes").code == 0
    assert waiting.result() == 0
    assert holding.send(token).status == 200
    assert b'"amount": 900' in seen.plain
    (grant,) = [each for each in grants(run) if each["subject"] == "ahead"]
    assert grant["uses"] == 1
    assert run("end-grant", "--reason", "over", "--", grant["id"]).code == 0
    seen = holding.target.watch()
    sent = beside(holding.send, token)
    (held,) = holding.held("ahead")
    assert nothing_arrived(seen)
    assert run("deny", held["id"], "--yes").code == 0
    assert sent.result().status == 403


def grants(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("grants", "--json").out)
    return found
