"""How much the rules of one file may say, so that no file takes long to be judged. Pure.

10,000 ordinary rules fit: the limits are on what a file can hold more of by far than anybody writes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from lockgate.errors import Problem
from lockgate.masking import paths
from lockgate.policy.documents import Document, Path
from lockgate.policy.rules import Line

MAX_WORDS = 200_000  # of conditions, that are not the same; two comparisons with && between them have about 16
REGEX_WORDS = 10  # that one matches() counts as: compiling its pattern takes as long
INSTRUCTIONS = 20  # of the pattern's program, that count as a word more
WRONG_REGEX_WORDS = 1000  # of a condition with a matches() that is wrong: its pattern may be as large as may be
MAX_PAIRS = 200_000  # of a verb and a target, over all lines
MAX_MEETINGS = 300_000  # of a step of a mask and one of a path of its rule, which are held against each other
MAX_ODD_PATHS = 300  # that a parser reads, which takes a millisecond for each

WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(slots=True)
class Budgets:
    """What the files' rules have used. Each limit that a file goes past is noted once, where it does."""

    problems: list[Problem]
    words: Counter[str] = field(default_factory=Counter)  # by file
    pairs: Counter[str] = field(default_factory=Counter)
    meetings: Counter[str] = field(default_factory=Counter)
    odd_paths: Counter[str] = field(default_factory=Counter)

    def allow_conditions(self, document: Document, path: Path, *texts: str | None) -> bool:
        """Whether these conditions of the rule at `path` may be compiled."""
        words = sum(len(WORD.findall(text)) + REGEX_WORDS * text.count("matches") for text in texts if text)
        return self.allow_words(document, path, words)

    def allow_words(self, document: Document, path: Path, words: int) -> bool:
        """Whether conditions may be compiled that count as so many words."""
        message = f"the conditions of this file have more than {MAX_WORDS} words and signs: split the file"
        return self.spend(self.words, words, MAX_WORDS, document, path, message)

    def allow_lines(self, document: Document, path: Path, lines: Iterable[Line]) -> bool:
        """Whether the rule whose lines stand at `path` may be filed under the verbs and targets of each."""
        pairs = sum(len(line.verbs) * len(line.targets) for line in lines)
        message = f"the lines of this file name more than {MAX_PAIRS} pairs of a verb and a target: split the file"
        return self.spend(self.pairs, pairs, MAX_PAIRS, document, path, message)

    def allow_masks(
        self, document: Document, path: Path, masks: Collection[str], shown: Collection[str], others: Collection[str]
    ) -> bool:
        """Whether the paths of the rule or target at `path` may be looked at, and its masks held against the shown."""
        message = (
            "the rules of this file have too many masks each: say them shorter, as with $..name, or split the file"
        )
        masked, kept = sum(map(paths.size, masks)), sum(map(paths.size, shown))
        if not self.spend(self.meetings, masked * (masked + kept), MAX_MEETINGS, document, path, message):
            return False
        message = (
            f"more than {MAX_ODD_PATHS} paths of this file are more than plain names, positions and *:"
            " say them with $..name or ['a name'], or split the file"
        )
        odd = sum(not paths.is_simple(each) for each in (*masks, *shown, *others) if each.startswith("$"))
        return self.spend(self.odd_paths, odd, MAX_ODD_PATHS, document, path, message)

    def spend(self, spent: Counter[str], amount: int, most: int, document: Document, path: Path, message: str) -> bool:
        before = spent[document.file]
        spent[document.file] += amount
        if before <= most < spent[document.file]:
            self.problems.append(document.problem(path, message, key=True))
        return spent[document.file] <= most
