"""Verdict lines, `VERB[|VERB] TARGET[|TARGET] [RESOURCE]`, to what they name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lockgate.errors import Problem
from lockgate.model import HTTP_METHODS, REFUSED_METHODS, WEBSOCKET_VERBS, Verdict
from lockgate.policy import patterns
from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.documents import Document, Path
from lockgate.policy.rules import EVERY_METHOD, EVERY_VERB, Line


class LineReader:
    """Reads the line at `path` of `document`, noting each problem at its word.

    `targets` has the methods that each lists beside the ordinary ones, by name: None where its entry is wrong. It is
    None itself where their file cannot be read.
    """

    def __init__(
        self,
        document: Document,
        path: Path,
        targets: Mapping[str, frozenset[str] | None] | None,
        problems: list[Problem],
    ) -> None:
        self.document = document
        self.path = path
        self.targets = targets
        self.problems = problems

    def read(self, text: str, verdict: Verdict) -> Line | None:
        """The line; None where it has problems."""
        words = [(found[0], found.start()) for found in re.finditer(r"\S+", text)]
        before = len(self.problems)
        if not 2 <= len(words) <= 3:
            self.wrong(0, "a rule is VERB TARGET RESOURCE, as in GET|HEAD crm /v1/customers/{id}")
            return None
        targets = tuple(dict.fromkeys(name for name, _ in alternatives(*words[1])))
        verbs = self.verbs(*words[0], targets)
        for name, at in alternatives(*words[1]):
            if self.targets is not None and name not in self.targets:
                self.wrong(at, f"unknown target {name}: {suggestion(name, self.targets)}")
        pattern = None
        if len(words) == 3:
            try:
                pattern = patterns.parse(words[2][0])
            except ValueError as error:
                self.wrong(words[2][1], str(error))
        elif verdict is Verdict.ALLOW:
            self.wrong(0, "an allow names a resource: write /** behind the target for everything there")
        elif verbs == (EVERY_METHOD,):
            verbs = (EVERY_VERB,)
        if words[0][0] == "any" and pattern is not None and verdict is not Verdict.ALLOW:
            # What restricts leaves no method out, nor the way around them; without `ws` nothing is sent or received.
            verbs = (EVERY_METHOD, "ws", *sorted(self.listed(targets)))
        if len(self.problems) > before:
            return None
        return Line(text, verbs, targets, pattern)

    def listed(self, targets: Sequence[str]) -> set[str]:
        """The methods that any of these targets lists."""
        return {method for name in targets for method in (self.targets or {}).get(name) or ()}

    def verbs(self, word: str, offset: int, targets: Sequence[str]) -> tuple[str, ...]:
        if word == "any":
            return (EVERY_METHOD,)
        for name, at in alternatives(word, offset):
            if name in REFUSED_METHODS:
                self.wrong(at, f"{name} is never let through: leave it out")
            elif name.upper() in HTTP_METHODS and name != name.upper():
                self.wrong(at, f"HTTP methods are in capitals: write {name.upper()}")
            elif name not in HTTP_METHODS | WEBSOCKET_VERBS:
                self.require_listed(name, at, targets)
        named = tuple(dict.fromkeys(name for name, _ in alternatives(word, offset)))
        if set(named) >= HTTP_METHODS:
            return (EVERY_METHOD, *(name for name in named if name not in HTTP_METHODS))
        return named

    def require_listed(self, name: str, offset: int, targets: Sequence[str]) -> None:
        """A method beside the ordinary ones is known where each target of the line lists it."""
        if self.targets is None:
            return
        known = {target: self.targets[target] for target in targets if target in self.targets}
        lacking = [target for target, methods in known.items() if methods is not None and name not in methods]
        if len(lacking) == len(known) and (known or name not in self.listed(tuple(self.targets))):
            near = suggestion(name, (*HTTP_METHODS, *WEBSOCKET_VERBS, *self.listed(targets), "any"))
            listing = f" (a target lists methods of its own: methods: [{name}])" if name.isupper() else ""
            self.wrong(offset, f"unknown verb {name}: {near}{listing}")
        elif lacking:
            there = ", ".join(lacking)
            self.wrong(offset, f"{name} is not among the methods of {there}: add it there, or leave it out")

    def wrong(self, offset: int, message: str) -> None:
        self.problems.append(self.document.problem(self.path, message, offset=offset))


def alternatives(word: str, offset: int) -> Iterator[tuple[str, int]]:
    """The parts of `a|b`, each with where it stands."""
    for part in word.split("|"):
        yield part, offset
        offset += len(part) + 1
