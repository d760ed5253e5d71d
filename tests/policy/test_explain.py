from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from lockgate.model import Action, HttpFacts, Outcome, Principal
from lockgate.policy.authorize import authorize
from lockgate.policy.explain import Account, Bearing, accounts
from lockgate.policy.generation import Generation

ROLES = {
    "roles/reader.yaml": "role: reader\nrules:\n  - id: wiki\n    allow: GET wiki /**\n",
    "guardrails.yaml": "rules:\n  - id: secrets\n    deny: any crm /**/secrets\n",
    "roles/support.yaml": (
        "role: support\nextends: [reader]\nrules:\n"
        "  - id: read\n    allow: GET crm /v1/customers/{id}\n"
        "  - id: write\n    allow: PUT|PATCH crm /v1/customers/{id}\n"
        "  - id: small\n    allow: POST crm /v1/refunds\n"
        "    when: |\n      body.amount <= 500\n      && body.amount > 0\n"
        "  - id: not-mine\n    allow: POST crm /v1/refunds\n    unless: body.amount > 0\n"
        "  - id: big\n    hold: POST crm /v1/refunds\n    when: body.amount > 500\n"
        "  - id: no-gifts\n    deny: POST crm /v1/refunds\n    when: body.gift\n    types: {body.gift: bool}\n"
        "  - id: old\n    allow: POST crm /v1/refunds\n    expires: 2020-01-01\n"
    ),
}
Explain = Callable[..., dict[str, Account]]


@pytest.fixture
def explain(loaded: Callable[..., Generation]) -> Explain:
    policy = loaded(ROLES).policy

    def explained(method: str, path: str, body: object = None, role: str = "support") -> dict[str, Account]:
        action = Action(method, "crm", path)
        facts = HttpFacts(method, "api.crm.example", path, body=body or {})
        principal = Principal("issuer", "dev", (role,), 0)
        decision = authorize(policy, principal, (action,), facts, datetime(2030, 1, 1, tzinfo=UTC))
        return {each.rule.name: each for each in accounts(policy, (role,), action, decision)}

    return explained


def test_every_rule_with_its_first_reason(explain: Explain) -> None:
    found = explain("POST", "/v1/refunds", {"amount": 600, "gift": False})
    assert [(name, each.bearing, each.reason) for name, each in found.items()] == [
        ("support/big", Bearing.DECIDES, ""),
        ("support/not-mine", Bearing.CONSIDERED, "unless is true: body.amount > 0"),
        ("support/old", Bearing.CONSIDERED, "it expired at 2020-01-01T00:00:00+00:00"),
        ("support/small", Bearing.CONSIDERED, "when is false: body.amount <= 500 && body.amount > 0"),
        ("support/no-gifts", Bearing.CONSIDERED, "when is false: body.gift"),
        ("guardrails/secrets", Bearing.OTHER_PATH, "/**/secrets does not fit /v1/refunds"),
        ("support/read", Bearing.OTHER_VERB, "it takes GET, not POST"),
        ("support/write", Bearing.OTHER_VERB, "it takes PUT|PATCH, not POST"),
        ("reader/wiki", Bearing.OTHER_TARGET, "it is about wiki, not crm"),
    ]
    assert {each.owner for each in found.values()} == {"support", "reader", "guardrails"}


def test_what_denies_without_a_certain_answer(explain: Explain) -> None:
    found = explain("POST", "/v1/refunds", {"amount": 100})
    first = next(iter(found.values()))
    assert (first.rule.name, first.bearing, first.matched) == ("support/no-gifts", Bearing.DECIDES, False)
    assert first.reason == "unevaluable: body.gift is missing, so it denies"
    small = found["support/small"]
    assert (small.bearing, small.outcome, small.reason) == (
        Bearing.CONSIDERED,
        Outcome.MATCHED,
        "a deny counts more",
    )


def test_an_allow_without_a_certain_answer_does_not_match(explain: Explain) -> None:
    found = explain("POST", "/v1/refunds", {"gift": True})
    assert found["support/no-gifts"].bearing is Bearing.DECIDES
    assert found["support/small"].reason == "unevaluable: body.amount is missing"


@pytest.mark.parametrize("path", ["/v1/Customers/7", "/v1/customers/7/"])
def test_a_path_that_would_nearly_fit(explain: Explain, path: str) -> None:
    found = explain("GET", path)
    first = next(iter(found.values()))
    assert (first.rule.name, first.bearing) == ("support/read", Bearing.OTHER_SPELLING)
    assert "no other letter case" in first.reason


def test_a_rule_of_several_lines_speaks_of_the_nearest(loaded: Callable[..., Generation]) -> None:
    lines = "role: support\nrules:\n  - id: r\n    allow: [GET wiki /a, PUT crm /a, GET crm /b]\n"
    policy = loaded({"roles/support.yaml": lines}).policy
    action = Action("GET", "crm", "/a")
    facts = HttpFacts("GET", "api.crm.example", "/a")
    who = Principal("issuer", "dev", ("support",), 0)
    decision = authorize(policy, who, (action,), facts, datetime(2030, 1, 1, tzinfo=UTC))
    (account,) = accounts(policy, ("support",), action, decision)
    assert account.reason == "/b does not fit /a"
