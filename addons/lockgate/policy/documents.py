"""A rules file as text: YAML 1.1 without its surprises, every node with its place. Pure.

Every scalar stays text, so `no`, `22:22`, `012` and `null` mean what they say; the schema gives each its type. Refused
are duplicate keys, anchors, aliases, tags, directives, merge keys and second documents: nothing in a rule may stand
for something else. What YAML itself trips over gets a message that says how to write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from lockgate.errors import Problem, RulesInvalid

Path = tuple[str | int, ...]

MAX_DEPTH = 20  # of mappings and lists within each other: no rules file needs more

QUOTE = "put the whole value in quotes"
REFUSED_TOKENS: Mapping[type, str] = {
    yaml.AnchorToken: f"YAML reads a leading & as an anchor, which rules do not have: {QUOTE}",
    yaml.AliasToken: f"YAML reads a leading * as an alias, which rules do not have: {QUOTE}",
    yaml.TagToken: f"YAML reads a leading ! as a tag, which rules do not have: {QUOTE}",
    yaml.DirectiveToken: "a leading % is a YAML directive, which rules do not have: leave the line out",
}
OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
# What the parser says, and what is usually behind it.
HINTS = (
    ("alphabetic or numeric character", f"YAML reads a leading * or & as a reference: {QUOTE}"),
    ("mapping values are not allowed", f"a colon and a space begin a value: {QUOTE}, or mend the indentation"),
    ("block sequence entries are not allowed", f"a leading - begins a list, on a line of its own: {QUOTE}"),
    ("expected ',' or", "within [ ] and { }, put every value that has { } [ ] or a comma in quotes"),
    ("expected key", "mend the indentation; or, where a value starts with a quote, write it on the lines below a |"),
    ("expected '-' indicator", "a list and a mapping do not mix: mend the indentation"),
    ("expected comment or line break", f"a leading | or > begins a block of text: {QUOTE}"),
    ("unexpected end of stream", "a quote or bracket is never closed"),
    ("document", "a rules file is one document: leave --- out"),
)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a node stands: its value, and its key where it is the value of one. Lines and columns from 0."""

    node: yaml.Node
    key: yaml.Node | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One file: `data` is made of dict, list and str; `spots` says where each part of it stands."""

    file: str
    data: Any
    spots: Mapping[Path, Spot]
    lines: tuple[str, ...]

    def problem(self, path: Path, message: str, *, key: bool = False, offset: int | None = None) -> Problem:
        """A problem of the part at `path`: of its key, or of the character at `offset` of its text.

        Where the path leads nowhere, the last part that exists is named.
        """
        while path and path not in self.spots:
            path = path[:-1]
        spot = self.spots.get(path)
        if spot is None:
            return Problem(self.file, 1, 1, message)
        node = spot.key if key and spot.key is not None else spot.node
        line, column = node.start_mark.line, node.start_mark.column
        if offset is not None and isinstance(spot.node, yaml.ScalarNode):
            line, column = self.inside(spot.node, offset)
        return Problem(self.file, line + 1, column + 1, message)

    def inside(self, node: yaml.ScalarNode, offset: int) -> tuple[int, int]:
        """Where the character at `offset` of a text stands; its start, where escapes or folding hide that."""
        line, column = node.start_mark.line, node.start_mark.column
        before = node.value[:offset]
        below = line + 1 + before.count("\n")
        if node.style == "|" and below < len(self.lines):
            written = node.value.split("\n")[before.count("\n")]
            return below, len(self.lines[below]) - len(written) + offset - (before.rfind("\n") + 1)
        start = column + (1 if node.style else 0)
        if self.lines[line][start : start + len(node.value)] == node.value:
            return line, start + offset
        return line, column


def read(file: str, content: bytes) -> Document:
    """Read one file; an empty one is an empty mapping. Raises RulesInvalid with every problem found."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise RulesInvalid([Problem(file, line, column, "not UTF-8: save the file as UTF-8")]) from None
    lines = (*re.split(r"\r\n|\r|\n", text), "")  # a node that is not written may stand behind the last line
    try:
        refused = list(refused_tokens(file, text))
        if refused:
            raise RulesInvalid(refused)
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        raise RulesInvalid([syntax_problem(file, lines, error)]) from None
    except yaml.YAMLError:
        raise RulesInvalid([Problem(file, 1, 1, "not YAML: the file has control characters")]) from None
    reader = Reader(file, lines)
    data = {} if root is None else reader.value((), root, None)
    if reader.problems:
        raise RulesInvalid(reader.problems)
    return Document(file, data, reader.spots, lines)


def refused_tokens(file: str, text: str) -> Iterator[Problem]:
    """What rules do not have, before a tree is made of it. Depth must be known by then: the C code recurses."""
    depth = 0
    for token in yaml.scan(text, Loader=yaml.CSafeLoader):
        line, column = token.start_mark.line + 1, token.start_mark.column + 1
        depth += isinstance(token, OPENING) - isinstance(token, CLOSING)
        if depth > MAX_DEPTH:
            yield Problem(file, line, column, f"nested more than {MAX_DEPTH} deep")
            return
        if type(token) in REFUSED_TOKENS:
            yield Problem(file, line, column, REFUSED_TOKENS[type(token)])


def syntax_problem(file: str, lines: tuple[str, ...], error: yaml.MarkedYAMLError) -> Problem:
    said = str(error.problem or error.context or "not understood")
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    last = len(lines) - 2
    if line > last:
        line, column = last, len(lines[last])
    found = lines[line][column : column + 1]
    if "cannot start any token" in said:
        hint = "indent with spaces, not tabs" if found == "\t" else f"a value cannot start with {found}: {QUOTE}"
    else:
        hint = next((hint for part, hint in HINTS if part in said), said)
    return Problem(file, line + 1, column + 1, f"not YAML: {hint}")


class Reader:
    """Nodes to data, with the place of each."""

    def __init__(self, file: str, lines: tuple[str, ...]) -> None:
        self.file = file
        self.lines = lines
        self.spots: dict[Path, Spot] = {}
        self.problems: list[Problem] = []

    def value(self, path: Path, node: yaml.Node, key: yaml.Node | None) -> Any:
        self.spots[path] = Spot(node, key)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(path, node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value((*path, index), item, None) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            self.comment_after(node)
        return node.value

    def mapping(self, path: Path, node: yaml.MappingNode) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.refuse(key, "a key is one word or quoted text, not a list or mapping")
            elif key.value == "<<" and not key.style:
                self.refuse(key, "merge keys (<<) are not taken: write the keys out, or use extends")
            elif key.value in found:
                first = self.spots[(*path, key.value)].key or node
                self.refuse(key, f"the same key stands at line {first.start_mark.line + 1} already: remove one")
            else:
                found[key.value] = self.value((*path, key.value), value, key)
        return found

    def comment_after(self, node: yaml.ScalarNode) -> None:
        """` #5` behind a plain value is a comment to YAML, and was most likely meant as part of it."""
        mark = node.end_mark
        if not node.style and mark.line < len(self.lines):
            found = re.match(r"[ \t]+#[^\s#]", self.lines[mark.line][mark.column :])
            if found:
                place = Problem(
                    self.file,
                    mark.line + 1,
                    mark.column + found.end() - 1,
                    f"YAML reads ' #' as the start of a comment: {QUOTE}, or a space behind the #",
                )
                self.problems.append(place)

    def refuse(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, node.start_mark.column + 1, message))
