"""A rules file as text: YAML 1.1 without its surprises, every part with its place. Pure.

Every scalar stays text, so `no`, `22:22`, `012` and `null` mean what they say; the schema gives each its type. Refused
are duplicate keys, anchors, aliases, tags, directives, merge keys and second documents: nothing in a rule may stand
for something else. Files have limits, and so have their problems: no file takes long to be refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

import yaml

from lockgate.errors import Problem, RulesInvalid
from lockgate.policy import traps
from lockgate.policy.traps import Trap, end, start

Path = tuple[str | int, ...]

MAX_SIZE = 4 * 2**20  # bytes of a file
MAX_PARTS = 200_000  # keys and values of a file; 10,000 rules have about 100,000
MAX_ENTRIES = 20_000  # of one list or mapping
MAX_DEPTH = 20  # of mappings and lists within each other: no rules file needs more
MAX_TEXT = 16_384  # characters of a value
MAX_KEY = 1024  # characters of a key: YAML's own limit for one on a single line
MAX_PROBLEMS = 1000  # that are told of a file
MAX_MESSAGE = 1000  # characters

MORE = "... and more: mend these first"


class Spot(NamedTuple):
    """Where a part stands, and its key where it has one; lines and columns from 0. `style` is its quote, | or >."""

    line: int
    column: int
    style: str
    key: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Document:
    """One file: `data` is made of dict, list and str; `spots` says where each part of it stands."""

    file: str
    data: Any
    spots: Mapping[Path, Spot]
    lines: tuple[str, ...]

    def problem(self, path: Path, message: str, *, key: bool = False, offset: int | None = None) -> Problem:
        """A problem of the part at `path`: of its key, or of the character at `offset` of its text.

        Where the path leads nowhere, the last part that exists is named. The message is made one printable line.
        """
        while path and path not in self.spots:
            path = path[:-1]
        spot = self.spots.get(path)
        if spot is None:
            return Problem(self.file, 1, 1, one_line(message))
        line, column = spot.key if key and spot.key else (spot.line, spot.column)
        if offset is not None:
            line, column = self.inside(path, offset)
        return Problem(self.file, line + 1, column + 1, one_line(message))

    def inside(self, path: Path, offset: int) -> tuple[int, int]:
        """Where the character at `offset` of a text stands; its start, where escapes or folding hide that."""
        line, column, style, _ = self.spots[path]
        text = self.at(path)
        if not isinstance(text, str):
            return line, column
        before = text[:offset]
        below = line + 1 + before.count("\n")
        if style == "|" and below < len(self.lines):
            written = text.split("\n")[before.count("\n")]
            return below, len(self.lines[below]) - len(written) + offset - (before.rfind("\n") + 1)
        start = column + (1 if style else 0)
        if self.lines[line].startswith(text, start):
            return line, start + offset
        return line, column

    def at(self, path: Path) -> Any:
        found = self.data
        for part in path:
            found = found[part]
        return found


def limited(problems: list[Problem]) -> list[Problem]:
    """The first MAX_PROBLEMS of one file's problems, and a last line where there are more."""
    told = [problem for problem in problems if problem.message != MORE]
    if len(told) == len(problems) <= MAX_PROBLEMS:
        return problems
    told = told[:MAX_PROBLEMS]
    return [*told, replace(told[-1], message=MORE)]


def one_line(message: str) -> str:
    """A message that quotes a file, fit for one line of a terminal or log."""
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]} ..."
    if message.isprintable():
        return message
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in message)


def read(file: str, content: bytes) -> Document:
    """Read one file; an empty one is an empty mapping. Raises RulesInvalid with every problem found."""
    if len(content) > MAX_SIZE:
        raise RulesInvalid([Problem(file, 1, 1, f"larger than {MAX_SIZE // 2**20} MiB: split the file")])
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise RulesInvalid([Problem(file, line, column, "not UTF-8: save the file as UTF-8")]) from None
    lines = (*re.split(r"\r\n|\r|\n", text), "")  # a part that is not written may stand behind the last line
    reader = Reader(file, lines)
    for trap in traps.preamble(text, lines):
        reader.note(trap)
    if not reader.problems:
        reader.read(text)
    if reader.problems:
        raise RulesInvalid(reader.problems)
    return Document(file, reader.data, reader.spots, lines)


@dataclass(slots=True)
class Open:
    """A list or mapping whose parts are being read. `key` is that of the value that comes next."""

    data: dict[str, Any] | list[Any]
    path: Path
    bracket: int | None  # the line of its [ or {
    key: str | None = None
    key_at: tuple[int, int] = (0, 0)


class Reader:
    """The parser's events to data, and to where each part stands; what they make counts where there is no problem."""

    def __init__(self, file: str, lines: tuple[str, ...]) -> None:
        self.file = file
        self.lines = lines
        self.commented = {number for number, line in enumerate(lines) if "#" in line}
        self.data: Any = {}
        self.spots: dict[Path, Spot] = {}
        self.problems: list[Problem] = []
        self.around: list[Open] = []  # the innermost last
        self.parts = 0

    def read(self, text: str) -> None:
        event = None
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                self.take(event)
        except yaml.MarkedYAMLError as error:
            trap = traps.syntax(error, self.lines, event, self.around[-1].bracket if self.around else None)
            if not any(problem.line >= trap.line for problem in self.problems):  # else that is why
                self.note(trap)
        except yaml.YAMLError:
            self.note(Trap(0, 0, traps.CONTROL))

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self.begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.around.pop()
        elif isinstance(event, yaml.AliasEvent):
            self.refuse(event, traps.ALIAS)
            self.place(event, "")
        elif isinstance(event, yaml.DocumentStartEvent) and self.spots:
            self.stop(event, traps.DOCUMENTS)

    def scalar(self, event: yaml.ScalarEvent) -> None:
        self.admit(event)
        if len(event.value) > MAX_TEXT:
            self.refuse(event, f"longer than {MAX_TEXT} characters: no text here needs to be")
        if not event.style:
            self.note(traps.odd_start(event))
            if self.commented and end(event)[0] in self.commented:
                self.note(traps.comment_behind(event, self.lines))
        inner = self.around[-1] if self.around else None
        if inner and inner.key is None and isinstance(inner.data, dict):
            self.key(event, inner)
        else:
            self.place(event, event.value, event.style or "")

    def key(self, event: yaml.ScalarEvent, inner: Open) -> None:
        key, at = event.value, start(event)
        if key == "<<" and not event.style:
            self.refuse(event, traps.MERGE)
        elif len(key) > MAX_KEY:
            self.refuse(event, f"longer than {MAX_KEY} characters: no key needs to be")
        elif key in inner.data:
            first = self.spots[(*inner.path, key)].key or at
            self.refuse(event, f"the same key stands at line {first[0] + 1} already: remove one")
        inner.key, inner.key_at = key, at

    def begin(self, event: yaml.CollectionStartEvent) -> None:
        self.admit(event)
        if len(self.around) == MAX_DEPTH:
            self.stop(event, f"nested more than {MAX_DEPTH} deep")
        data: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self.place(event, data)
        self.around.append(Open(data, path, start(event)[0] if event.flow_style else None))

    def admit(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self.parts += 1
        if self.parts > MAX_PARTS:
            self.stop(event, f"more than {MAX_PARTS} keys and values: split the file")
        if event.anchor is not None:
            self.refuse(event, traps.ANCHOR)
        elif event.tag is not None:
            self.refuse(event, traps.TAG)

    def place(self, event: yaml.NodeEvent, value: Any, style: str = "") -> Path:
        """Put a value where it belongs. Gives its path."""
        at = start(event)
        if not self.around:
            self.data = value
            self.spots[()] = Spot(*at, style, None)
            return ()
        inner = self.around[-1]
        if len(inner.data) == MAX_ENTRIES:
            self.stop(event, f"more than {MAX_ENTRIES} entries in one list or mapping: split the file")
        if isinstance(inner.data, dict):
            return self.member(event, inner, inner.data, Spot(*at, style, inner.key_at), value)
        path = (*inner.path, len(inner.data))
        inner.data.append(value)
        self.spots[path] = Spot(*at, style, None)
        return path

    def member(self, event: yaml.NodeEvent, inner: Open, data: dict[str, Any], spot: Spot, value: Any) -> Path:
        if inner.key is None:
            if not isinstance(event, yaml.AliasEvent):
                self.refuse(event, traps.KEY_NOT_TEXT)
            inner.key = ""
            return (*inner.path, "")
        if value == "" and not spot.style:
            self.note(traps.tight_key(*inner.key_at, inner.key))
        path = (*inner.path, inner.key)
        data[inner.key] = value
        self.spots.setdefault(path, spot)
        inner.key = None
        return path

    def refuse(self, event: yaml.Event, message: str) -> None:
        self.note(Trap(*start(event), message))

    def stop(self, event: yaml.Event, message: str) -> NoReturn:
        self.refuse(event, message)
        raise RulesInvalid(self.problems)

    def note(self, trap: Trap | None) -> None:
        if trap is None:
            return
        self.problems.append(Problem(self.file, trap.line + 1, trap.column + 1, trap.message))
        if len(self.problems) > MAX_PROBLEMS:
            raise RulesInvalid(limited(self.problems))
