"""Paths that were asked for, as few templates: what names one thing among many becomes `*`, and only with evidence.

A part of a path stands for such a name where it looks like one: a number, a UUID, a long hexadecimal number, a date, or
such behind a prefix (`cus_9s6XKz`). Words and versions (`v1`) never do, whoever asks for however many. It becomes `*`
where at least so many different ones stood in one place of paths that are the same but for such names. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

EVIDENCE = 5  # different names in one place, from which on any is taken
MAX_TEMPLATES = 200  # for one rule, verb and target: more are no list that a person reads

NAMES = re.compile(
    r"(?P<number>[0-9]+)"
    r"|(?P<uuid>[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})"
    r"|(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"|(?P<hex>(?=[0-9A-Fa-f]*[0-9])[0-9A-Fa-f]{12,})"
    r"|(?P<prefix>[A-Za-z]{1,16}[_-])(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{4,}"
)


def kind_of(part: str) -> tuple[str, str] | None:
    """What kind of name a part is, and what stands before the `*` that may take its place; None for a word."""
    found = NAMES.fullmatch(part)
    if found is None:
        return None
    return (found.lastgroup or "", found["prefix"] or "")


class Template(NamedTuple):
    """A path with `*` in it, how many requests asked for such, and how many names stood in one place of it."""

    path: str
    requests: int
    names: int


@dataclass(slots=True)
class Group:
    """Paths that are the same but for names. `seen` are the names by place, no more of each than are evidence.

    `paths` counts requests by the names that are written out: those of a place with evidence are None.
    """

    parts: list[str]
    places: list[int]
    prefixes: list[str]
    seen: list[set[str]] = field(default_factory=list)
    paths: Counter[tuple[str | None, ...]] = field(default_factory=Counter)


@dataclass(slots=True)
class Shapes:
    """Of one rule, verb and target. What it keeps is bounded, whatever is asked for."""

    evidence: int = EVIDENCE
    groups: dict[tuple[object, ...], Group] = field(default_factory=dict)
    requests: int = 0
    full: bool = False

    def add(self, path: str) -> None:
        self.requests += 1
        if self.full:
            return
        parts = path.split("/")[1:]
        kinds = [kind_of(part) for part in parts]
        key = tuple(part if kind is None else kind for part, kind in zip(parts, kinds, strict=True))
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) == MAX_TEMPLATES:
                self.full = True
                self.groups.clear()
                return
            places = [at for at, kind in enumerate(kinds) if kind is not None]
            prefixes = [kind[1] for kind in kinds if kind is not None]
            group = self.groups[key] = Group(parts, places, prefixes, [set() for _ in places])
        self.note(group, [parts[at] for at in group.places])

    def note(self, group: Group, names: list[str]) -> None:
        gained = False
        for seen, name in zip(group.seen, names, strict=True):
            if len(seen) < self.evidence and name not in seen:
                seen.add(name)
                gained = gained or len(seen) == self.evidence
        group.paths[self.written(group, names)] += 1
        if len(group.paths) > MAX_TEMPLATES:
            self.full = True
            self.groups.clear()
        elif gained:
            paths, group.paths = group.paths, Counter()
            for written, requests in paths.items():
                group.paths[self.written(group, written)] += requests

    def written(self, group: Group, names: list[str] | tuple[str | None, ...]) -> tuple[str | None, ...]:
        return tuple(None if len(seen) >= self.evidence else name for seen, name in zip(group.seen, names, strict=True))

    def templates(self) -> list[Template]:
        """Each once, by path; none where there are more than anybody reads, and it is `full`."""
        found: list[Template] = []
        for group in self.groups.values():
            for names, requests in group.paths.items():
                parts = list(group.parts)
                for at, prefix, name in zip(group.places, group.prefixes, names, strict=True):
                    parts[at] = f"{prefix}*" if name is None else name
                wide = [len(seen) for seen, name in zip(group.seen, names, strict=True) if name is None]
                found.append(Template("/" + "/".join(parts), requests, max(wide, default=1)))
        self.full = self.full or len(found) > MAX_TEMPLATES
        return [] if self.full else sorted(found)
