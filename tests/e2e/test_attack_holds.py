"""Whoever wants a held request to go on without the persons whose decision it is; whoever wants it twice."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.approver import AUDIENCE, until
from harness.expect import eventually
from harness.gateway import Gateway, free_port
from harness.holding import JSON_TYPE, ROLE, Beside, Holding, MakeHolding, nothing_arrived, problem
from harness.rules import PLAIN, targets_yaml
from lockgate.cli.main import main

PASSWORD = "look-only"
XSRF = {"cookie": "_mitmproxy_xsrf=x", "x-xsrftoken": "x"}
MASKED = "max_grant: 1h\n    mask: {$..ssn: redact}"
DENIED = "  - {id: none, deny: POST crm /open/json}"
AT_ONCE = "Prefer: respond-async"


# Whose decision it is


def test_agents_and_approvers_have_different_tokens(holding: Holding) -> None:
    """An agent's token opens no approval, an approver's no target."""
    agent = holding.agent("fiona")
    reply = httpx.get(
        f"http://127.0.0.1:{holding.port}/api/approvals", headers={"Authorization": f"Bearer {agent}"}, trust_env=False
    )
    assert reply.status_code == 401
    opened, refused = holding.gateway.connect(holding.approver("support").token)
    with opened:
        assert refused.status == 407


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": int(time.time()) - 60}, id="expired"),
        pytest.param({"aud": [AUDIENCE + "-other"]}, id="another-audience"),
        pytest.param({"iss": "https://evil.example"}, id="another-issuer"),
    ],
)
def test_a_token_that_is_none(holding: Holding, claims: dict[str, Any]) -> None:
    someone = holding.approver("finance")
    someone.token = holding.issuer.token("finance", **{"aud": AUDIENCE, "sub": "fiona", **claims})
    assert someone.ask("GET", "/api/approvals").status_code == 401
    someone.token = holding.issuer.strangers_token("finance", aud=AUDIENCE, sub="fiona")
    assert someone.ask("GET", "/api/approvals").status_code == 401


def test_nobody_else_decides(holding: Holding, beside: Beside) -> None:
    """Not the requester, nor whom its token names behind it, nor who has no role that is named."""
    seen, token = holding.target.watch(), holding.agent("asks", act={"sub": "anna"})
    sent = beside(holding.send, token)
    (held,) = holding.held("asks")
    digest = holding.approver().one(held["id"])["digest"]
    for subject in ("asks", "anna"):
        own = holding.approver("finance", subject=subject)
        assert own.say(held["id"], "approve").status_code == 403
        assert own.say(held["id"], "deny").status_code == 403
    for role in ("support", "Finance", "senior-finance", "security"):
        other = holding.approver(role, subject="other")
        assert other.say(held["id"], "approve", digest=digest).status_code == 404
        assert other.ask("GET", f"/api/approvals/{held['id']}").status_code == 404
        assert all(each["id"] != held["id"] for each in other.all("all"))
    assert nothing_arrived(seen)
    holding.approver().deny(held["id"])
    sent.result()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"decision": "approve", "digest": "0" * 64}, 409, id="another-digest"),
        pytest.param({"decision": "approve"}, 400, id="no-digest"),
        pytest.param({"digest": "same"}, 400, id="no-decision"),
        pytest.param({"decision": "Approve", "digest": "same"}, 400, id="another-decision"),
        pytest.param({"decision": "approve", "digest": ["same"]}, 400, id="a-list"),
        pytest.param({"decision": "approve", "digest": "same", "force": True}, 400, id="unknown-member"),
        pytest.param({"decision": "approve", "digest": "same", "grant": "1000d"}, 422, id="a-long-grant"),
        pytest.param({"decision": "approve", "digest": "same", "grant": "-1h"}, 400, id="a-negative-grant"),
        pytest.param({"decision": "deny", "digest": "same", "grant": "10m"}, 400, id="a-grant-denied"),
        pytest.param({"decision": "approve", "digest": "same", "reason": "x" * 5000}, 400, id="a-long-reason"),
    ],
)
def test_what_is_no_decision(holding: Holding, body: dict[str, Any], status: int) -> None:
    token = holding.agent("no-decision")
    told = problem(holding.send(token, "/open/json", 900, AT_ONCE), 202)
    fiona = holding.approver()
    digest = fiona.one(told["approval_id"])["digest"]
    said = {name: (digest if value == "same" else value) for name, value in body.items()}
    reply = fiona.ask("POST", f"/api/approvals/{told['approval_id']}", json=said)
    assert (reply.status_code, fiona.one(told["approval_id"])["state"]) == (status, "pending")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("POST", "/api/approvals/guessed-id-of-nobody", {}, 404, id="a-guessed-id"),
        pytest.param("GET", "/api/approvals/..%2f..%2fapi", {}, 404, id="a-path"),
        pytest.param("GET", "/api/approvals?state=unknown", {}, 400, id="an-unknown-state"),
        pytest.param("GET", "/api/approvals?x=1", {}, 400, id="an-unknown-parameter"),
        pytest.param("GET", "/api/approvals", {"Host": "evil.example"}, 421, id="a-foreign-host"),
        pytest.param("GET", "/api/approvals", {"Authorization": "Basic Zmlvbmc6eA=="}, 401, id="basic"),
        pytest.param("PUT", "/api/approvals", {}, 405, id="another-method"),
        pytest.param("GET", "/nothing", {}, 404, id="no-page"),
    ],
)
def test_the_api_refuses(holding: Holding, method: str, path: str, headers: dict[str, str], status: int) -> None:
    body = {"json": {"decision": "approve", "digest": "0" * 64}} if method == "POST" else {}
    reply = holding.approver().ask(method, path, headers=headers, **body)
    assert reply.status_code == status
    assert not path.startswith("/api/") or reply.json()["status"] == status
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert "server" not in reply.headers


def test_approvals_are_not_where_agents_ask(holding: Holding) -> None:
    """Through the proxy the approvals' address is not reached: it is no target, and the gateway's own port."""
    reply = holding.gateway.ask("GET", "/api/approvals", holding.agent("asks"), host="127.0.0.1")
    assert reply.status in (403, 400)


def test_the_page_is_no_target(make_holding: MakeHolding) -> None:
    """Though the rules name its address: an agent would get there by the gateway."""
    here = make_holding()
    role = "role: support\nrules: [{id: a, allow: GET plain /**}]\n"
    reload(here, {"targets.yaml": targets_yaml(9, here.port), "roles/support.yaml": role})
    with here.gateway.client(here.agent("asks")) as client:
        reply = client.get(f"http://{PLAIN}/api/approvals")
    assert reply.json()["title"] == "Target fault"
    assert "The target cannot be reached" in reply.text


# Twice, or after it is over


def test_one_approves_while_another_denies(holding: Holding, beside: Beside) -> None:
    for number in range(5):
        seen, subject = holding.target.watch(), f"races-{number}"
        sent = beside(holding.send, holding.agent(subject))
        (held,) = holding.held(subject)
        digest = holding.approver().one(held["id"])["digest"]
        votes = [
            beside(holding.approver(subject=who).say, held["id"], decision, digest=digest)
            for who, decision in (("fiona", "approve"), ("felix", "deny"))
        ]
        codes = [vote.result().status_code for vote in votes]
        reply, state = sent.result(), holding.approver().one(held["id"])["state"]
        assert (reply.status, state, len(seen.requests)) in {(200, "used", 1), (403, "denied", 0)}, codes


def test_twenty_retries_of_one_approval(holding: Holding, beside: Beside) -> None:
    token = holding.agent("retries")
    told = problem(holding.send(token, "/open/json", 900, AT_ONCE), 202)
    holding.approver().approve(told["approval_id"])
    seen = holding.target.watch()
    replies = [each.result() for each in [beside(holding.send, token, "/open/json", 900, AT_ONCE) for _ in range(20)]]
    assert len(seen.requests) == 1
    assert [reply.status for reply in replies].count(200) == 1


@pytest.mark.parametrize(
    ("path", "fields", "body"),
    [
        pytest.param("/open/json", (), b'{"amount": 901}', id="another-amount"),
        pytest.param("/open/json", (), b'{"amount": 900.0}', id="another-spelling-of-the-amount"),
        pytest.param("/open/json", (), b'{"amount": 900, "to": "me"}', id="one-field-more"),
        pytest.param("/open/json?x=1", (), b'{"amount": 900}', id="a-query"),
        pytest.param("/open/other", (), b'{"amount": 900}', id="another-path"),
        pytest.param("/open/json", ("X-Account: mine",), b'{"amount": 900}', id="another-header"),
    ],
)
def test_an_approval_is_for_no_other_request(
    holding: Holding, request: pytest.FixtureRequest, path: str, fields: tuple[str, ...], body: bytes
) -> None:
    token = holding.agent(request.node.name)
    told = problem(holding.send(token, "/open/json", 900, AT_ONCE), 202)
    holding.approver().approve(told["approval_id"])
    seen = holding.target.watch()
    reply = holding.gateway.ask("POST", path, token, JSON_TYPE, AT_ONCE, *fields, body=body)
    assert reply.status == 202
    assert nothing_arrived(seen)


def test_an_approval_is_for_no_other_agent(holding: Holding) -> None:
    told = problem(holding.send(holding.agent("first"), "/open/json", 900, AT_ONCE), 202)
    holding.approver().approve(told["approval_id"])
    seen = holding.target.watch()
    assert holding.send(holding.agent("second"), "/open/json", 900, AT_ONCE).status == 202
    other_roles = holding.issuer.token("support", "idle", sub="first")
    assert holding.send(other_roles, "/open/json", 900, AT_ONCE).status == 202
    assert nothing_arrived(seen)


# What happens while it is held


def test_its_token_ends_meanwhile(make_holding: MakeHolding, beside: Beside) -> None:
    here = make_holding()
    seen = here.target.watch()
    token = here.agent("ends", exp=int(time.time()) + 1)
    sent = beside(here.send, token)
    (held,) = here.held("ends")
    problem(sent.result(), 401)
    here.approver().approve(held["id"])
    assert nothing_arrived(seen)
    assert here.send(here.agent("ends")).status == 200  # with a fresh token of the same agent
    assert len(seen.requests) == 1


def test_it_is_revoked_meanwhile(make_holding: MakeHolding, beside: Beside, capsys: pytest.CaptureFixture[str]) -> None:
    here = make_holding()
    seen, token = here.target.watch(), here.agent("revoked")
    sent = beside(here.send, token)
    (held,) = here.held("revoked")
    assert main(["revoke", "--state", str(here.gateway.state), "--subject", "revoked", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    problem(sent.result(), 403)
    until(lambda: here.approver().one(held["id"])["state"] == "cancelled", "it is cancelled")
    assert here.approver().say(held["id"], "approve").status_code == 409
    assert main(["revoke", "--state", str(here.gateway.state), "--lift", entry["id"]]) == 0
    assert here.send(token, "/open/json", 900, AT_ONCE).status == 202  # what was cancelled stays so
    assert nothing_arrived(seen)


def test_a_grant_does_not_come_back_after_it_was_revoked(
    make_holding: MakeHolding, capsys: pytest.CaptureFixture[str]
) -> None:
    here = make_holding()
    token = here.agent("granted")
    told = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"], grant="1h")
    assert here.send(token, "/open/json", 901).status == 200
    assert main(["revoke", "--state", str(here.gateway.state), "--subject", "granted", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    opened, reply = here.gateway.connect(token)
    with opened:
        assert reply.status == 407
    assert main(["revoke", "--state", str(here.gateway.state), "--lift", entry["id"]]) == 0
    seen = here.target.watch()
    assert here.send(token, "/open/json", 902, AT_ONCE).status == 202
    assert nothing_arrived(seen)


def reload(here: Holding, files: dict[str, str]) -> None:
    before = here.gateway.output.count("Rules reloaded")
    here.gateway.write_rules(files)
    assert here.gateway.process is not None
    here.gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: here.gateway.output.count("Rules reloaded") > before, here.gateway.output)


@pytest.mark.parametrize(
    ("old", "new", "status", "arrives"),
    [
        pytest.param(
            "  - id: no-delete", "  - {id: none, deny: POST crm /open/json}\n  - id: no-delete", 403, 0, id="denied"
        ),
        pytest.param("amount <= 500", "amount <= 5000", 200, 1, id="allowed-beside-the-hold"),
        pytest.param("body.amount > 500", "body.amount > 5000", 200, 1, id="allowed"),
    ],
)
def test_the_rules_change_meanwhile(
    make_holding: MakeHolding, beside: Beside, old: str, new: str, status: int, arrives: int
) -> None:
    here = make_holding()
    seen, token = here.target.watch(), here.agent("waits")
    sent = beside(here.send, token)
    (held,) = here.held("waits")
    changed = ROLE.replace(old, new)
    if status == 200:
        changed = changed.replace("when: body.amount <= 500", "when: body.amount <= 5000")
    reload(here, {"roles/support.yaml": changed})
    if old == "amount <= 500":
        assert here.approver().one(held["id"])["state"] in ("pending", "cancelled")
        for each in here.approver().all():
            here.approver().approve(each["id"])
    assert sent.result().status == status
    assert len(seen.requests) == arrives


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"roles/support.yaml": ROLE.replace("need finance.", "need finance!")}, id="the-rule-says-more"),
        pytest.param(
            {"roles/support.yaml": ROLE.replace("max_grant: 1h", "max_grant: 1h\n    mask: {$..ssn: redact}")},
            id="a-mask",
        ),
        pytest.param(
            {"guardrails.yaml": "rules:\n  - {id: everywhere, mask: {$..iban: drop}}\n"}, id="a-guardrails-mask"
        ),
    ],
)
def test_the_decision_is_another_meanwhile(make_holding: MakeHolding, beside: Beside, files: dict[str, str]) -> None:
    """What was approved is not what would be done: it is asked anew, and the old approval counts for nothing."""
    here = make_holding()
    seen, token = here.target.watch(), here.agent("waits")
    sent = beside(here.send, token)
    (held,) = here.held("waits")
    digest = here.approver().one(held["id"])["digest"]
    reload(here, files)
    until(lambda: [each for each in here.held("waits") if each["id"] != held["id"]], "it is asked for anew")
    assert here.approver().say(held["id"], "approve", digest=digest).status_code == 409
    assert nothing_arrived(seen)
    (anew,) = here.held("waits")
    here.approver().approve(anew["id"])
    assert sent.result().status == 200
    assert len(seen.requests) == 1


def test_an_approval_of_other_rules_is_not_used(make_holding: MakeHolding) -> None:
    here = make_holding()
    token = here.agent("later")
    told = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"], grant="1h")
    reload(here, {"roles/support.yaml": ROLE.replace("need finance.", "need finance!")})
    seen = here.target.watch()
    assert here.send(token, "/open/json", 900, AT_ONCE).status == 202
    assert here.send(token, "/open/json", 901, AT_ONCE).status == 202  # nor is the grant
    assert nothing_arrived(seen)


def test_five_hundred_at_once(make_holding: MakeHolding, beside: Beside) -> None:
    here = make_holding(", per_principal: 5")
    seen = here.target.watch()
    sent = [beside(here.send, here.agent(f"many-{number}"), "/open/json", 900, AT_ONCE) for number in range(500)]
    assert {each.result().status for each in sent} == {202}
    own = here.agent("greedy")
    codes = [here.send(own, "/open/json", 900 + number, AT_ONCE).status for number in range(8)]
    assert codes == [202] * 5 + [429] * 3
    assert len(here.approver().all()) == 505
    assert nothing_arrived(seen)


def test_nobody_can_be_asked(make_holding: MakeHolding, make_gateway: Callable[..., Gateway]) -> None:
    here = make_holding()
    files = {"gateway.yaml": (here.gateway.rules / "gateway.yaml").read_text().partition("approvals:")[0]}
    reload(here, files)
    seen = here.target.watch()
    told = problem(here.send(here.agent("asks")), 503)
    assert told["detail"].startswith("Refunds above 500 need finance. Nobody can be asked")
    assert nothing_arrived(seen)


# mitmweb


def test_mitmweb_only_looks_and_kills(make_holding: MakeHolding, beside: Beside) -> None:
    port = free_port()
    options = ["--no-web-open-browser", "--web-port", str(port), "--set", f"web_password={PASSWORD}"]
    here = make_holding(program="mitmweb", options=options)
    seen, token = here.target.watch(), here.agent("watched")
    sent = beside(here.send, token)
    (held,) = here.held("watched")
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {PASSWORD}", **XSRF}, trust_env=False
    ) as web:
        (flow,) = until(
            lambda: [each for each in web.get("/flows").json() if each["intercepted"]], "it is shown as held"
        )
        assert flow["marked"] == "\N{RAISED HAND}"
        for part in (
            "support/big",
            "Refunds above 500 need finance.",
            "finance",
            held["id"],
            "Resume here does nothing",
        ):
            assert part in flow["comment"]
        edit = {"request": {"path": "/EDITED", "content": '{"amount": 1}'}}
        assert web.put(f"/flows/{flow['id']}", json=edit).status_code == 403
        for act in (f"/flows/{flow['id']}/resume", "/flows/resume", f"/flows/{flow['id']}/replay", "/flows/kill"):
            assert web.post(act).status_code == 403
        time.sleep(0.3)
        assert not sent.done()
        assert nothing_arrived(seen)
        started = time.monotonic()
        assert web.post(f"/flows/{flow['id']}/kill").status_code == 200
        told = problem(sent.result(), 403)
        assert time.monotonic() - started < 5
        assert "killed in mitmweb" in told["detail"]
        assert here.approver().one(held["id"])["state"] == "denied"
        over = next(each for each in web.get("/flows").json() if each["id"] == flow["id"])
        assert not over["intercepted"]
        assert web.post(f"/flows/{flow['id']}/kill").status_code == 403
    assert nothing_arrived(seen)
