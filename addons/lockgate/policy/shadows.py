"""Lines that can never count, because denies that always match cover them. Pure.

What is found is certain. What is not found may still be covered by the resources of several denies together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lockgate.model import HTTP_METHODS, Verdict
from lockgate.policy import patterns
from lockgate.policy.index import Node, PathIndex, advance
from lockgate.policy.patterns import Pattern
from lockgate.policy.rules import EVERY_METHOD, Entry, Line, Rule, names_for

MAX_EFFORT = 1_000_000  # steps, of less than a microsecond, over all lines: 10,000 ordinary ones take a tenth

Denies = Mapping[tuple[str, str, str], PathIndex]
"""The denies that always match, filed as all rules are: by the role whose file they stand in, target and verb."""


@dataclass(slots=True)
class Shadows:
    """Looks for what covers a line among `denies`, until the effort is used up: then nothing more is found."""

    denies: Denies
    effort: int = MAX_EFFORT

    def of(self, owners: Iterable[str], rule: Rule, line: Line) -> tuple[Rule, ...]:
        """The denies that together cover each verb and target of `line`; none where one is not covered.

        `owners` are whose rules bind everyone whom the rule binds.
        """
        if rule.verdict is Verdict.DENY:
            return ()
        found: dict[Rule, None] = {}
        for target in line.targets:
            for verb in line.verbs:
                covering = self.covering(owners, target, verb, line)
                if not covering:
                    return ()
                found.update(dict.fromkeys(covering))
        return tuple(found)

    def covering(self, owners: Iterable[str], target: str, verb: str, line: Line) -> list[Rule]:
        """One deny, or one for each of the methods that the verb stands for; none where that is not so."""
        whole = self.covering_alone(owners, target, verb, line)
        if whole is not None or verb != EVERY_METHOD:
            return [whole] if whole else []
        found = [self.covering_alone(owners, target, method, line) for method in sorted(HTTP_METHODS)]
        return [deny for deny in found if deny] if all(found) else []

    def covering_alone(self, owners: Iterable[str], target: str, verb: str, line: Line) -> Rule | None:
        for owner in owners:
            self.effort -= 1
            if self.effort < 0:
                return None
            for name in names_for(verb):
                paths = self.denies.get((owner, target, name))
                if paths is None:
                    continue
                if paths.everywhere:
                    return paths.everywhere[0].rule
                if line.pattern is None:
                    continue
                for entry in self.near(paths.tree, line.pattern):
                    if entry.pattern is not None and self.covers(entry.pattern, line.pattern):
                        return entry.rule
        return None

    def near(self, tree: Node, pattern: Pattern) -> Iterator[Entry]:
        """The entries that may be about all that `pattern` is about: they are about a sample of it."""
        active = [tree]
        for part in patterns.sample(pattern).bare:
            active = advance(active, (part,))
            self.effort -= sum(1 + len(node.lengths) for node in active)
            if self.effort < 0:
                return
        for node in active:
            yield from node.entries

    def covers(self, deny: Pattern, pattern: Pattern) -> bool:
        self.effort -= len(deny.parts) * len(pattern.parts)
        return self.effort >= 0 and patterns.covers(deny, pattern)
