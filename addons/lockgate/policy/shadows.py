"""Lines that can never count, because a deny that always matches covers them. Pure.

What is found is certain. What is not found may still be covered by several denies together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lockgate.model import Verdict
from lockgate.policy import patterns
from lockgate.policy.index import PathIndex
from lockgate.policy.rules import EVERY_METHOD, EVERY_VERB, Entry, Line, Rule

Denies = Mapping[tuple[str, str, str], PathIndex]
"""The denies that always match, filed as all rules are: by the role whose file they stand in, target and verb."""


def shadowing(denies: Denies, owners: Iterable[str], rule: Rule, line: Line) -> tuple[Rule, ...] | None:
    """The denies that together cover each verb and target of `line`; None where one is not covered.

    `owners` are whose rules bind everyone whom the rule binds.
    """
    if rule.verdict is Verdict.DENY:
        return None
    found = []
    for target in line.targets:
        for verb in line.verbs:
            deny = covering(denies, owners, target, verb, line)
            if deny is None:
                return None
            found.append(deny)
    return tuple(dict.fromkeys(found))


def covering(denies: Denies, owners: Iterable[str], target: str, verb: str, line: Line) -> Rule | None:
    for entry in nearby(denies, owners, target, verb, line):
        if entry.pattern is None or (line.pattern is not None and patterns.covers(entry.pattern, line.pattern)):
            return entry.rule
    return None


def nearby(denies: Denies, owners: Iterable[str], target: str, verb: str, line: Line) -> Iterator[Entry]:
    """The denies that may be about all that the line is about: they are about a sample of it."""
    asked = patterns.sample(line.pattern) if line.pattern is not None else None
    for owner in owners:
        for key in {verb, EVERY_METHOD, EVERY_VERB}:
            paths = denies.get((owner, target, key))
            if paths is not None:
                yield from paths.everywhere if asked is None else paths.find(asked)
