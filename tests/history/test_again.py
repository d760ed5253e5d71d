from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.past import Asked
from lockgate.history.again import Again, Judge
from lockgate.history.kept import Case, case_of
from lockgate.history.records import Past
from lockgate.policy.generation import Generation

CRM = "https://api.crm.example"
JSON = (("content-type", "application/json"),)
READ = Asked("GET", f"{CRM}/v1/customers/7")
SMALL = Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 5, "note": "for me"}', JSON)
BIG = Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 600, "note": "x"}', JSON)
TEAM = Asked("GET", f"{CRM}/v1/teams", claims=(("team", "red"),))
SEARCH = Asked("GET", f"{CRM}/v1/search?q=x")
QUIET = Asked("POST", "https://vault.example/v1/quiet?b=1", b'{"a": 1}', JSON)


@pytest.fixture(scope="module")
def judge(rules: Generation) -> Judge:
    return Judge(rules)


def of(again: Again) -> tuple[str, str | None, tuple[str, ...], tuple[str, ...]]:
    return again.verdict, again.decision.rule if again.decision else None, again.unknown, again.taken


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(READ, ("allow", "support/read", (), ()), id="allow"),
        pytest.param(BIG, ("hold", "support/big", (), ("body.note",)), id="hold"),
        pytest.param(Asked("DELETE", f"{CRM}/v1/x"), ("deny", "support/no", (), ()), id="deny"),
        pytest.param(Asked("GET", f"{CRM}/v1/x"), ("deny", None, (), ()), id="default"),
        pytest.param(
            Asked("GET", f"{CRM}/v1/teams", claims=(("team", "red"),)), ("allow", "support/team", (), ()), id="claim"
        ),
        pytest.param(SMALL, ("allow", "support/small", (), ("body.note",)), id="redacted"),
        pytest.param(
            Asked("GET", f"{CRM}/v1/search?q=x"), ("allow", "support/asked", (), ("request.query.q",)), id="query"
        ),
        pytest.param(QUIET, ("allow", "support/quiet", (), ("body.a", "request.query.b")), id="digest"),
        pytest.param(Asked("GET", "https://gone.example/"), ("refused", None, (), ()), id="refused"),
        pytest.param(Asked("GET", f"{CRM}/v1/x", roles=("nobody",)), ("deny", None, (), ()), id="no-known-role"),
    ],
)
def test_by_the_rules_that_decided_it(
    judge: Judge, case: Callable[..., Case], asked: Asked, expected: tuple[object, ...]
) -> None:
    assert of(judge.decide(case(asked), judge)) == expected


def test_what_was_approved_is_met(judge: Judge, case: Callable[..., Case]) -> None:
    found = case(Asked(**{**BIG.__dict__, "approved": True}))
    assert found.past.approved == {"support/big"}
    assert of(judge.decide(found, judge, judge.met(found.past.approved)))[:2] == ("allow", "support/big")


def test_without_the_outcome_that_was_recorded_it_is_not_known(judge: Judge, case: Callable[..., Case]) -> None:
    assert judge.decide(case(SMALL)).unknown == ("body.note",)
    assert judge.decide(case(QUIET)).unknown == ("body.a", "request.query.b")


def test_a_rule_that_was_changed_does_not_come_out_as_it_did(
    judge: Judge, case: Callable[..., Case], changed: Callable[..., Generation]
) -> None:
    other = Judge(changed("body.note != null", 'body.note != "x"'))
    assert of(other.decide(case(SMALL), judge)) == ("deny", None, ("body.note",), ())


def test_nor_does_one_that_asks_another_list(
    judge: Judge, case: Callable[..., Case], changed: Callable[..., Generation]
) -> None:
    asked = Asked("GET", f"{CRM}/v1/teams", claims=(("team", "red"),))
    found = case(
        asked, principal={"issuer": "i", "subject": "s", "roles": ["support"], "claims": {"team": "[redacted]"}}
    )
    assert of(judge.decide(found, judge)) == ("allow", "support/team", (), ("principal.claims.team",))
    other = Judge(changed("[red, blue]", "[blue]", "gateway.yaml"))
    assert other.decide(found, judge).unknown == ("principal.claims.team",)


def test_a_rule_of_another_name_verdict_or_line_that_asks_the_same_does(
    judge: Judge, case: Callable[..., Case], changed: Callable[..., Generation]
) -> None:
    other = Judge(
        changed("  - id: small\n    allow: POST crm /v1/refunds\n", "  - id: few\n    hold: POST crm /v1/**\n")
    )
    assert of(other.decide(case(SMALL), judge)) == ("hold", "support/few", (), ("body.note",))


def test_what_had_no_answer_then_may_have_one_under_other_types(
    judge: Judge, case: Callable[..., Case], changed: Callable[..., Generation]
) -> None:
    """The text of a condition is not all that decides it: only the very rule is unevaluable again."""
    declared = Judge(changed("    redact_request: [$.note]\n", "    types: {body.note: string}\n"))
    source = next(rule.source for rule in judge.rules.values() if rule.name == "support/small")
    said = [{"rule": "support/small", "source": source, "verdict": "allow", "outcome": "unevaluable"}]
    found = case(SMALL, decision={"verdict": "deny", "rule": None, "considered": said})
    assert judge.decide(found, judge).unknown == ()
    assert declared.decide(found, judge).unknown == ("body.note",)


def test_a_deny_that_is_certain_needs_no_facts(
    judge: Judge, case: Callable[..., Case], changed: Callable[..., Generation]
) -> None:
    other = Judge(changed("    deny: DELETE crm\n", "    deny: [DELETE crm, POST crm]\n    when: body.amount < 9\n"))
    assert of(other.decide(case(SMALL), None)) == ("deny", "support/no", (), ())


def test_an_allow_that_is_certain_needs_no_others(
    judge: Judge, case: Callable[..., Case], changed: Callable[..., Generation]
) -> None:
    free = "  - id: free\n    allow: POST crm /v1/**\n  - id: no\n"
    assert of(Judge(changed("  - id: no\n", free)).decide(case(SMALL)))[:3] == ("allow", "support/free", ())
    other = Judge(changed("    redact_request: [$.note]\n", "    mask: {$.a: drop}\n"))
    again = Judge(other.generation).decide(case(SMALL))
    assert again.unknown_masks == ("body.note",)


def test_a_hold_that_is_not_certain_is_not_known(
    judge: Judge, case: Callable[..., Case], changed: Callable[..., Generation]
) -> None:
    more = "  - id: free\n    allow: POST crm /v1/**\n  - id: ask\n    hold: POST crm /v1/**\n"
    other = Judge(changed("  - id: no\n", f"{more}    when: body.note == 'y'\n  - id: no\n"))
    assert other.decide(case(SMALL)).unknown == ("body.note",)


def test_null_is_no_answer_to_what_was_not_kept(judge: Judge, case: Callable[..., Case]) -> None:
    """`body.note != null` is false of null, and true of all else: neither is guessed."""
    (considered,) = [each for each in judge.decide(case(SMALL)).decision.considered if each.rule == "support/small"]
    assert (considered.outcome, considered.detail) == ("unevaluable", "body.note cannot be read: it was not kept")


def test_an_instant_that_was_not_kept(remembered: Callable[..., Past], changed: Callable[..., Generation]) -> None:
    past = remembered(READ, version=1, decided_at=None)
    other = Judge(changed("{id}\n", "{id}\n    expires: 2027-01-01\n"))
    found = case_of(past)
    assert found is not None
    assert other.decide(found).unknown == ("now",)


def test_a_claim_that_only_other_rules_read_is_not_known(
    judge: Judge, case: Callable[..., Case], changed: Callable[..., Generation]
) -> None:
    """It may be in the token, or not: `has` is no answer either."""
    other = Judge(changed("    mask: {$..ssn: redact}\n", "    when: '!has(principal.claims.guest)'\n"))
    assert other.decide(case(READ), judge).unknown == ("principal.claims.guest",)


def test_who_edits_a_record_takes_no_rule_for_another(
    judge: Judge, case: Callable[..., Case], remembered: Callable[..., Past]
) -> None:
    """An outcome is taken only of a rule that was considered, and only where a fact is missing."""
    decision = dict(remembered(READ).decision or {})
    entries = [{**each, "outcome": "condition-false"} for each in decision["considered"]]
    found = case(READ, decision={**decision, "considered": [*entries, 3, {"outcome": "made-up"}]})
    assert of(judge.decide(found, judge)) == ("allow", "support/read", (), ())
