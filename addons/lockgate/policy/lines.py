"""Verdict lines, `VERB[|VERB] TARGET[|TARGET] [RESOURCE]`, to what they name. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from lockgate.errors import Problem
from lockgate.model import HTTP_METHODS, Verdict
from lockgate.policy import patterns
from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.documents import Document, Path
from lockgate.policy.rules import EVERY_METHOD, EVERY_VERB, Line

NEVER = frozenset({"TRACE", "CONNECT"})


class LineReader:
    """Reads the line at `path` of `document`, noting each problem at its word.

    `targets` are the names there are, None where their file cannot be read.
    """

    def __init__(
        self, document: Document, path: Path, targets: Collection[str] | None, problems: list[Problem]
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
        verbs = self.verbs(*words[0])
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
        if len(self.problems) > before:
            return None
        return Line(text, verbs, tuple(dict.fromkeys(name for name, _ in alternatives(*words[1]))), pattern)

    def verbs(self, word: str, offset: int) -> tuple[str, ...]:
        if word == "any":
            return (EVERY_METHOD,)
        for name, at in alternatives(word, offset):
            if name in NEVER:
                self.wrong(at, f"{name} is never let through: leave it out")
            elif name.upper() in HTTP_METHODS and name != name.upper():
                self.wrong(at, f"HTTP methods are in capitals: write {name.upper()}")
            elif name not in HTTP_METHODS:
                self.wrong(at, f"unknown verb {name}: {suggestion(name, (*HTTP_METHODS, 'any'))}")
        named = tuple(dict.fromkeys(name for name, _ in alternatives(word, offset)))
        return (EVERY_METHOD,) if set(named) >= HTTP_METHODS else named

    def wrong(self, offset: int, message: str) -> None:
        self.problems.append(self.document.problem(self.path, message, offset=offset))


def alternatives(word: str, offset: int) -> Iterator[tuple[str, int]]:
    """The parts of `a|b`, each with where it stands."""
    for part in word.split("|"):
        yield part, offset
        offset += len(part) + 1
