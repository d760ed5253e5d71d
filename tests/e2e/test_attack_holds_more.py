"""Whoever wants an approval to let on what nobody approved, or to be given by whom it may not be."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from harness.approver import until
from harness.expect import eventually
from harness.holding import JSON_TYPE, Beside, Holding, MakeHolding, approvals, nothing_arrived, problem
from harness.rules import gateway_yaml
from lockgate.cli.main import main

AT_ONCE = "Prefer: respond-async"
BODY = b'{"amount": 900}'


# Approved as one thing, sent as another


@pytest.mark.parametrize(
    ("fields", "body", "others", "other_body"),
    [
        pytest.param(
            ("X-Account: mine", "X-Account: theirs"), BODY, ("X-Account: theirs", "X-Account: mine"), BODY, id="order"
        ),
        pytest.param((), BODY, ("Prefer: resolution=merge-duplicates",), BODY, id="prefer"),
        pytest.param((), BODY, ("Prefer: respond-async; x=1, handling=lenient",), BODY, id="prefer-among-others"),
        pytest.param(
            (),
            b'{"jsonrpc": "2.0", "id": "mine", "amount": 900}',
            (),
            b'{"jsonrpc": "2.0", "id": "theirs", "amount": 900}',
            id="an-id-that-numbers-no-call",
        ),
    ],
)
def test_an_approval_is_for_no_other_reading(
    holding: Holding,
    request: pytest.FixtureRequest,
    fields: tuple[str, ...],
    body: bytes,
    others: tuple[str, ...],
    other_body: bytes,
) -> None:
    token = holding.agent(request.node.name)
    told = problem(holding.gateway.ask("POST", "/open/json", token, JSON_TYPE, AT_ONCE, *fields, body=body), 202)
    holding.approver().approve(told["approval_id"])
    seen = holding.target.watch()
    reply = holding.gateway.ask("POST", "/open/json", token, JSON_TYPE, AT_ONCE, *others, body=other_body)
    assert reply.status == 202
    assert nothing_arrived(seen)


REDACTED = """\
role: support
rules:
  - id: form
    hold: POST crm /open/{what}
    redact_request: [$.card, query.pin]
  - id: raw
    hold: PUT crm /open/{what}
  - id: at-all
    allow: POST|PUT crm /open/other
"""


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("application/x-www-form-urlencoded", b"to=thief&amount=900", id="a-form"),
        pytest.param("text/plain", b"to=thief", id="a-text"),
        pytest.param("application/json", b'{"to": "thief", "to": "me"}', id="json-of-two-readings"),
    ],
)
def test_nobody_approves_what_cannot_be_shown(make_holding: MakeHolding, kind: str, body: bytes) -> None:
    here = make_holding(files={"roles/support.yaml": REDACTED})
    seen, token = here.target.watch(), here.agent("hides")
    reply = here.gateway.ask("POST", "/open/json", token, f"Content-Type: {kind}", AT_ONCE, body=body)
    if reply.status == 202:
        shown = here.approver().one(problem(reply, 202)["approval_id"])["shown"]
        assert "thief" in json.dumps(shown), shown
    assert reply.status in (400, 403, 415)
    assert nothing_arrived(seen)


# Approved by whom it may not be


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"act": {"sub": ["bob", "anna"]}}, id="a-list"),
        pytest.param({"act": {"sub": [["anna"]]}}, id="a-list-within-a-list"),
    ],
)
def test_whom_a_token_names_among_others(holding: Holding, claims: dict[str, Any], beside: Beside) -> None:
    told = problem(holding.send(holding.agent("shapes", **claims), "/open/json", 900, AT_ONCE), 202)
    anna = holding.approver("finance", subject="anna")
    assert anna.say(told["approval_id"], "approve").status_code == 403
    holding.approver().deny(told["approval_id"])


def test_a_number_names_somebody_too(holding: Holding) -> None:
    told = problem(holding.send(holding.agent("numbers", act={"sub": 42}), "/open/json", 900, AT_ONCE), 202)
    assert holding.approver("finance", subject="42").say(told["approval_id"], "approve").status_code == 403


@pytest.mark.parametrize("named", [{"name": "anna"}, True, ["bob", {"sub": "anna"}]])
def test_whoever_is_named_in_no_known_way(holding: Holding, named: Any) -> None:
    seen = holding.target.watch()
    problem(holding.send(holding.agent("unknown", act={"sub": named}), "/open/json", 900, AT_ONCE), 403)
    assert nothing_arrived(seen)


def test_of_one_agent_each_has_their_own_approvals(holding: Holding) -> None:
    """An agent works for several persons: what one of them approves for another is not theirs to use."""
    for_bob, for_anna = (holding.agent("shared", act={"sub": name}) for name in ("bob", "anna"))
    told = problem(holding.send(for_bob, "/open/json", 900, AT_ONCE), 202)
    holding.approver("finance", subject="anna").approve(told["approval_id"], grant="1h")
    seen = holding.target.watch()
    assert holding.send(for_anna, "/open/json", 900, AT_ONCE).status == 202  # the same request
    assert holding.send(for_anna, "/open/json", 901, AT_ONCE).status == 202  # the grant
    assert nothing_arrived(seen)
    assert holding.send(for_bob, "/open/json", 902).status == 200


# When what decides changes


def reload(here: Holding, files: dict[str, str]) -> None:
    before = here.gateway.output.count("Rules reloaded")
    here.gateway.write_rules(files)
    assert here.gateway.process is not None
    here.gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: here.gateway.output.count("Rules reloaded") > before, here.gateway.output)


def test_what_was_approved_by_tokens_that_approve_no_more(make_holding: MakeHolding) -> None:
    here = make_holding()
    token = here.agent("later")
    told = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"], grant="1h")
    reload(here, {"gateway.yaml": gateway_yaml() + approvals(here.port, ", audience: others-approve")})
    seen = here.target.watch()
    assert here.send(token, "/open/json", 900, AT_ONCE).status == 202
    assert here.send(token, "/open/json", 901, AT_ONCE).status == 202  # nor is the grant
    assert nothing_arrived(seen)


def test_an_approver_is_revoked_after_they_approved(
    make_holding: MakeHolding, capsys: pytest.CaptureFixture[str]
) -> None:
    here = make_holding()
    token = here.agent("later")
    told = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"], grant="1h")
    assert main(["revoke", "--state", str(here.gateway.state), "--subject", "fiona", "--json"]) == 0
    capsys.readouterr()
    felix, seen = here.approver(subject="felix"), here.target.watch()
    until(lambda: felix.one(told["approval_id"])["state"] == "cancelled", "it is cancelled")
    until(lambda: felix.ask("GET", "/api/grants").json() == {"grants": []}, "the grant has ended")
    assert here.send(token, "/open/json", 900, AT_ONCE).status == 202
    assert here.send(token, "/open/json", 901, AT_ONCE).status == 202
    assert nothing_arrived(seen)


def test_two_that_are_decided_otherwise_do_not_take_turns(make_holding: MakeHolding, beside: Beside) -> None:
    """The same request with claims that a rule reads: else each has the other asked for anew while both wait."""
    guard = "rules:\n  - {id: prod, hold: POST crm /open/json, when: 'principal.claims.env == \"prod\"'}\n"
    here = make_holding(files={"guardrails.yaml": guard})
    seen = here.target.watch()
    sent = beside(here.send, here.agent("turns", env="test"))
    here.held("turns")
    told = problem(here.send(here.agent("turns", env="prod"), "/open/json", 900, AT_ONCE), 202)
    assert problem(sent.result(), 409)["detail"].startswith("This is held anew")
    assert len(here.approver().all("all")) == 2
    assert [each["id"] for each in here.held("turns")] == [told["approval_id"]]
    assert nothing_arrived(seen)
