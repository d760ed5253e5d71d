"""How much the rules of one file may say, so that no file takes long to be judged. Pure.

10,000 ordinary rules fit: the limits are on what a file can hold more of by far than anybody writes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lockgate.errors import Problem
from lockgate.policy.documents import Document, Path
from lockgate.policy.rules import Line

MAX_WORDS = 200_000  # of conditions, that are not the same; two comparisons with && between them have about 16
REGEX_WORDS = 200  # that one matches() counts as: compiling its pattern takes as long
MAX_PAIRS = 200_000  # of a verb and a target, over all lines
MAX_MEETINGS = 200_000  # of a mask and another path of its rule, which are held against each other

WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(slots=True)
class Budgets:
    """What the files' rules have used. Each limit that a file goes past is noted once, where it does."""

    problems: list[Problem]
    words: Counter[str] = field(default_factory=Counter)  # by file
    pairs: Counter[str] = field(default_factory=Counter)
    meetings: Counter[str] = field(default_factory=Counter)

    def allow_conditions(self, document: Document, path: Path, *texts: str | None) -> bool:
        """Whether these conditions of the rule at `path` may be compiled."""
        words = sum(len(WORD.findall(text)) + REGEX_WORDS * text.count("matches") for text in texts if text)
        message = f"the conditions of this file have more than {MAX_WORDS} words and signs: split the file"
        return self.spend(self.words, words, MAX_WORDS, document, path, message)

    def allow_lines(self, document: Document, path: Path, lines: Iterable[Line]) -> bool:
        """Whether the rule whose lines stand at `path` may be filed under the verbs and targets of each."""
        pairs = sum(len(line.verbs) * len(line.targets) for line in lines)
        message = f"the lines of this file name more than {MAX_PAIRS} pairs of a verb and a target: split the file"
        return self.spend(self.pairs, pairs, MAX_PAIRS, document, path, message)

    def allow_masks(self, document: Document, path: Path, masks: int, shown: int) -> bool:
        """Whether so many masks and shown paths of the rule or target at `path` may be looked at."""
        message = (
            "the rules of this file have too many masks each: say them shorter, as with $..name, or split the file"
        )
        return self.spend(self.meetings, masks * (masks - 1 + shown), MAX_MEETINGS, document, path, message)

    def spend(self, spent: Counter[str], amount: int, most: int, document: Document, path: Path, message: str) -> bool:
        before = spent[document.file]
        spent[document.file] += amount
        if before <= most < spent[document.file]:
            self.problems.append(document.problem(path, message, key=True))
        return spent[document.file] <= most
