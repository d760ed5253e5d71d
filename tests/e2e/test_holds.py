"""Hold, approve, resume: each through a real gateway, with a target that records every byte it got."""

from __future__ import annotations

import json
import time

import pytest

from harness.approver import until
from harness.gateway import head
from harness.holding import JSON_TYPE, Beside, Holding, MakeHolding, nothing_arrived, problem
from harness.issuer import ISSUER
from harness.rules import CRM
from harness.wire import Reply


def test_it_waits_then_goes_on(holding: Holding, beside: Beside) -> None:
    seen = holding.target.watch()
    sent = beside(holding.send, holding.agent("waits"))
    (held,) = holding.held("waits")
    time.sleep(0.2)
    assert nothing_arrived(seen)
    assert not sent.done()
    holding.approver().approve(held["id"], reason="Ticket 7")
    assert sent.result().status == 200
    (request,) = seen.requests
    assert request.body == b'{"amount": 900}'


def test_other_requests_of_the_same_agent_run_on(holding: Holding, beside: Beside) -> None:
    token = holding.agent("busy")
    sent = beside(holding.send, token)
    (held,) = holding.held("busy")
    assert holding.gateway.ask("GET", "/v1/json", token).status == 200
    holding.approver().deny(held["id"], reason="No ticket.")
    told = problem(sent.result(), 403)
    assert "No ticket." in told["detail"]
    assert told["approval_id"] == held["id"]
    assert problem(holding.send(token), 403)["approval_id"] == held["id"]  # at once, and nobody is asked again


def test_what_a_person_is_shown(holding: Holding, beside: Beside) -> None:
    """The request as the target would get it, less what is secret; who asks, why it is held, what they did before."""
    token = holding.agent("shown", act={"sub": "anna"})
    assert holding.gateway.ask("GET", "/v1/json", token).status == 200
    body = b'{"amount": 900, "password": "hunter2", "note": "for \\u202e you"}'
    fields = (JSON_TYPE, "X-Api-Key: abcdef0123456789", "X-Ticket: 7")
    sent = beside(holding.gateway.ask, "POST", "/open/json?a=1&token=s3cr3t", token, *fields, body=body)
    (held,) = holding.held("shown")
    shown = holding.approver().one(held["id"])
    request = shown["request"]
    assert (request["method"], request["url"]) == ("POST", f"https://{CRM}/open/json?a=1&token=[redacted]")
    assert dict(request["headers"])["x-ticket" if "x-ticket" in dict(request["headers"]) else "X-Ticket"] == "7"
    assert (request["body_is"], request["body_size"]) == ("json", len(request["body"]))
    for secret in ("hunter2", "abcdef0123456789", "s3cr3t", token):
        assert secret not in json.dumps(shown)
    assert shown["requester"] == {
        "issuer": ISSUER,
        "subject": "shown",
        "roles": ["support"],
        "behind": ["anna"],
    }
    (hold,) = shown["holds"]
    assert (hold["rule"], hold["reason"]) == ("support/big", "Refunds above 500 need finance.")
    assert shown["credential"] == "crm-token"
    assert [(each["verdict"], each["resource"]) for each in shown["recent"]] == [
        ("hold", "/open/json"),
        ("allow", "/v1/json"),
    ]
    assert shown["you"] == {"may_decide": True, "why_not": ""}
    holding.approver().deny(held["id"])
    sent.result()


def test_identical_requests_join_and_one_goes_on(holding: Holding, beside: Beside) -> None:
    seen, token = holding.target.watch(), holding.agent("joins")
    sent = [beside(holding.send, token) for _ in range(6)]
    (held,) = holding.held("joins")
    until(lambda: holding.approver().one(held["id"])["joined"] == 5, "all have joined")
    holding.approver().approve(held["id"])
    replies = [each.result() for each in sent]
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409, 409, 409]
    assert len(seen.requests) == 1
    others = [json.loads(reply.body) for reply in replies if reply.status == 409]
    assert {each["approval_id"] for each in others} == {held["id"]}
    assert all("sent on" in each["detail"] for each in others)


def test_what_clients_vary_makes_no_other_request(holding: Holding, beside: Beside) -> None:
    token = holding.agent("varies")
    fields = (JSON_TYPE, "User-Agent: one", "X-Stainless-Retry-Count: 0", "Traceparent: 00-1-1-00")
    sent = beside(holding.gateway.ask, "POST", "/open/json", token, *fields, body=b'{"amount": 900, "to": "a"}')
    holding.held("varies")
    others = (JSON_TYPE, "User-Agent: two", "X-Stainless-Retry-Count: 1", "Prefer: respond-async")
    reply = holding.gateway.ask("POST", "/open/json", token, *others, body=b'{ "to": "a",\n "amount": 900}')
    (held,) = holding.held("varies")
    assert problem(reply, 202)["approval_id"] == held["id"]
    key = holding.gateway.ask(
        "POST", "/open/json", token, *others, "Idempotency-Key: 7", body=b'{"amount": 900, "to": "a"}'
    )
    assert problem(key, 202)["approval_id"] != held["id"]
    for each in holding.held("varies", 2):
        holding.approver().deny(each["id"])
    sent.result()


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        pytest.param("respond-async", 202, id="asynchronously"),
        pytest.param("wait=1", 409, id="shortly"),
        pytest.param("respond-async, wait=100", 202, id="both"),
    ],
)
def test_whoever_does_not_wait_asks_again(holding: Holding, prefer: str, status: int) -> None:
    seen, subject = holding.target.watch(), f"asks-{status}-{len(prefer)}"
    token = holding.agent(subject)
    reply = holding.send(token, "/open/json", 900, f"Prefer: {prefer}")
    told = problem(reply, status)
    assert told["rule"] == "support/big"
    assert told["status_url"] == f"https://lockgate.invalid/approvals/{told['approval_id']}"
    assert reply.headers["retry-after"] == "30"
    state = holding.gateway.ask("GET", f"/approvals/{told['approval_id']}", token, host="lockgate.invalid")
    assert json.loads(state.body)["state"] == "pending"
    others = holding.gateway.ask(
        "GET", f"/approvals/{told['approval_id']}", holding.agent("other"), host="lockgate.invalid"
    )
    assert others.status == 404
    holding.approver().approve(told["approval_id"])
    assert nothing_arrived(seen)
    assert holding.send(token, "/open/json", 901, "Prefer: respond-async").status == 202  # another request
    assert holding.send(token).status == 200
    assert len(seen.requests) == 1
    anew = problem(holding.send(token, "/open/json", 900, "Prefer: respond-async"), 202)
    assert anew["approval_id"] != told["approval_id"]
    for each in holding.held(subject, 2):
        holding.approver().deny(each["id"])


def test_whoever_hangs_up_finds_it_decided(holding: Holding) -> None:
    seen, token = holding.target.watch(), holding.agent("hangs-up")
    with holding.gateway.tunnel(token) as wire:
        wire.send(head("POST", "/open/json", CRM, JSON_TYPE, body=b'{"amount": 900}'))
        (held,) = holding.held("hangs-up")
    time.sleep(0.1)
    holding.approver().approve(held["id"])
    time.sleep(1.5)
    assert nothing_arrived(seen)
    assert holding.send(token).status == 200
    assert len(seen.requests) == 1


def test_several_holds_are_each_met(holding: Holding, beside: Beside) -> None:
    seen, token = holding.target.watch(), holding.agent("exports")
    sent = beside(holding.send, token, "/open/export")
    (held,) = holding.held("exports")
    assert held["rules"] == ["guardrails/exports", "support/big"]
    fiona, sec = holding.approver(), holding.approver("security", subject="sec")
    assert fiona.approve(held["id"])["state"] == "pending"
    time.sleep(0.2)
    assert nothing_arrived(seen)
    assert sec.approve(held["id"])["state"] == "approved"
    sent.result()
    assert len(seen.requests) == 1


def test_a_quorum_is_of_different_persons_who_say_why(holding: Holding, beside: Beside) -> None:
    seen, token = holding.target.watch(), holding.agent("quorum")
    sent = beside(holding.send, token, method="PUT")
    (held,) = holding.held("quorum")
    fiona, again, felix = holding.approver(), holding.approver(), holding.approver(subject="felix")
    assert fiona.say(held["id"], "approve").status_code == 422
    assert fiona.approve(held["id"], reason="Ticket 7")["state"] == "pending"
    assert again.say(held["id"], "approve", reason="Ticket 7").status_code == 409
    assert nothing_arrived(seen)
    assert felix.approve(held["id"], reason="Ticket 7")["state"] == "approved"
    assert sent.result().status == 200
    assert len(seen.requests) == 1


def test_nobody_in_time(holding: Holding) -> None:
    seen, token = holding.target.watch(), holding.agent("late")
    told = problem(holding.send(token, method="PATCH"), 409)
    assert "Nobody decided" in told["detail"]
    assert holding.approver().say(told["approval_id"], "approve").status_code == 409
    anew = problem(holding.send(token, "/open/json", 900, "Prefer: respond-async", method="PATCH"), 202)
    assert anew["approval_id"] != told["approval_id"]
    assert nothing_arrived(seen)


def test_a_grant_lets_like_requests_on_for_a_time(holding: Holding, beside: Beside) -> None:
    seen, token, fiona = holding.target.watch(), holding.agent("granted"), holding.approver()
    sent = beside(holding.send, token)
    (held,) = holding.held("granted")
    assert fiona.say(held["id"], "approve", grant="2h").status_code == 422
    fiona.approve(held["id"], grant="10m")
    assert sent.result().status == 200
    assert holding.send(token, "/open/json", 5000).status == 200
    assert len(seen.requests) == 2
    assert holding.gateway.ask("DELETE", "/open/json", token).status == 403  # touches no deny
    assert holding.send(holding.agent("not-granted"), "/open/json", 900, "Prefer: respond-async").status == 202
    assert holding.send(token, "/open/json", 900, "Prefer: respond-async", method="PUT").status == 202  # another rule
    (grant,) = [each for each in fiona.ask("GET", "/api/grants").json()["grants"] if each["subject"] == "granted"]
    assert (grant["rule"], grant["uses"]) == ("support/big", 1)
    own = holding.approver("finance", subject="granted")
    assert own.ask("DELETE", f"/api/grants/{grant['id']}").status_code == 403
    assert fiona.ask("DELETE", f"/api/grants/{grant['id']}").status_code == 200
    assert holding.send(token, "/open/json", 5001, "Prefer: respond-async").status == 202
    assert len(seen.requests) == 2


def test_a_grant_is_asked_for_ahead(holding: Holding) -> None:
    token, fiona = holding.agent("ahead"), holding.approver()

    def ask(rule: str, period: str, target: str = "crm") -> Reply:
        path = f"/approvals?rule={rule}&target={target}&for={period}&reason=Month%20end"
        return holding.gateway.ask("POST", path, token, host="lockgate.invalid")

    assert ask("support/big", "2h").status == 403
    assert ask("support/short", "10m").status == 403
    assert ask("support/small", "10m").status == 404
    assert ask("guardrails/exports", "10m", "wiki").status == 404
    assert ask("support/big", "soon").status == 400
    reply = ask("support/big", "30m")
    assert reply.status == 202
    asked = json.loads(reply.body)
    (held,) = holding.held("ahead")
    assert (held["id"], held["ahead"], held["reason"]) == (asked["approval_id"], 1800.0, "Month end")
    fiona.approve(held["id"])
    seen = holding.target.watch()
    assert holding.send(token, "/open/json", 777).status == 200
    assert len(seen.requests) == 1


def test_what_is_too_large_to_be_shown_is_refused(holding: Holding) -> None:
    seen, token = holding.target.watch(), holding.agent("large")
    body = json.dumps({"amount": 900, "pad": "x" * 300_000}).encode()
    problem(holding.gateway.ask("POST", "/open/json", token, JSON_TYPE, body=body), 413)
    assert nothing_arrived(seen)


def test_the_record_tells_the_whole_story(make_holding: MakeHolding, beside: Beside) -> None:
    here = make_holding()
    sent = beside(here.send, here.agent("recorded", jti="token-7"))
    (held,) = here.held("recorded")
    here.approver().approve(held["id"], reason="Ticket 7", grant="10m")
    assert sent.result().status == 200
    assert here.send(here.agent("recorded"), "/open/json", 901).status == 200
    here.gateway.stop()
    flows = [flow for flow in here.gateway.flows() if getattr(flow, "request", None)]
    told = [flow.metadata["lockgate"] for flow in flows]
    by_approval, by_grant = [each for each in told if each.get("approval")]
    assert by_approval["approval"]["id"] == held["id"]
    assert by_approval["approval"]["rules"] == ["support/big"]
    assert by_approval["decision"]["verdict"] == "allow"
    assert (by_grant["approval"]["id"], len(by_grant["approval"]["grants"])) == (None, 1)
    events = [flow for flow in flows if flow.metadata["lockgate"].get("event") in ("approval", "grant")]
    steps = [json.loads(flow.request.content) for flow in events]
    assert [each["step"] for each in steps] == ["asked", "shown", "voted", "granted", "used", "used"], steps
    vote = steps[2]["vote"]
    assert (steps[1]["to"]["subject"], steps[1]["to"]["via"]) == ("fiona", "api")
    assert (vote["subject"], vote["via"], vote["address"], vote["reason"]) == ("fiona", "api", "127.0.0.1", "Ticket 7")
    assert steps[0]["digest"] == steps[1]["digest"]
    assert steps[0]["requester"]["subject"] == "recorded"
