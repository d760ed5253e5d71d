"""What YAML trips authors up with: each slip with its place and what to write instead. Pure.

The words of the parser are those of libyaml 0.2, which PyYAML's C loaders bind. Messages quote nothing of the file: a
secret may stand there by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

import yaml


class Trap(NamedTuple):
    """A slip; line and column from 0."""

    line: int
    column: int
    message: str


QUOTE = "put the whole value in quotes"
BELOW = "write it on the lines below a |"

ANCHOR = f"YAML reads a leading & as an anchor, which rules do not have: {QUOTE}"
ALIAS = f"YAML reads a leading * as an alias, which rules do not have: {QUOTE}"
TAG = f"YAML reads a leading ! as a tag, which rules do not have: {QUOTE}"
DIRECTIVE = "a leading % is a YAML directive, which rules do not have: leave the line out"
DOCUMENTS = "not YAML: a rules file is one document: leave --- out"
CONTROL = "not YAML: the file has control characters"
MERGE = "merge keys (<<) are not taken: write the keys out, or use extends"
KEY_NOT_TEXT = "a key is one word or quoted text, not a list or mapping"
COMMENT = f"YAML reads ' #' as the start of a comment: {QUOTE}, or a space behind the #"
COMMENT_IN_QUOTES = f"YAML reads ' #' as the start of a comment, even within a quoted part: {BELOW}"
COLON = "a key ends with a colon and a space: put a space behind the colon"
WIDE_COLON = "this is a full-width colon, which YAML takes for text: write a plain colon and a space"
DASH = f"a list item begins with a dash and a space: put a space behind the dash, or {QUOTE}"
CURLY = f"a curly quote is text to YAML: write \" or ' for it, or {QUOTE}"
ODD_SPACE = "a space that is not plain is text to YAML: write a plain one"
TABS = "indent with spaces, not tabs"
BLOCK = f"a leading | or > begins a block of text: {QUOTE}"
STRAY = "a line in a mapping is key: value; indent it more where it goes on from the line above"
UNCLOSED = "this quote is never closed"
CLOSED_LATE = "this quote is closed further down only: close it on its own line"
BEHIND_QUOTE = f"a value that starts with a quote ends with it: {BELOW}"
BEHIND_BRACKET = f"a value that starts with [ or {{ ends with ] or }}: {QUOTE}, or {BELOW}"
ESCAPE = "within double quotes a backslash begins an escape: write two, or put the value in single quotes"

# What the parser says, and what is usually behind it.
HINTS = (
    ("alphabetic or numeric character", f"YAML reads a leading * or & as a reference: {QUOTE}"),
    ("tab character", TABS),
    ("mapping values are not allowed", f"a colon and a space begin a value: {QUOTE}, or mend the indentation"),
    ("mapping keys are not allowed", f"a leading ? begins a key: {QUOTE}"),
    ("block sequence entries are not allowed", f"a leading - begins a list, on a line of its own: {QUOTE}"),
    ("unexpected ':'", f"within [ ] and {{ }} a colon before a bracket or comma ends a key: {QUOTE}"),
    ("expected ',' or", "within [ ] and { }, put every value that has { } [ ] or a comma in quotes"),
    ("expected node content", "a value is missing, or a bracket or comma is one too many or too few"),
    ("expected key", f"mend the indentation; or, where a value starts with a quote, {BELOW}"),
    ("expected '-' indicator", "a list and a mapping do not mix: mend the indentation"),
    ("expected comment or line break", BLOCK),
    ("indentation indicator", BLOCK),
    ("escape", ESCAPE),
    ("hexdecimal number", ESCAPE),  # libyaml's spelling
    ("undefined tag handle", TAG),
    ("document start", "this belongs to nothing above: begin all outermost keys in the first column"),
)
# Where what the parser was at says more than what it missed, at the place where that begins.
CONTEXTS: Mapping[str, str] = {
    "while scanning a directive": DIRECTIVE,
    "while scanning a tag": TAG,
    "while parsing a tag": TAG,
    "while scanning a quoted scalar": UNCLOSED,
}

# Line ends to YAML and to nothing else, a mark of byte order within the text, and what hides or reorders text on a
# screen (CVE-2021-42574).
INVISIBLE = re.compile("[\u0085\u2028\u2029\ufeff\u200b\u2060\u202a-\u202e\u2066-\u2069]")
DIRECTIVE_FIRST = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?[\r\n])*+%")
CURLY_QUOTES = "\u00ab\u2018-\u201f"
ODD_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
ODD_CHARACTER = rf"(?P<curly>[{CURLY_QUOTES}])|(?P<space>[{ODD_SPACES}])"
TIGHT_DASH = rf"(?P<dash>-+(?=[A-Za-z$\[{{\"'{ODD_SPACES}]))"
ODD_START = re.compile(rf"{TIGHT_DASH}|{ODD_CHARACTER}")
ODD_STRUCTURE = re.compile(rf"^ *{TIGHT_DASH}|(?:^|[:-]) *(?:{ODD_CHARACTER})")
ODD = {"dash": DASH, "curly": CURLY, "space": ODD_SPACE}
TIGHT_KEY = re.compile(r"""(?:"[^"]*"|'[^']*'|[\w$.<*-]+):(?=[^ \t:])""")
WIDE_KEY = re.compile("[\\w$.-]+ *(?P<colon>\uff1a)")
GLUED_COMMENT = re.compile(r"[ \t]+#(?=[^\s#])")
COMMENT_START = re.compile(r"[ \t]+#")
QUOTED_PART = re.compile(r"""\"[^"]*\"|(?<!\w)'[^']*'""")
OPEN_QUOTE = re.compile(r"""\"|(?<!\w)'""")


def preamble(text: str, lines: Sequence[str]) -> Iterator[Trap]:
    """What the parser would pass over, or count as line ends: found before it begins."""
    if not text.isascii():
        for number, line in enumerate(lines):
            for found in INVISIBLE.finditer(line):
                yield Trap(number, found.start(), f"an invisible character (U+{ord(found[0]):04X}): remove it")
    if DIRECTIVE_FIRST.match(text):
        first = next(number for number, line in enumerate(lines) if line.startswith("%"))
        yield Trap(first, 0, DIRECTIVE)


def start(event: yaml.Event) -> tuple[int, int]:
    """Line and column of an event's first character; libyaml marks every event."""
    mark = cast("yaml.Mark", event.start_mark)
    return mark.line, mark.column


def end(event: yaml.Event) -> tuple[int, int]:
    """Line and column behind an event."""
    mark = cast("yaml.Mark", event.end_mark)
    return mark.line, mark.column


def odd_start(event: yaml.ScalarEvent) -> Trap | None:
    """A plain text whose first character was meant as a dash, a quote or a space."""
    found = ODD_START.match(event.value)
    return Trap(*start(event), ODD[found.lastgroup or ""]) if found else None


def comment_behind(event: yaml.ScalarEvent, lines: Sequence[str]) -> Trap | None:
    """A comment behind a plain text that was most likely meant as part of it: ` #5`, or one between quotes."""
    number, column = end(event)
    glued = GLUED_COMMENT.match(lines[number], column)
    if glued:
        return Trap(number, glued.end() - 1, COMMENT)
    spaced = COMMENT_START.match(lines[number], column)
    if spaced and OPEN_QUOTE.search(QUOTED_PART.sub("x", event.value)):  # a letter, or its 's would open a quote
        return Trap(number, spaced.end() - 1, COMMENT_IN_QUOTES)
    return None


def tight_key(line: int, column: int, text: str) -> Trap | None:
    """A text that begins as a key does, but for the space behind its colon: `allow:GET crm /x`."""
    found = TIGHT_KEY.match(text)
    return Trap(line, column + found.end(), COLON) if found else None


def syntax(error: yaml.MarkedYAMLError, lines: Sequence[str], before: yaml.Event | None, bracket: int | None) -> Trap:
    """Why the parser stopped. `before` is its last event, `bracket` the line of the innermost open [ or {."""
    said = str(error.problem or error.context or "not understood")
    mark = error.problem_mark or error.context_mark
    at = (mark.line, mark.column) if mark else (0, 0)
    if at[0] > len(lines) - 2:
        at = (len(lines) - 2, len(lines[-2]))
    trap = within(error, lines) or behind(said, at, lines, before) or Trap(*at, hint(said, at, lines))
    still = "" if bracket is None or bracket >= trap.line else f"; the bracket of line {bracket + 1} is still open"
    return trap._replace(message=f"not YAML: {trap.message}{still}")


def within(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> Trap | None:
    """A slip in what the parser was reading, which began further up than where it stopped."""
    mark = error.context_mark
    if mark is None:
        return None
    context = error.context or ""
    if context in CONTEXTS:
        return Trap(mark.line, mark.column, CONTEXTS[context])
    if context == "while scanning a simple key":
        stray = Trap(mark.line, mark.column, STRAY)
        return odd_line(mark.line, lines) or key_line(mark.line, mark.column, lines) or stray
    return None


def behind(said: str, at: tuple[int, int], lines: Sequence[str], before: yaml.Event | None) -> Trap | None:
    """A slip in what stands before the place where the parser stopped."""
    odd = odd_line(at[0], lines)
    if odd or before is None:
        return odd
    first, last = start(before), end(before)
    if isinstance(before, yaml.ScalarEvent) and not before.style:
        return (odd_line(first[0], lines) or key_line(*first, lines)) if first[0] < at[0] else None
    if last[0] != at[0] or lines[at[0]][last[1] : at[1]].strip():
        return None
    if isinstance(before, yaml.ScalarEvent):
        if first[0] < last[0]:
            return Trap(*first, CLOSED_LATE)
        return None if "expected key" in said else Trap(*at, BEHIND_QUOTE)
    bracketed = isinstance(before, yaml.CollectionEndEvent) and first != last  # a block's end takes no character
    return Trap(*at, BEHIND_BRACKET) if bracketed else None


def odd_line(number: int, lines: Sequence[str]) -> Trap | None:
    """A character where the line's structure is, which is none to YAML."""
    found = ODD_STRUCTURE.search(lines[number]) if number < len(lines) else None
    return Trap(number, found.start(found.lastgroup or 0), ODD[found.lastgroup or ""]) if found else None


def key_line(number: int, column: int, lines: Sequence[str]) -> Trap | None:
    """A key on this line whose colon ends none."""
    wide = WIDE_KEY.match(lines[number], column)
    if wide:
        return Trap(number, wide.start("colon"), WIDE_COLON)
    return tight_key(number, column, lines[number][column:])


def hint(said: str, at: tuple[int, int], lines: Sequence[str]) -> str:
    if "cannot start any token" in said:
        found = lines[at[0]][at[1] : at[1] + 1]
        return TABS if found == "\t" else f"a value cannot start with {found}: {QUOTE}"
    return next((hint for part, hint in HINTS if part in said), said)
