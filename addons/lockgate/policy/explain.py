"""Why a decision came out as it did: every rule that binds the caller, and what kept it from matching. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

from lockgate.model import Action, Considered, Decision, Outcome, Verdict
from lockgate.policy.authorize import says
from lockgate.policy.conditions import Condition
from lockgate.policy.patterns import Pattern, Resource
from lockgate.policy.rules import Line, Policy, Rule


class Bearing(IntEnum):
    """How near a rule came to deciding, the nearest first."""

    DECIDES = 0
    CONSIDERED = 1
    OTHER_SPELLING = 2
    OTHER_PATH = 3
    OTHER_VERB = 4
    OTHER_TARGET = 5


@dataclass(frozen=True, slots=True)
class Account:
    """One rule and what came of it. `owner` is the role whose file it stands in, or the guardrails.

    `outcome` is None where no line of the rule is about the action; `reason` says why it did not match, or did not
    count.
    """

    owner: str
    rule: Rule
    bearing: Bearing
    outcome: Outcome | None
    reason: str

    @property
    def matched(self) -> bool:
        return self.outcome is Outcome.MATCHED


# Of a rule with several lines, what the one says that came nearest to matching.
NEAREST = (Outcome.MATCHED, Outcome.UNEVALUABLE, Outcome.CONDITION_FALSE, Outcome.EXPIRED)
VERDICTS = (Verdict.ALLOW, Verdict.HOLD, Verdict.DENY)


def accounts(policy: Policy, roles: Iterable[str], action: Action, decision: Decision) -> tuple[Account, ...]:
    """Every rule that binds someone with `roles`: those that decide first, then by how near they came.

    `decision` is that on the action alone.
    """
    considered: dict[tuple[str, str], list[Considered]] = {}
    for each in decision.considered:
        considered.setdefault((each.rule, each.source), []).append(each)
    found = []
    for owner in policy.owners(roles):
        for rule in policy.rules.get(owner, ()):
            own = considered.get((rule.name, rule.source))
            found.append(weighed(owner, rule, own, decision) if own else unfit(owner, rule, action))
    return tuple(sorted(found, key=lambda each: order(each, decision)))


def order(account: Account, decision: Decision) -> tuple[object, ...]:
    rule = account.rule
    return (account.bearing, rule.name != decision.rule, VERDICTS.index(rule.verdict), rule.name, rule.source)


def weighed(owner: str, rule: Rule, considered: Iterable[Considered], decision: Decision) -> Account:
    """The account of a rule that was considered."""
    best = min(considered, key=lambda each: (says(each) is not decision.verdict, NEAREST.index(each.outcome)))
    if says(best) is decision.verdict:
        return Account(owner, rule, Bearing.DECIDES, best.outcome, reason(rule, best))
    if best.outcome is Outcome.MATCHED:
        return Account(owner, rule, Bearing.CONSIDERED, best.outcome, f"a {decision.verdict} counts more")
    return Account(owner, rule, Bearing.CONSIDERED, best.outcome, reason(rule, best))


def reason(rule: Rule, considered: Considered) -> str:
    match considered.outcome:
        case Outcome.MATCHED:
            return ""
        case Outcome.UNEVALUABLE:
            then = "" if rule.verdict is Verdict.ALLOW else ", so it denies"
            return f"unevaluable: {considered.detail}{then}"
        case Outcome.CONDITION_FALSE:
            condition = cast("Condition", rule.unless if considered.detail.startswith("unless") else rule.when)
            return f"{considered.detail}: {one_line(condition.text)}"
        case _:
            return considered.detail


def one_line(text: str) -> str:
    """A condition as written, without its line ends and comments' room."""
    return " ".join(text.split())


def unfit(owner: str, rule: Rule, action: Action) -> Account:
    """The account of a rule of which no line is about the action: of the line that came nearest."""
    fallen = [misfit(rule, line, action) for line in rule.lines]
    bearing, why = min(fallen, key=lambda each: each[0])
    return Account(owner, rule, bearing, None, why)


def misfit(rule: Rule, line: Line, action: Action) -> tuple[Bearing, str]:
    """The first reason why a line is not about an action."""
    if action.target not in line.targets:
        return Bearing.OTHER_TARGET, f"it is about {'|'.join(line.targets)}, not {action.target}"
    if not line.takes(action.verb):
        return Bearing.OTHER_VERB, f"it takes {'|'.join(line.verbs)}, not {action.verb}"
    pattern = cast("Pattern", line.pattern)  # without one it is about everything there
    why = f"{pattern.text} does not fit {action.resource}"
    if rule.verdict is Verdict.ALLOW and is_near(pattern, action):
        why += ": an allow takes no other letter case, and no slash more or less"
        return Bearing.OTHER_SPELLING, f"{why}; what it masks is masked" if rule.alters else why
    return Bearing.OTHER_PATH, why


def is_near(pattern: Pattern, action: Action) -> bool:
    """Whether a pattern fits but for the letter case, an escape or a slash at the end."""
    return pattern.match_loosely(Resource(action.resource)) is not None
