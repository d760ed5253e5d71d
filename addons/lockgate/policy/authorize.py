"""The decision: a pure function of the policy, who asks, what they ask for, and when.

Default deny; deny beats hold beats allow; the most restrictive over all actions. A condition without a certain answer
(law 2) keeps an allow from matching and makes a deny or hold deny. The shape is cedar-go's `authorize.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.model import Action, Considered, Decision, HttpFacts, Mask, Outcome, Principal, Verdict
from lockgate.policy.conditions.evaluate import Once
from lockgate.policy.rules import Entry, Policy, Rule

RESTRICTION = {Verdict.ALLOW: 0, Verdict.HOLD: 1, Verdict.DENY: 2}

Weighed = tuple[Rule, Considered]


def authorize(
    policy: Policy, principal: Principal, actions: Sequence[Action], facts: HttpFacts, now: datetime
) -> Decision:
    """What the policy says of all `actions` together, at the instant `now` (aware).

    Somebody without a known role is denied, as is a request that reads as no action.
    """
    if not policy.known(principal.roles):
        return Decision(Verdict.DENY, reason="None of the caller's roles is known here.")
    if not actions:
        return Decision(Verdict.DENY, reason="The request reads as no action.")
    bound = environment(principal, facts, now)
    weighed = [list(weigh(policy, principal, action, bound)) for action in actions]
    verdict, decisive = max((decide(found) for found in weighed), key=restriction)
    considered = {each: rule for found in weighed for rule, each in found}
    masks = {mask for each, rule in considered.items() for mask in masks_of(rule, each)}
    masks.update(mask for action in actions for mask in policy.masks.get(action.target, ()))
    return Decision(
        verdict,
        rule=decisive[0].name if decisive else None,
        reason=reason(decisive) if decisive else None,
        considered=tuple(sorted(considered, key=order)),
        masks=tuple(sorted(masks, key=lambda mask: (mask.path, mask.kind, str(mask.argument), mask.rule))),
    )


def weigh(policy: Policy, principal: Principal, action: Action, bound: Mapping[str, Any]) -> Iterator[Weighed]:
    """Every rule that is about the action, with how it came out."""
    for entry in policy.entries(principal.roles, action.target, action.verb):
        captures = entry.match(action.resource)
        if captures is not None:
            outcome, detail = evaluated(entry, {**bound, "path": captures})
            rule = entry.rule
            yield rule, Considered(rule.name, rule.source, rule.verdict, outcome, detail)


def evaluated(entry: Entry, facts: Mapping[str, Any]) -> tuple[Outcome, str]:
    condition = entry.rule.condition
    try:
        holds = condition is None or condition.holds(facts)
    except Unevaluable as error:
        return Outcome.UNEVALUABLE, str(error)
    return (Outcome.MATCHED if holds else Outcome.CONDITION_FALSE), ""


def decide(weighed: Sequence[Weighed]) -> tuple[Verdict, Weighed | None]:
    """The verdict on one action and the rule it comes from: of several equals, the first by name."""
    found = [(verdict, pair) for pair in weighed if (verdict := says(pair[1])) is not None]
    if not found:
        return Verdict.DENY, None
    return min(found, key=lambda each: (-RESTRICTION[each[0]], order(each[1][1])))


def says(considered: Considered) -> Verdict | None:
    """What one rule contributes."""
    if considered.outcome is Outcome.MATCHED:
        return considered.verdict
    if considered.outcome is Outcome.UNEVALUABLE and considered.verdict is not Verdict.ALLOW:
        return Verdict.DENY
    return None


def restriction(decision: tuple[Verdict, Weighed | None]) -> tuple[int, bool, tuple[str, ...]]:
    """Orders verdicts over actions; among equals one with a rule to name wins, the last by name."""
    verdict, decisive = decision
    return RESTRICTION[verdict], decisive is not None, order(decisive[1]) if decisive else ()


def reason(decisive: Weighed) -> str | None:
    rule, considered = decisive
    if considered.outcome is Outcome.UNEVALUABLE:
        return f"The condition of {rule.name} has no certain answer for this request."
    return rule.reason


def masks_of(rule: Rule, considered: Considered) -> tuple[Mask, ...]:
    """A rule's masks bind unless its condition is certainly false."""
    return () if considered.outcome is Outcome.CONDITION_FALSE else rule.masks


def order(considered: Considered) -> tuple[str, ...]:
    return considered.rule, considered.source, considered.outcome, considered.detail


def environment(principal: Principal, facts: HttpFacts, now: datetime) -> dict[str, Any]:
    """The facts by the names that conditions use; `path` differs by rule and is added there."""
    return {
        "principal": {
            "issuer": principal.issuer,
            "subject": principal.subject,
            "roles": principal.roles,
            "claims": principal.claims,
        },
        "request": {
            "method": facts.method,
            "host": facts.host,
            "path": facts.path,
            "query": Once("query parameter", facts.query),
            "query_all": facts.query,
            "headers": Once("header", facts.headers),
        },
        "body": facts.body,
        "now": now,
    }
