"""Lines that can never count, because a deny that always matches covers them. Pure.

What is found is certain. What is not found may still be covered by several denies together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.model import Verdict
from lockgate.policy import patterns
from lockgate.policy.rules import EVERY_VERB, GUARDRAILS, Entry, Line, Policy, Rule


def shadowing(policy: Policy, owner: str, rule: Rule, line: Line) -> tuple[Rule, ...] | None:
    """The denies that together cover each verb and target of `line`; None where one is not covered.

    They bind everyone whom the rule binds: `owner` is whose file it stands in.
    """
    if rule.verdict is Verdict.DENY:
        return None
    owners = policy.owners([owner])
    found = []
    for target in line.targets:
        for verb in line.verbs:
            deny = covering(policy, owners, target, verb, line)
            if deny is None:
                return None
            found.append(deny)
    return tuple(dict.fromkeys(found))


def covering(policy: Policy, owners: Iterable[str], target: str, verb: str, line: Line) -> Rule | None:
    for entry in denies(policy, owners, target, verb, line):
        if entry.pattern is None or (line.pattern is not None and patterns.covers(entry.pattern, line.pattern)):
            return entry.rule
    return None


def denies(policy: Policy, owners: Iterable[str], target: str, verb: str, line: Line) -> Iterator[Entry]:
    """The entries of denies that always match, and that may be about what the line is."""
    asked = patterns.sample(line.pattern) if line.pattern is not None else None
    for owner in (*owners, GUARDRAILS):
        for key in {verb, EVERY_VERB}:
            paths = policy.index.get((owner, target, key))
            if paths is not None:
                for entry in paths.find(asked) if asked is not None else paths.everywhere:
                    if entry.rule.verdict is Verdict.DENY and entry.rule.always:
                        yield entry
