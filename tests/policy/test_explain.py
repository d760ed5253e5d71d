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
    assert all(each.owner == name.split("/")[0] for name, each in found.items())


def test_what_denies_without_a_certain_answer(explain: Explain) -> None:
    found = explain("POST", "/v1/refunds", {"amount": 100})
    first = next(iter(found.values()))
    assert (first.rule.name, first.bearing, first.matched) == ("support/no-gifts", Bearing.DECIDES, False)
    assert first.reason == "unevaluable: body.gift is missing, so it denies"
    small = found["support/small"]
    assert small.owner == "support"
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


EXACT = "an allow takes no other letter case, and no slash more or less"
ABOVE = "role: support\nrules:\n"


@pytest.fixture
def told(loaded: Callable[..., Generation]) -> Callable[..., list[tuple[str, Bearing, Outcome | None, str]]]:
    """What the account of a GET under these rules says, rule by rule."""

    def explained(rules: str, path: str, body: object) -> list[tuple[str, Bearing, Outcome | None, str]]:
        policy = loaded({"roles/support.yaml": ABOVE + rules}).policy
        action = Action("GET", "crm", path)
        facts = HttpFacts("GET", "api.crm.example", path, body=body or {})
        who = Principal("issuer", "dev", ("support",), 0)
        decision = authorize(policy, who, (action,), facts, datetime(2030, 1, 1, tzinfo=UTC))
        found = accounts(policy, ("support",), action, decision)
        assert {each.owner for each in found} == {"support"}
        return [(each.rule.name.removeprefix("support/"), each.bearing, each.outcome, each.reason) for each in found]

    return explained


@pytest.mark.parametrize(
    ("rules", "path", "body", "expected"),
    [
        pytest.param(
            "  - {id: r, allow: [GET wiki /a, PUT crm /a, GET crm /b]}\n",
            "/a",
            {},
            [("r", Bearing.OTHER_PATH, None, "/b does not fit /a")],
            id="nearest-line",
        ),
        pytest.param(
            "  - {id: r, allow: [GET wiki /a, PUT|POST crm /a]}\n",
            "/a",
            {},
            [("r", Bearing.OTHER_VERB, None, "it takes PUT|POST, not GET")],
            id="nearest-line-by-verb",
        ),
        pytest.param(
            "  - {id: r, allow: [GET crm /z, GET crm /b]}\n",
            "/a",
            {},
            [("r", Bearing.OTHER_PATH, None, "/z does not fit /a")],
            id="first-of-lines-as-near",
        ),
        pytest.param(
            "  - {id: r, allow: ['GET crm /c/{id}/*', 'GET crm /c/*/{id}'], when: path.id == '2'}\n",
            "/c/1/2",
            {},
            [("r", Bearing.DECIDES, Outcome.MATCHED, "")],
            id="the-line-whose-condition-is-true",
        ),
        pytest.param(
            "  - {id: r, deny: any crm|wiki /b}\n  - {id: s, deny: any wiki}\n",
            "/a",
            {},
            [
                ("r", Bearing.OTHER_PATH, None, "/b does not fit /a"),
                ("s", Bearing.OTHER_TARGET, None, "it is about wiki, not crm"),
            ],
            id="several-targets",
        ),
        pytest.param(
            "  - {id: r, deny: any wiki /b}\n  - {id: s, deny: any wiki}\n",
            "/a",
            {},
            [
                ("r", Bearing.OTHER_TARGET, None, "it is about wiki, not crm"),
                ("s", Bearing.OTHER_TARGET, None, "it is about wiki, not crm"),
            ],
            id="by-name",
        ),
        pytest.param(
            "  - {id: z, deny: GET crm /a, when: body.x == 1}\n  - {id: b, deny: GET crm /*, when: body.y == 1}\n",
            "/a",
            {"x": 1, "y": 1},
            [("b", Bearing.DECIDES, Outcome.MATCHED, ""), ("z", Bearing.DECIDES, Outcome.MATCHED, "")],
            id="the-one-that-the-decision-names-first",
        ),
        pytest.param(
            "  - {id: b, allow: GET crm /a, when: body.x == 1}\n  - {id: c, hold: GET crm /a, when: body.x == 1}\n"
            "  - {id: d, hold: GET crm /a, when: body.x == 2}\n  - {id: e, allow: GET crm /a, when: body.y == 2}\n",
            "/a",
            {"x": 1},
            [
                ("c", Bearing.DECIDES, Outcome.MATCHED, ""),
                ("b", Bearing.CONSIDERED, Outcome.MATCHED, "a hold counts more"),
                ("e", Bearing.CONSIDERED, Outcome.UNEVALUABLE, "unevaluable: body.y is missing"),
                ("d", Bearing.CONSIDERED, Outcome.CONDITION_FALSE, "when is false: body.x == 2"),
            ],
            id="outcomes",
        ),
        pytest.param(
            "  - {id: r, allow: GET crm /A}\n  - {id: s, allow: GET crm /a/, mask: {$.a: redact}}\n",
            "/a",
            {},
            [
                (
                    "r",
                    Bearing.OTHER_SPELLING,
                    None,
                    f"/A does not fit /a: {EXACT}",
                ),
                (
                    "s",
                    Bearing.OTHER_SPELLING,
                    None,
                    f"/a/ does not fit /a: {EXACT}; what it masks is masked",
                ),
            ],
            id="other-spelling",
        ),
    ],
)
def test_accounts(
    told: Callable[..., object], rules: str, path: str, body: object, expected: list[tuple[str, Bearing, object, str]]
) -> None:
    assert told(rules, path, body) == expected
