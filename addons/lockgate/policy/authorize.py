"""The decision: a pure function of the policy, who asks, what they ask for, and when.

Default deny; deny beats hold beats allow; the most restrictive over all actions. A condition without a certain answer
(law 2) keeps an allow from matching and makes a deny or hold deny. The shape is cedar-go's `authorize.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.model import Action, Considered, Decision, HttpFacts, Mask, Outcome, Principal, Show, Verdict
from lockgate.policy.conditions.evaluation import Evaluation
from lockgate.policy.conditions.spellings import Once
from lockgate.policy.folding import PathText
from lockgate.policy.rules import Alterations, Policy, Rule

RESTRICTION = {Verdict.ALLOW: 0, Verdict.HOLD: 1, Verdict.DENY: 2}

Weighed = tuple[Rule, Considered]


def authorize(
    policy: Policy, principal: Principal, actions: Sequence[Action], facts: HttpFacts, now: datetime
) -> Decision:
    """What the policy says of all `actions` together, at the instant `now` (aware).

    Somebody without a known role is denied, as is a request that reads as no action.
    """
    if not any(policy.knows(role) for role in principal.roles):
        left_out = joined((policy.redactions(action.target) for action in actions), str)
        return Decision(Verdict.DENY, reason="None of the caller's roles is known here.", redactions=left_out)
    if not actions:
        return Decision(Verdict.DENY, reason="The request reads as no action.")
    bound = Environment(principal, facts, now)
    fitting = [policy.matching(principal.roles, action.target, action.verb, action.resource) for action in actions]
    weighed = [[weigh(rule, captures, bound) for rule, captures in about] for about, _ in fitting]
    decided = [decide(found) for found in weighed]
    verdict, decisive = decided[0] if len(decided) == 1 else max(decided, key=restriction)
    # An allow that is nearly about an action allows nothing; what it masks is masked all the same.
    near = [weigh(rule, captures, bound) for _, found in fitting for rule, captures in found]
    outcomes = [(rule, each.outcome) for found in (*weighed, near) for rule, each in found]
    everywhere = [policy.alterations[action.target] for action in actions if action.target in policy.alterations]
    binding: list[Rule | Alterations] = [rule for rule, outcome in outcomes if outcome in BINDING] + everywhere
    if bound.evaluation.exhausted:  # which rules still had an answer depends on their order
        verdict, decisive = Verdict.DENY, None
    return Decision(
        verdict,
        rule=decisive[0].name if decisive else None,
        reason=EXHAUSTED if bound.evaluation.exhausted else reason(decisive) if decisive else None,
        considered=joined(([each for _, each in found] for found in weighed), order),
        masks=joined((each.masks for each in binding), mask_order),
        shows=joined((each.shows for each in binding), show_order),
        redactions=joined(redactions(policy, verdict, actions, outcomes, everywhere), str),
    )


EXHAUSTED = "To decide this request takes too long."
# Of these outcomes a rule's masks count: it does not certainly not match.
BINDING = (Outcome.MATCHED, Outcome.UNEVALUABLE)


def weigh(rule: Rule, captures: Mapping[str, str], bound: Environment) -> Weighed:
    """A rule that is about an action, with how it came out."""
    outcome, detail = evaluated(rule, captures, bound)
    return rule, Considered(rule.name, rule.source, rule.verdict, outcome, detail)


def evaluated(rule: Rule, captures: Mapping[str, str], bound: Environment) -> tuple[Outcome, str]:
    """How a rule that is about the action comes out, and why where it does not match."""
    if rule.always:
        return Outcome.MATCHED, ""
    if rule.expires is not None and bound.now >= rule.expires:
        return Outcome.EXPIRED, f"it expired at {rule.expires.isoformat()}"
    try:
        facts = bound.facts(captures)
        if rule.when is not None and not rule.when.holds(facts, bound.evaluation):
            return Outcome.CONDITION_FALSE, "when is false"
        if rule.unless is not None and rule.unless.holds(facts, bound.evaluation):
            return Outcome.CONDITION_FALSE, "unless is true"
    except Unevaluable as error:
        return Outcome.UNEVALUABLE, str(error)
    return Outcome.MATCHED, ""


class Environment:
    """The facts by the names that conditions use, made when the first condition asks for them.

    All conditions of a decision share one `evaluation`, and its limit of steps.
    """

    def __init__(self, principal: Principal, facts: HttpFacts, now: datetime) -> None:
        self.now = now
        self.evaluation = Evaluation()
        self._principal = principal
        self._request = facts
        self._common: dict[str, Any] | None = None

    def facts(self, captures: Mapping[str, str]) -> dict[str, Any]:
        """The facts of a rule whose line captured these: `path` differs by rule, the rest does not."""
        if self._common is None:
            self._common = environment(self._principal, self._request, self.now)
        return {**self._common, "path": {name: PathText(text) for name, text in captures.items()}}


def decide(weighed: Sequence[Weighed]) -> tuple[Verdict, Weighed | None]:
    """The verdict on one action and the rule it comes from: of several equals, the first by name."""
    found = [(verdict, pair) for pair in weighed if (verdict := says(pair[1])) is not None]
    if len(found) < 2:
        return found[0] if found else (Verdict.DENY, None)
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


def redactions(
    policy: Policy,
    verdict: Verdict,
    actions: Sequence[Action],
    outcomes: Sequence[tuple[Rule, Outcome]],
    everywhere: Sequence[Alterations],
) -> Iterable[Iterable[str]]:
    """What is left out of the record: what any rule about the request leaves out, whatever its condition says.

    Of a request that is refused, what any rule at its targets does: it may be not quite what a rule was written for.
    """
    if verdict is Verdict.DENY:
        return [policy.redactions(action.target) for action in actions]
    there = [rule.redactions for rule, outcome in outcomes if outcome is not Outcome.EXPIRED]
    return [*there, *(each.redactions for each in everywhere)]


def joined[T](groups: Iterable[Iterable[T]], key: Callable[[T], Any]) -> tuple[T, ...]:
    """All of the groups, each thing once, in an order that no file's order changes."""
    found = [each for group in groups for each in group]
    return tuple(each for each, _ in groupby(sorted(found, key=key))) if len(found) > 1 else tuple(found)


def mask_order(mask: Mask) -> tuple[str, ...]:
    return mask.path, mask.kind, str(mask.argument), mask.rule


def show_order(show: Show) -> tuple[Any, ...]:
    return show.rule, show.paths


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
            "path": PathText(facts.path),
            "query": Once("query parameter", facts.query),
            "query_all": facts.query,
            "headers": Once("header", facts.headers),
        },
        "body": facts.body,
        "now": now,
    }
