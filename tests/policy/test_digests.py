"""When a request is the same one, and when a decision is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.model import Decision, Hold, Mask, Principal, Verdict
from lockgate.policy.digests import binding, canonical_body, fingerprint, grant_binding
from lockgate.policy.generation import Generation

WHO = Principal("https://login.example", "agent-7", ("a", "b"), 1.0, "jti-1")
URL = "https://api.crm.example/refunds"
JSON = ("content-type", "application/json")
HOLD = Hold("support/big", "d1")


def of(
    who: Principal = WHO, method: str = "POST", url: str = URL, *headers: tuple[str, str], body: bytes = b"{}"
) -> str:
    return fingerprint(who, method, url, [JSON, *headers], body)


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(lambda: of(replace(WHO, token_id="jti-2", expires_at=2.0)), id="another-token"),
        pytest.param(lambda: of(replace(WHO, roles=("b", "a"))), id="roles-in-another-order"),
        pytest.param(lambda: of(WHO, "POST", URL, ("User-Agent", "x"), ("X-Stainless-Retry-Count", "1")), id="varying"),
        pytest.param(lambda: of(WHO, "POST", URL, ("Traceparent", "00-1"), ("Date", "now")), id="tracing"),
        pytest.param(lambda: of(WHO, "POST", URL, ("Prefer", "wait=5, respond-async")), id="how-long-it-waits"),
        pytest.param(lambda: of(WHO, "POST", URL, ("Sec-WebSocket-Key", "a")), id="a-nonce"),
        pytest.param(lambda: of(body=b" { } "), id="white-space"),
    ],
)
def test_the_same_request(same: Callable[[], str]) -> None:
    assert same() == of()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: of(replace(WHO, subject="agent-8")), id="another-agent"),
        pytest.param(lambda: of(replace(WHO, issuer="https://other.example")), id="another-issuer"),
        pytest.param(lambda: of(replace(WHO, roles=("a",))), id="other-roles"),
        pytest.param(lambda: of(method="PUT"), id="another-method"),
        pytest.param(lambda: of(url=URL + "?x=1"), id="a-query"),
        pytest.param(lambda: of(WHO, "POST", URL, ("Idempotency-Key", "7")), id="an-idempotency-key"),
        pytest.param(lambda: of(WHO, "POST", URL, ("X-Account", "1")), id="another-header"),
        pytest.param(lambda: of(WHO, "POST", URL, ("Prefer", "handling=lenient")), id="another-preference"),
        pytest.param(lambda: of(WHO, "POST", URL, ("Prefer", 'x="a,respond-async,b"')), id="a-preference-in-quotes"),
        pytest.param(lambda: of(body=b'{"a": 1}'), id="another-body"),
        pytest.param(
            lambda: fingerprint(WHO, "POST", URL, [JSON], b"{}", behind=[(WHO.issuer, "anna")]), id="for-another"
        ),
        pytest.param(lambda: fingerprint(WHO, "POST", URL, [("content-type", "text/plain")], b"{}"), id="another-type"),
        pytest.param(lambda: fingerprint(WHO, "POST", URL, [JSON], b"{}", "send"), id="a-message"),
    ],
)
def test_another_request(other: Callable[[], str]) -> None:
    assert other() != of()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(b'{"a": 1, "b": [1, 2]}', b'{ "b":[1,2],"a":1 }', True, id="order-of-keys"),
        pytest.param(b'{"b": [1, 2]}', b'{"b": [2, 1]}', False, id="order-of-a-list"),
        pytest.param(b'{"a": 1}', b'{"a": 1.0}', False, id="spelling-of-a-number"),
        pytest.param(b'{"a": "\\u0061"}', b'{"a": "a"}', True, id="spelling-of-a-text"),
        pytest.param(
            b'{"jsonrpc": "2.0", "id": 1, "method": "m"}',
            b'{"jsonrpc": "2.0", "id": 2, "method": "m"}',
            False,
            id="an-id-which-may-be-whom-it-is-about",
        ),
        pytest.param(b'{"a": 1, "a": 1}', b'{"a": 1, "a":  1}', False, id="not-strict-json"),
    ],
)
def test_a_body_counts_by_what_it_says(one: bytes, other: bytes, same: bool) -> None:
    assert (canonical_body("application/json", one) == canonical_body("application/json", other)) is same


def test_values_of_one_name_keep_their_order() -> None:
    one, other, third = ("X-Account", "1"), ("X-Account", "2"), ("X-Other", "1")
    first = of(WHO, "POST", URL, one, other, third)
    assert first == of(WHO, "POST", URL, third, one, other)
    assert first != of(WHO, "POST", URL, other, one, third)


@given(st.binary(), st.binary())
def test_bodies_of_other_types_count_byte_by_byte(one: bytes, other: bytes) -> None:
    assert (canonical_body("text/plain", one) == canonical_body("text/plain", other)) is (one == other)


def test_another_decision_has_another_binding(loaded: Callable[..., Generation]) -> None:
    generation = loaded()
    (crm,), (wiki,) = generation.targets["crm"], generation.targets["wiki"]
    decision = Decision(Verdict.HOLD, masks=(Mask("$.a", "redact"),), holds=(HOLD,))
    first = binding(generation, decision, decision.holds, crm)
    assert first == binding(loaded(), decision, decision.holds, crm)
    other_credential = replace(generation.credentials["crm-token"], kind="basic")
    changed: list[Any] = [
        binding(generation, decision._replace(masks=()), decision.holds, crm),
        binding(generation, decision, (replace(HOLD, digest="d2"),), crm),
        binding(generation, decision, decision.holds, wiki),
        binding(replace(generation, credentials={"crm-token": other_credential}), decision, decision.holds, crm),
        binding(generation, decision, decision.holds, replace(crm, connect=("evil.example", 443))),
    ]
    assert first not in changed


def test_a_grant_is_bound_to_rule_target_and_credential(loaded: Callable[..., Generation]) -> None:
    generation = loaded()
    first = grant_binding(generation, HOLD, "crm")
    assert first == grant_binding(loaded(), HOLD, "crm")
    masked = loaded({"targets.yaml": "targets:\n  crm: {url: https://api.crm.example, mask: {$.a: drop}}\n"})
    others = [
        grant_binding(generation, replace(HOLD, digest="d2"), "crm"),
        grant_binding(generation, HOLD, "wiki"),
        grant_binding(masked, HOLD, "crm"),
    ]
    assert first not in others
