"""The rule language against a second evaluator, written from the spec alone, and what holds whatever the rules say."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, note, settings
from hypothesis import strategies as st
from naive.conditions import Request
from naive.evaluator import Answer, evaluate
from naive.generate import ROLES, files, more, requests, rule_sets

from lockgate.errors import RulesInvalid
from lockgate.model import Action, Decision, HttpFacts, Outcome, Unreadable, Verdict
from lockgate.policy.authorize import authorize
from lockgate.policy.generation import Generation
from lockgate.policy.load import assemble

FREEDOM = {"deny": 0, "hold": 1, "allow": 2}
SAYS_NOTHING = "never counts"  # of a line that a deny covers whole

sometimes = settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
often = settings(sometimes, max_examples=60)


def loaded(found: Mapping[str, Any]) -> Generation:
    """The rules, loaded. Some that the loader refuses, because they say nothing, are no example."""
    try:
        return assemble(files(found), Path("/rules"))
    except RulesInvalid as error:
        for problem in error.problems:
            note(str(problem))
            event(problem.message.partition(":")[0])
            assert problem.message.startswith(SAYS_NOTHING)
        assume(False)
        raise


def decide(generation: Generation, request: Request) -> Decision:
    facts = HttpFacts(
        request.method, f"{request.target}.example", request.path, request.query, request.headers, request.body
    )
    action = Action(request.method, request.target, request.path)
    return authorize(generation.policy, request.principal, [action], facts, request.now)


def answer(decision: Decision) -> Answer:
    """What both evaluators must say alike."""
    return Answer(
        decision.verdict.value,
        frozenset((each.rule, each.outcome.value) for each in decision.considered),
        frozenset((mask.path, mask.kind, mask.argument, mask.rule) for mask in decision.masks),
        frozenset((show.paths, show.rule) for show in decision.shows),
        frozenset(decision.redactions),
    )


def joined(request: Request, *roles: str) -> Request:
    """The request of somebody with these roles too."""
    return replace(request, principal=replace(request.principal, roles=(*request.principal.roles, *roles)))


def hides_as_much(after: Answer, before: Answer) -> bool:
    """Of the answer, and of the record. That of a request no longer refused may show more of it."""
    recorded = after.redactions >= before.redactions or (before.verdict == "deny" and after.verdict != "deny")
    return after.masks >= before.masks and after.shows >= before.shows and recorded


@often
@given(rule_sets(), st.data())
def test_both_evaluators_agree(found: dict[str, Any], data: st.DataObject) -> None:
    generation = loaded(found)
    for _ in range(4):
        request = data.draw(requests(found))
        expected, decision = evaluate(found, request), decide(generation, request)
        event(f"{expected.verdict}, {len(expected.outcomes)} rules")
        assert answer(decision) == expected
        assert decision.rule in (expected.deciding or {None})


@sometimes
@given(rule_sets(), st.data())
def test_order_means_nothing(found: dict[str, Any], data: st.DataObject) -> None:
    request = data.draw(requests(found))
    shuffled = copy.deepcopy(found)
    for rules in (shuffled["guardrails"], *(role["rules"] for role in shuffled["roles"].values())):
        rules[:] = data.draw(st.permutations(rules))
        for rule in rules:
            for verdict in FREEDOM:
                if isinstance(rule.get(verdict), list):
                    rule[verdict].reverse()
    shuffled["roles"] = dict(reversed(shuffled["roles"].items()))
    backwards = replace(request, principal=replace(request.principal, roles=request.principal.roles[::-1]))
    before, after = decide(loaded(found), request), decide(loaded(shuffled), backwards)
    assert (after.rule, after.reason, answer(after)) == (before.rule, before.reason, answer(before))


@pytest.mark.parametrize("verdict", ["deny", "hold"])
@sometimes
@given(found=rule_sets(), data=st.data())
def test_one_more_deny_or_hold_never_allows_more(verdict: str, found: dict[str, Any], data: st.DataObject) -> None:
    """A hold where nothing matched may ask a person: it still allows nothing."""
    owner = data.draw(st.sampled_from((*ROLES, "guardrails")))
    stricter = copy.deepcopy(found)
    rules = stricter["guardrails"] if owner == "guardrails" else stricter["roles"][owner]["rules"]
    rules.append({"id": "another", **data.draw(more(verdict))})
    before, after = loaded(found), loaded(stricter)
    for _ in range(3):
        request = data.draw(requests(stricter))
        old, new = answer(decide(before, request)), answer(decide(after, request))
        assert FREEDOM[new.verdict] <= max(FREEDOM[old.verdict], FREEDOM[verdict])
        assert new.verdict != "allow" or old.verdict == "allow"
        assert new.outcomes >= old.outcomes
        assert hides_as_much(new, old)


@sometimes
@given(rule_sets(), st.data())
def test_one_allow_less_never_allows_more(found: dict[str, Any], data: st.DataObject) -> None:
    allows = [(role, rule) for role, entry in found["roles"].items() for rule in entry["rules"] if "allow" in rule]
    assume(allows)
    role, removed = data.draw(st.sampled_from(allows))
    stricter = copy.deepcopy(found)
    stricter["roles"][role]["rules"] = [rule for rule in found["roles"][role]["rules"] if rule is not removed]
    before, after = loaded(found), loaded(stricter)
    for _ in range(3):
        request = data.draw(requests(found))
        old, new = answer(decide(before, request)), answer(decide(after, request))
        assert FREEDOM[new.verdict] <= FREEDOM[old.verdict]
        assert new.outcomes == {each for each in old.outcomes if each[0] != f"{role}/{removed['id']}"}


@sometimes
@given(rule_sets(), st.data())
def test_another_role_removes_no_deny_and_no_mask(found: dict[str, Any], data: st.DataObject) -> None:
    """Roles that no condition asks for: one that does may well be a deny for those who lack the role."""
    generation = loaded(found)
    for _ in range(3):
        request = data.draw(requests(found))
        alone = decide(generation, request)
        more = answer(decide(generation, joined(request, data.draw(st.sampled_from(("support", "reader"))))))
        assert more.outcomes >= answer(alone).outcomes
        assert hides_as_much(more, answer(alone))
        if alone.rule is not None:
            assert FREEDOM[more.verdict] <= FREEDOM[alone.verdict]


@sometimes
@given(rule_sets(), st.data())
def test_an_unknown_role_changes_nothing_and_allows_nothing(found: dict[str, Any], data: st.DataObject) -> None:
    generation = loaded(found)
    for _ in range(3):
        request = data.draw(requests(found))
        assert decide(generation, joined(request, "nobody", "Support", "")) == decide(generation, request)
        stranger = replace(request, principal=replace(request.principal, roles=("nobody", "guardrails")))
        assert decide(generation, stranger).verdict is Verdict.DENY


@sometimes
@given(rule_sets(), st.data())
def test_what_cannot_be_evaluated_denies(found: dict[str, Any], data: st.DataObject) -> None:
    generation = loaded(found)
    for _ in range(3):
        request = replace(data.draw(requests(found)), body=Unreadable("it is not JSON"))
        decision = decide(generation, request)
        outcomes = {(each.verdict, each.outcome) for each in decision.considered}
        event(str(decision.verdict))
        if outcomes & {(Verdict.DENY, Outcome.UNEVALUABLE), (Verdict.HOLD, Outcome.UNEVALUABLE)}:
            assert decision.verdict is Verdict.DENY
        if decision.verdict is not Verdict.DENY:
            assert (decision.verdict, Outcome.MATCHED) in outcomes
