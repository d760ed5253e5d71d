"""The decision: a pure function of the policy, who asks, what they ask for, and when.

Default deny; deny beats hold beats allow; the most restrictive over all actions. A condition without a certain answer
(law 2) keeps an allow from matching and makes a deny or hold deny. The shape is cedar-go's `authorize.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.model import Action, Considered, Decision, Form, Hold, HttpFacts, Mask, Outcome, Principal, Show, Verdict
from lockgate.policy.conditions.evaluation import Evaluation
from lockgate.policy.conditions.spellings import Once
from lockgate.policy.folding import PathText
from lockgate.policy.patterns import NO_CAPTURES
from lockgate.policy.reshaping import listed, refused
from lockgate.policy.rules import Alterations, Policy, Rule

STRICTEST_FIRST = (Verdict.DENY, Verdict.HOLD, Verdict.ALLOW)

NOTHING = Alterations()
NOT_TAKEN: Mapping[str, Considered] = MappingProxyType({})

Weighed = tuple[Rule, Considered]


def authorize(
    policy: Policy,
    principal: Principal,
    actions: Sequence[Action],
    facts: HttpFacts,
    now: datetime,
    met: Container[Hold] = (),
    taken: Mapping[str, Considered] = NOT_TAKEN,
) -> Decision:
    """What the policy says of all `actions` together, at the instant `now` (aware).

    Somebody without a known role is denied, as is a request that reads as no action. A hold that is `met`, because
    persons have approved what it asks for, allows. `taken` has, by the names of rules that have no certain answer, how
    they came out when all that they read was at hand: for a request of the past, of which not all was kept.
    """
    if not policy.knows_any(principal.roles):
        redactions = distinct(sorted(text for action in actions for text in policy.redactions(action.target)))
        return Decision(Verdict.DENY, reason="None of the caller's roles is known here.", redactions=redactions)
    if not actions:
        return Decision(Verdict.DENY, reason="The request reads as no action.")
    bound = Environment(principal, facts, now, taken)
    fitting = [policy.matching(principal.roles, action.target, action.verb, action.resource) for action in actions]
    weighed = [[(rule, weigh(rule, captures, bound)) for rule, captures in about] for about, _ in fitting]
    verdict, decisive = strictest([decide(found, met) for found in weighed])
    # An allow that is nearly about an action allows nothing; what it masks is masked all the same.
    near = [(rule, weigh(rule, captures, bound)) for _, found in fitting for rule, captures in found]
    if bound.evaluation.exhausted:  # which rules still had an answer depends on their order
        verdict, decisive = Verdict.DENY, None
    why = EXHAUSTED if bound.evaluation.exhausted else reason(decisive) if decisive else None
    left_out = NOTHING
    if policy.alters([action.target for action in actions]):
        pairs = [pair for found in (*weighed, near) for pair in found]
        left_out = alterations(policy, verdict, actions, pairs)
        binding = [rule for rule, each in pairs if each.outcome in BINDING]
        if verdict is not Verdict.DENY and (found := refused(facts.query, binding, left_out.masks, left_out.shows)):
            verdict, decisive, why = Verdict.DENY, None, found
    return Decision(
        verdict,
        rule=decisive[0].name if decisive else None,
        reason=why,
        considered=distinct(sorted([each for found in weighed for _, each in found])),
        masks=left_out.masks,
        shows=left_out.shows,
        redactions=left_out.redactions,
        holds=unmet(weighed, met) if verdict is Verdict.HOLD else (),
    )


EXHAUSTED = "To decide this request takes too long."
# Of these outcomes a rule's masks count: it does not certainly not match.
BINDING = (Outcome.MATCHED, Outcome.UNEVALUABLE)


def weigh(rule: Rule, captures: Mapping[str, str], bound: Environment) -> Considered:
    """How a rule that is about an action comes out, and why where it does not match."""
    if rule.always:
        return rule.matched
    if rule.expires is not None and bound.now >= rule.expires:
        return rule.considered(Outcome.EXPIRED, f"it expired at {rule.expires.isoformat()}")
    bound.captures = captures
    try:
        if rule.when is not None and not rule.when.holds(bound, bound.evaluation):
            return rule.considered(Outcome.CONDITION_FALSE, "when is false")
        if rule.unless is not None and rule.unless.holds(bound, bound.evaluation):
            return rule.considered(Outcome.CONDITION_FALSE, "unless is true")
        if rule.query is not None and not rule.query.issuperset(bound.facts.query):
            raise Unevaluable(f"its query takes {listed(rule.query)} only")
    except Unevaluable as error:
        return bound.taken.get(rule.name) or rule.considered(Outcome.UNEVALUABLE, str(error))
    return rule.matched


class Environment(dict[str, Any]):
    """The facts by the names that conditions use; what is not at hand is made when the first condition asks for it.

    All conditions of a decision share one `evaluation`, and its limit of steps. `captures` are of the rule at hand.
    `taken` is as in `authorize`.
    """

    __slots__ = ("captures", "evaluation", "facts", "now", "principal", "taken")

    def __init__(
        self, principal: Principal, facts: HttpFacts, now: datetime, taken: Mapping[str, Considered] = NOT_TAKEN
    ) -> None:
        body = facts.body
        self["body"] = Once("field of the form", body.fields) if isinstance(body, Form) else body
        self["now"] = now
        self.principal = principal
        self.facts = facts
        self.now = now
        self.taken = taken
        self.captures = NO_CAPTURES
        self.evaluation = Evaluation()

    def __missing__(self, name: str) -> Any:
        if name == "path":  # differs by rule
            return {name: PathText(text) for name, text in self.captures.items()}
        found = self[name] = FACTS[name](self)
        return found


FACTS: Mapping[str, Callable[[Environment], Any]] = {
    "principal": lambda bound: {
        "issuer": bound.principal.issuer,
        "subject": bound.principal.subject,
        "roles": bound.principal.roles,
        "claims": bound.principal.claims,
    },
    "request": lambda bound: {
        "method": bound.facts.method,
        "host": bound.facts.host,
        "path": PathText(bound.facts.path),
        "query": Once("query parameter", bound.facts.query),
        "query_all": bound.facts.query,
        "headers": Once("header", bound.facts.headers),
    },
}


def decide(weighed: Sequence[Weighed], met: Container[Hold]) -> tuple[Verdict, Weighed | None]:
    """The verdict on one action and the rule it comes from: of several equals, the first by name."""
    for verdict in STRICTEST_FIRST:
        if found := [pair for pair in weighed if contributes(pair, met) is verdict]:
            return verdict, found[0] if len(found) == 1 else min(found, key=lambda pair: order(pair[1]))
    return Verdict.DENY, None


def unmet(weighed: Iterable[Iterable[Weighed]], met: Container[Hold]) -> tuple[Hold, ...]:
    """What has to be met before a request may go on, in an order that no file's order changes."""
    holds = {rule.hold for found in weighed for rule, each in found if each.outcome is Outcome.MATCHED and rule.hold}
    return tuple(sorted((hold for hold in holds if hold not in met), key=attrgetter("rule")))


def contributes(weighed: Weighed, met: Container[Hold]) -> Verdict | None:
    """What one rule contributes where some holds are met."""
    rule, considered = weighed
    if considered.outcome is Outcome.MATCHED and rule.hold is not None and rule.hold in met:
        return Verdict.ALLOW
    return says(considered)


def says(considered: Considered) -> Verdict | None:
    """What one rule contributes by itself."""
    if considered.outcome is Outcome.MATCHED:
        return considered.verdict
    if considered.outcome is Outcome.UNEVALUABLE and considered.verdict is not Verdict.ALLOW:
        return Verdict.DENY
    return None


def strictest(decided: Sequence[tuple[Verdict, Weighed | None]]) -> tuple[Verdict, Weighed | None]:
    """The verdict over all actions; among equals one with a rule to name wins, the last by name."""
    return decided[0] if len(decided) == 1 else max(decided, key=restriction)


def restriction(decision: tuple[Verdict, Weighed | None]) -> tuple[int, bool, tuple[str, ...]]:
    verdict, decisive = decision
    return -STRICTEST_FIRST.index(verdict), decisive is not None, order(decisive[1]) if decisive else ()


def reason(decisive: Weighed) -> str | None:
    rule, considered = decisive
    if considered.outcome is Outcome.UNEVALUABLE:
        return f"The condition of {rule.name} has no certain answer for this request."
    return rule.reason


def alterations(policy: Policy, verdict: Verdict, actions: Sequence[Action], weighed: Sequence[Weighed]) -> Alterations:
    """What is left out of answers and of the record.

    Of the record that is what any rule about the request leaves out, whatever its condition says. Of a request that is
    refused, it is what any rule at its targets does: it may be not quite what a rule was written for.
    """
    everywhere: list[Rule | Alterations] = [
        policy.alterations[action.target] for action in actions if action.target in policy.alterations
    ]
    binding = [rule for rule, each in weighed if each.outcome in BINDING] + everywhere
    there: list[Rule | Alterations] = [rule for rule, each in weighed if each.outcome is not Outcome.EXPIRED]
    redactions = [text for each in there + everywhere for text in each.redactions]
    if verdict is Verdict.DENY:
        redactions = [text for action in actions for text in policy.redactions(action.target)]
    return Alterations(
        distinct(sorted([mask for each in binding for mask in each.masks], key=mask_order)),
        distinct(sorted([show for each in binding for show in each.shows], key=show_order)),
        distinct(sorted(redactions)),
    )


def distinct[T](ordered: list[T]) -> tuple[T, ...]:
    """Each thing once, of what is in an order that no file's order changes."""
    return tuple([each for each, _ in groupby(ordered)]) if len(ordered) > 1 else tuple(ordered)


def mask_order(mask: Mask) -> tuple[str, ...]:
    return mask.path, mask.kind, str(mask.argument), mask.rule


def show_order(show: Show) -> tuple[Any, ...]:
    return show.rule, show.paths


order = attrgetter("rule", "source", "outcome", "detail")  # of what was considered
