from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import Exchange, Outgoing, exchange
from lockgate.identity.revocations import Revocation, change
from lockgate.model import Action, Decision, HttpFacts, Principal, Verdict
from lockgate.policy.generation import Generation
from lockgate.refusals import Refusal
from lockgate.runtime import InForce, Runtime
from lockgate.stages import decide
from lockgate.stages.decide import REVOKED, RULES_CHANGED, Decide, explain

Read = Callable[..., tuple[http.HTTPFlow, Exchange]]


@pytest.fixture
def read(identified: Callable[..., http.HTTPFlow]) -> Read:
    """Makes a flow as Read leaves it, with an action for each resource."""

    def read(method: str, *resources: str, body: object = None) -> tuple[http.HTTPFlow, Exchange]:
        flow = identified(method, f"http://plain.example{resources[0] if resources else '/'}")
        found = exchange(flow)
        assert found.generation is not None
        found.target = found.generation.target_for("http", "plain.example", 80)
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


def test_the_door_can_ask_whether_it_was_revoked_since(runtime: Runtime, read: Read, tmp_path: Path) -> None:
    flow, found = read("GET", "/v1/customers")
    Decide(runtime).request(flow)
    assert found.unrevoked is not None
    found.unrevoked(found)
    tmp_path.chmod(0o700)
    change(tmp_path, 0.0, lambda held: [*held, Revocation("a1", 0.0, target="plain")])
    with pytest.raises(Refused) as refused:
        found.unrevoked(found)
    assert refused.value.refusal is REVOKED


# While an answer is streamed


@pytest.fixture
def streaming(runtime: Runtime, read: Read) -> Callable[..., Exchange]:
    """Makes an exchange whose answer is streamed, with what was sent of the request."""

    def streaming(body: bytes = b"") -> Exchange:
        flow, found = read("POST", "/v1/customers")
        flow.request.headers["content-type"] = "application/json"
        flow.request.raw_content = body
        Decide(runtime).request(flow)
        found.outgoing = Outgoing.of(flow.request)
        return found

    return streaming


def put_in_force(runtime: Runtime, generation: Generation) -> None:
    runtime.current = InForce(generation, runtime.current.verifier, runtime.current.verifier)


def rechecked(found: Exchange) -> bool:
    """Whether the next part may go out."""
    assert found.recheck is not None
    try:
        found.recheck(found)
    except Refused as refused:
        return refused.refusal is not RULES_CHANGED
    return True


def test_under_the_same_rules_nothing_is_decided_again(
    streaming: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = streaming()
    monkeypatch.setattr(decide, "authorize", None)
    assert rechecked(found)


def test_under_other_rules_it_is_decided_again_once(
    runtime: Runtime,
    streaming: Callable[..., Exchange],
    make_generation: Callable[..., Generation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = streaming()
    put_in_force(runtime, make_generation(guardrails="rules: [{id: other, deny: any odd}]"))
    assert rechecked(found)
    assert found.standing is runtime.current.generation
    monkeypatch.setattr(decide, "authorize", None)
    assert rechecked(found)


def test_after_a_while_it_is_decided_again_under_the_same_rules(
    runtime: Runtime,
    streaming: Callable[..., Exchange],
    make_generation: Callable[..., Generation],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A deny may begin to count, and a rule end, without a change of the rules."""
    night = "rules: [{id: night, deny: any plain, when: now.getHours() >= 22}]"
    put_in_force(runtime, make_generation(guardrails=night))
    monkeypatch.setattr(runtime, "now", lambda: datetime(2029, 6, 1, 21, 59, tzinfo=UTC), raising=False)
    found = streaming()
    assert rechecked(found)
    monkeypatch.setattr(runtime, "now", lambda: datetime(2029, 6, 1, 22, 0, tzinfo=UTC), raising=False)
    assert rechecked(found)
    found.stood_at -= decide.STANDS
    assert not rechecked(found)


NEW = ""  # the file is a new one
OTHER_ISSUER = "{issuer: 'https://x.example', audience: x, algorithms: [ES256], roles: $.r, jwks_file: x.json}"
STANDING = [
    pytest.param("guardrails", NEW, "rules: [{id: x, deny: DELETE plain}]", True, id="another-rule"),
    pytest.param("targets", "odd.example:8443", "odd.example:8444", True, id="another-target"),
    pytest.param("guardrails", NEW, "rules: [{id: x, deny: any plain}]", False, id="denied"),
    pytest.param("guardrails", NEW, "rules: [{id: x, hold: any plain}]", False, id="held"),
    pytest.param("roles/support", "/v1/**", "/v2/**", False, id="not-allowed"),
    pytest.param("guardrails", NEW, "rules: [{id: x, mask: {$.a: drop}}]", False, id="masked"),
    pytest.param("guardrails", NEW, "rules: [{id: x, show: [$.a]}]", False, id="shown"),
    pytest.param("targets", "http://plain.example", "http://other.example", False, id="target-gone"),
    pytest.param("targets", "request: 600KiB", "request: 601KiB", False, id="target-changed"),
    pytest.param("guardrails", NEW, "rules: [{id: x, deny: any plain, when: body.a.b > 1}]", False, id="unevaluable"),
    pytest.param("guardrails", NEW, "rules: [{id: x, deny: any plain, when: has(body.a)}]", False, id="on-the-body"),
    pytest.param("guardrails", NEW, "rules: [{id: x, deny: any plain, when: has(body.b)}]", True, id="not-this-body"),
    pytest.param("gateway", "dev: true", OTHER_ISSUER, False, id="issuer-gone"),
]


@pytest.mark.parametrize(("file", "old", "new", "stands"), STANDING)
def test_what_stands_under_other_rules(
    runtime: Runtime,
    streaming: Callable[..., Exchange],
    make_generation: Callable[..., Generation],
    principal: Principal,
    file: str,
    old: str,
    new: str,
    stands: bool,
) -> None:
    found = streaming(b'{"a": 1}')
    held = found.standing
    assert held is not None
    found.principal = replace(principal, issuer=held.gateway.issuers[0].issuer)
    text = held.files[f"{file}.yaml"].decode().replace(old, new) if old else new
    put_in_force(runtime, make_generation(**{file: text}))
    assert rechecked(found) is stands
    assert (found.standing is runtime.current.generation) is stands
    assert stands or found.standing is held
