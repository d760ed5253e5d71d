"""Rules as deciding needs them: compiled, indexed, frozen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lockgate.model import Mask, Verdict
from lockgate.policy.conditions import Condition
from lockgate.policy.patterns import Pattern

GUARDRAILS = "guardrails"  # stands where a role's name does, for rules that bind every role
EVERY_VERB = "*"  # of a deny or hold without a resource: every verb of every protocol


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `name` is `role/id`, `source` is `file:line` of where it stands."""

    name: str
    source: str
    verdict: Verdict
    condition: Condition | None = None
    reason: str | None = None
    masks: tuple[Mask, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule under one of its verbs and targets; without a pattern it is about everything there."""

    rule: Rule
    pattern: Pattern | None

    def match(self, resource: str) -> Mapping[str, str] | None:
        """The captures where the entry is about `resource`; None where it is not.

        An allow fits exactly; a deny or hold fits also what a target may take for the same resource.
        """
        if self.pattern is None:
            return {}
        if self.rule.verdict is Verdict.ALLOW:
            return self.pattern.match(resource)
        return self.pattern.match_loosely(resource)


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules of a generation. `index` has each role's own and inherited rules by role, target and verb.

    `masks` has what is masked at a target whatever rule allowed the request.
    """

    roles: frozenset[str]
    index: Mapping[tuple[str, str, str], tuple[Entry, ...]]
    masks: Mapping[str, tuple[Mask, ...]]

    def knows(self, role: str) -> bool:
        return role in self.roles

    def known(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Those of `roles` that have rules here, each once, sorted: their order means nothing."""
        return tuple(sorted(self.roles.intersection(roles)))

    def entries(self, roles: Iterable[str], target: str, verb: str) -> Iterable[Entry]:
        """Every entry that may bind someone with `roles`, guardrails included, each once."""
        found = {}
        for role in (GUARDRAILS, *self.known(roles)):
            for key in (verb, EVERY_VERB):
                for entry in self.index.get((role, target, key), ()):
                    found[id(entry)] = entry  # a rule reached through two roles is one rule
        return found.values()

    def reads_body(self, roles: Iterable[str], target: str, verb: str) -> bool:
        """Whether deciding may read the body of such a request."""
        entries = self.entries(roles, target, verb)
        return any(entry.rule.condition is not None and entry.rule.condition.reads_body for entry in entries)
