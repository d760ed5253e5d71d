"""Changes of many requests, counted: by role and rule, with an example each. Bounded, whatever was recorded. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from lockgate.history.changes import Change

MAX_GROUPS = 10_000  # beyond, they are counted together
MAX_PATHS = 200  # characters of a path that are kept
OTHERS = "and others"


class Key(NamedTuple):
    """What changes alike: `kind` is `deny -> allow`, `unmasked $..ssn redact`, or `unknown body.amount`."""

    kind: str
    role: str
    rule_then: str
    rule_now: str


@dataclass(slots=True)
class Group:
    """How many requests, and the first of them: its id and what it asked for."""

    count: int
    example: str
    request: str
    why: str


@dataclass(slots=True)
class Tally:
    """What the changed rules would have done. `matched` and `matching` count requests by the rules that matched."""

    requests: int = 0
    same: int = 0
    unknown: int = 0
    widened: int = 0
    unmasked: int = 0
    flips: Counter[tuple[str, str]] = field(default_factory=Counter)
    groups: dict[Key, Group] = field(default_factory=dict)
    wanting: Counter[str] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    matching: Counter[str] = field(default_factory=Counter)

    def add(self, change: Change) -> None:
        self.requests += 1
        self.matched.update(change.matched)
        self.matching.update(change.matching)
        if change.unknown:
            self.unknown += 1
            self.wanting.update(change.unknown)
            self.group(change, f"unknown {', '.join(change.unknown)}")
        if change.flips:
            self.flips[change.then, change.now] += 1
            self.group(change, f"{change.then} -> {change.now}")
            self.widened += change.now == "allow"
        for name in change.unmasked:
            self.group(change, f"unmasked {name}")
        for name in change.masked:
            self.group(change, f"masked {name}")
        self.unmasked += bool(change.unmasked)
        self.same += not (change.flips or change.unmasked or change.masked or change.unknown)

    def group(self, change: Change, kind: str) -> None:
        key = Key(kind, "+".join(change.roles), change.rule_then or "", change.rule_now or "")
        found = self.groups.get(key)
        if found is None and len(self.groups) >= MAX_GROUPS:
            key = Key(kind.partition(" ")[0], OTHERS, "", "")
            found = self.groups.get(key)
        if found is not None:
            found.count += 1
            return
        past = change.past
        self.groups[key] = Group(1, past.id, f"{past.method} {past.url.host}{past.url.path}"[:MAX_PATHS], change.why)

    @property
    def silent(self) -> list[str]:
        """Rules that matched then and match nothing now, by name."""
        return sorted(name for name in self.matched if not self.matching[name])
