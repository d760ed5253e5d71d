"""Regular expressions of conditions: RE2's, which never backtrack, compiled when rules are loaded. Pure.

https://github.com/google/re2/wiki/Syntax. The CEL specification names this engine for `matches`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.values import other_spelling
from lockgate.policy.folding import PathText, spellings

MAX_PATTERN = 500  # characters
MAX_TEXT = 65_536  # characters
MAX_MEMORY = 1 << 20  # bytes, of one pattern: what is larger does not compile

Search = Callable[[bytes], object | None]


class RegexInvalid(ValueError):
    """Raised with what is wrong with a pattern."""


@dataclass(frozen=True, slots=True, eq=False)
class Regex:
    """A compiled pattern, as it is and in any letter case, with how many instructions each program has."""

    exact: Search
    lax: Search
    size: int
    lax_size: int

    def cost(self, text: str) -> int:
        """The steps of looking through `text`, which is not done where it is too long.

        Where RE2's automaton outgrows its memory, it takes every instruction for every byte: about 10 ns each.
        """
        if len(text) > MAX_TEXT:
            return 1
        size = self.size + 2 * self.lax_size if isinstance(text, PathText) else self.size
        return 10 + len(text) * (1 if text.isascii() else 4) * size // 100

    def found_in(self, text: str) -> bool:
        """Whether it matches anywhere in `text`.

        Of the path, where it would match in another spelling only, there is no certain answer. Raises Unevaluable.
        """
        if len(text) > MAX_TEXT:
            raise Unevaluable(f"matches() looks through {MAX_TEXT} characters at most, and was given more")
        if found(self.exact, text):
            return True
        if isinstance(text, PathText) and any(found(self.lax, each) for each in spellings(text)):
            raise other_spelling()
        return False


def found(search: Search, text: str) -> bool:
    try:
        return search(text.encode()) is not None
    except UnicodeEncodeError:
        raise Unevaluable("matches() was given a text that is no Unicode: half of a surrogate pair") from None


@lru_cache(maxsize=128)
def compile_regex(pattern: str) -> Regex:
    """Raises RegexInvalid, which says what to write. Takes milliseconds: for loading rules only."""
    if len(pattern) > MAX_PATTERN:
        raise RegexInvalid(f"a pattern of matches() has at most {MAX_PATTERN} characters")
    exact, lax = program(pattern, case_sensitive=True), program(pattern, case_sensitive=False)
    return Regex(exact.search, lax.search, exact.programsize, lax.programsize)


def program(pattern: str, *, case_sensitive: bool) -> Any:
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.never_capture = True
    options.log_errors = False
    options.case_sensitive = case_sensitive
    try:
        return re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise RegexInvalid("the pattern has half of a surrogate pair, which is no character") from None
    except re2.error as error:
        what = error.args[0].decode(errors="replace")
        raise RegexInvalid(explained(what)) from None


def explained(what: str) -> str:
    """RE2's message in words for who wrote the pattern."""
    if what.startswith("pattern too large"):
        return "the pattern is too large: counts {n,m} within counts multiply"
    if what.startswith("invalid repetition size: {"):
        return "a count {n,m} of the pattern is above 1000, alone or multiplied, or n is above m"
    if what.startswith(("invalid perl operator", "invalid escape sequence")):
        return "not a regular expression of RE2 syntax, which has no lookaround and no backreferences"
    return f"not a regular expression of RE2 syntax: {what}"
