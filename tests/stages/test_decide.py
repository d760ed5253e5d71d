from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import Exchange, exchange
from lockgate.model import Action, Decision, HttpFacts, Verdict
from lockgate.refusals import Refusal
from lockgate.runtime import Runtime
from lockgate.stages.decide import Decide, explain

Read = Callable[..., tuple[http.HTTPFlow, Exchange]]


@pytest.fixture
def read(identified: Callable[..., http.HTTPFlow]) -> Read:
    """Makes a flow as Read leaves it, with an action for each resource."""

    def read(method: str, *resources: str, body: object = None) -> tuple[http.HTTPFlow, Exchange]:
        flow = identified(method, f"http://plain.example{resources[0] if resources else '/'}")
        found = exchange(flow)
        found.actions = tuple(Action(method, "plain", resource) for resource in resources)
        found.facts = HttpFacts(method, "plain.example", flow.request.path, body=body or {})
        return flow, found

    return read


def refusal_of(runtime: Runtime, flow: http.HTTPFlow) -> Refusal:
    with pytest.raises(Refused) as refused:
        Decide(runtime).request(flow)
    return refused.value.refusal


def test_what_a_rule_allows_goes_on(runtime: Runtime, read: Read) -> None:
    flow, found = read("GET", "/v1/customers")
    Decide(runtime).request(flow)
    assert found.decision is not None
    assert (found.decision.verdict, found.decision.rule) == (Verdict.ALLOW, "support/read")


def test_what_a_rule_holds_is_left_to_who_asks_a_person(runtime: Runtime, read: Read) -> None:
    flow, found = read("POST", "/refunds", body={"amount": 900})
    Decide(runtime).request(flow)
    assert found.decision is not None
    assert found.decision.verdict is Verdict.HOLD


def test_what_no_rule_allows_is_denied(runtime: Runtime, read: Read) -> None:
    flow, found = read("GET", "/elsewhere")
    refusal = refusal_of(runtime, flow)
    assert (refusal.status, refusal.detail, refusal.rule) == (403, "No rule allows this GET.", None)
    assert refusal.next_steps == "Do not retry unchanged. Ask for something a rule allows."
    assert found.decision is not None
    assert found.decision.verdict is Verdict.DENY


def test_what_a_rule_denies_is_denied_in_its_words(runtime: Runtime, read: Read) -> None:
    refusal = refusal_of(runtime, read("DELETE", "/v1/customers")[0])
    assert (refusal.status, refusal.detail, refusal.rule) == (403, "Nothing is deleted here.", "support/no-delete")
    assert refusal.next_steps == "Do not retry unchanged. Follow the reason."


def test_one_action_that_is_denied_denies_all(runtime: Runtime, read: Read) -> None:
    assert refusal_of(runtime, read("GET", "/v1/customers", "/elsewhere")[0]).status == 403


def test_facts_decide(runtime: Runtime, read: Read) -> None:
    flow, found = read("POST", "/refunds", body={"amount": 5})
    Decide(runtime).request(flow)
    assert found.decision is not None
    assert found.decision.rule == "support/small"


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        pytest.param(datetime(2029, 12, 31, tzinfo=UTC), Verdict.ALLOW, id="before"),
        pytest.param(datetime(2030, 1, 1, tzinfo=UTC), Verdict.DENY, id="after"),
    ],
)
def test_it_is_decided_at_one_instant(
    runtime: Runtime, read: Read, monkeypatch: pytest.MonkeyPatch, now: datetime, verdict: Verdict
) -> None:
    monkeypatch.setattr(runtime, "now", lambda: now)
    flow, found = read("GET", "/until")
    if verdict is Verdict.DENY:
        refusal_of(runtime, flow)
    else:
        Decide(runtime).request(flow)
    assert found.decision is not None
    assert found.decision.verdict is verdict


@pytest.mark.parametrize("roles", [(), ("nobody",)])
def test_a_caller_without_a_known_role_is_told_so(runtime: Runtime, read: Read, roles: tuple[str, ...]) -> None:
    flow, found = read("GET", "/v1/customers")
    assert found.principal is not None
    found.principal = replace(found.principal, roles=roles)
    refusal = refusal_of(runtime, flow)
    assert (refusal.status, refusal.detail) == (403, "None of the caller's roles is known here.")
    assert refusal.next_steps == "Ask the operator for a role."


def test_one_known_role_will_do(runtime: Runtime, read: Read) -> None:
    flow, found = read("GET", "/v1/customers")
    assert found.principal is not None
    found.principal = replace(found.principal, roles=("nobody", "support"))
    Decide(runtime).request(flow)


@pytest.mark.parametrize("missing", ["generation", "principal", "facts"])
def test_nothing_is_decided_of_what_was_not_read(runtime: Runtime, read: Read, missing: str) -> None:
    flow, found = read("GET", "/v1/customers")
    setattr(found, missing, None)
    with pytest.raises(AssertionError):
        Decide(runtime).request(flow)
    assert found.decision is None


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        pytest.param(Decision(Verdict.DENY, "support/x", "Ask first."), "Ask first.", id="its-own-words"),
        pytest.param(Decision(Verdict.DENY, "support/x"), "The rule support/x denies this.", id="rule"),
        pytest.param(Decision(Verdict.DENY), "No rule allows this DELETE.", id="default"),
    ],
)
def test_explain(decision: Decision, said: str) -> None:
    assert explain(decision, "DELETE") == said
