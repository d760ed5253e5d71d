from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from lockgate.model import Action, Form, HttpFacts, Principal, Unreadable
from lockgate.policy.generation import Generation
from lockgate.policy.reads import facts_read

Loaded = Callable[..., Generation]
Read = Callable[..., dict[str, dict[str, Any]]]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
FACTS = HttpFacts(
    "POST",
    "api.crm.example",
    "/v1/refunds/7",
    query={"page": ("2",), "tag": ("a", "b")},
    headers={"x-team": ("red",)},
    body={"amount": 600, "lines": [{"sku": "x"}], "card": {"number": "4111"}},
)


def role(condition: str) -> str:
    line = "POST crm /v1/refunds/{id}"
    return f"role: support\nrules:\n  - id: one\n    hold: {line}\n    when: {json.dumps(condition)}\n"


@pytest.fixture
def read(loaded: Loaded) -> Read:
    """The facts that one rule with this condition reads."""

    def found(condition: str, facts: HttpFacts = FACTS, considered: tuple[str, ...] = ("support/one",)) -> Any:
        policy = loaded({"roles/support.yaml": role(condition)}).policy
        principal = Principal("issuer", "agent-7", ("support",), 0.0, claims={"team": {"name": "red"}, "email": "x"})
        action = Action("POST", "crm", facts.path)
        return facts_read(policy, principal, (action,), facts, NOW, considered).get("support/one")

    return found


@pytest.mark.parametrize(
    ("condition", "facts"),
    [
        pytest.param("body.amount > 500", {("body", "amount"): 600}, id="field"),
        pytest.param("!has(body.note) || body.note == 'x'", {}, id="what-there-is-not"),
        pytest.param("has(body.card.number)", {("body", "card", "number"): "4111"}, id="has"),
        pytest.param(
            "principal.claims.team.name == 'red' && principal.subject == 'a'",
            {("principal", "claims", "team", "name"): "red", ("principal", "subject"): "agent-7"},
            id="principal",
        ),
        pytest.param(
            "request.query['page'] == '2' && request.headers['x-team'] == 'red'",
            {("request", "query", "page"): "2", ("request", "headers", "x-team"): "red"},
            id="request",
        ),
        pytest.param("request.query.tag == 'a'", {("request", "query", "tag"): ["a", "b"]}, id="several"),
        pytest.param("path.id == '7'", {("path", "id"): "7"}, id="capture"),
        pytest.param("now > timestamp('2020-01-01T00:00:00Z')", None, id="the-instant"),
    ],
)
def test_what_a_condition_reads(read: Read, condition: str, facts: Mapping[tuple[str, ...], Any] | None) -> None:
    assert read(condition) == facts


def test_of_a_form(read: Read) -> None:
    form = HttpFacts("POST", "api.crm.example", "/v1/refunds/7", body=Form({"amount": ("600",)}))
    assert read("body.amount == '600'", form) == {("body", "amount"): "600"}


def test_of_a_body_that_cannot_be_read_nothing_is_at_hand(read: Read) -> None:
    odd = HttpFacts("POST", "api.crm.example", "/v1/refunds/7", body=Unreadable("it is odd"))
    assert read("body.amount == '600'", odd) == {}


def test_rules_that_were_not_considered_are_left_out(read: Read) -> None:
    assert read("body.amount > 500", FACTS, ()) is None


@pytest.mark.parametrize(
    ("condition", "claims"),
    [
        pytest.param("principal.claims.team == 'red'", {"team"}, id="one"),
        pytest.param("principal.claims['x-y'] == 'red'", {"x-y"}, id="index"),
        pytest.param("principal.claims.org.unit == 'red'", {"org"}, id="below"),
        pytest.param("principal.subject == 'red'", set(), id="none"),
        pytest.param("principal.claims[path.id] == 'red'", None, id="any"),
    ],
)
def test_which_claims_are_read(loaded: Loaded, condition: str, claims: set[str] | None) -> None:
    found = loaded({"roles/support.yaml": role(condition)}).policy.claims
    assert found == claims
