"""JSONPath: parsed once into steps, then walked by our own code. The only module that knows jsonpath-ng.

jsonpath-ng is the authority on the syntax; the walk is ours, because it must be one pass for all masks, without
recursion, and give places rather than values. Tests hold the two against each other.

Only what selects by name or position is taken: `$`, `.name`, `['name']`, `[0]`, `[1:3]`, `[*]`, `.*` and `..`.
Filters and functions are refused: a value that a filter misreads would stay unmasked.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jsonpath_ng import exceptions, jsonpath
from jsonpath_ng.ext.parser import parse as parse_jsonpath

Key = str | int


@dataclass(frozen=True, slots=True)
class Step:
    """One step down. `deep` means at any depth below; with neither names, indices nor a slice it takes every child."""

    deep: bool = False
    names: frozenset[str] | None = None
    indices: frozenset[int] | None = None
    span: tuple[int | None, int | None, int | None] | None = None

    @property
    def positional(self) -> bool:
        return self.indices is not None or self.span is not None

    def takes_name(self, name: str) -> bool:
        return not self.positional and (self.names is None or name in self.names)

    def takes_index(self, index: int, length: int) -> bool:
        if self.names is not None:
            return False
        if self.indices is not None:
            return index in self.indices or index - length in self.indices
        return self.span is None or index in range(length)[slice(*self.span)]


Steps = tuple[Step, ...]
Positions = tuple[int, ...]
"""Where a walk stands in a path: numbers of steps taken, ascending; the path's length means that it selects."""


MAX_STEPS = 100
# What nearly all paths are, and the words in it that jsonpath-ng has another meaning for.
SIMPLE_STEP = re.compile(
    r"""\.(?P<deep>\.)?(?:(?P<name>[A-Za-z][A-Za-z0-9_]*)|\*)
      | (?P<below>\.\.)?\[(?:'(?P<quoted>[A-Za-z0-9 ._@$-]+)'|(?P<index>-?[0-9]{1,9})|\*)\]""",
    re.VERBOSE,
)
SIMPLE = re.compile(rf"\$(?:{SIMPLE_STEP.pattern})*", re.VERBOSE)
RESERVED = re.compile(r"\.(?:where|wherenot|parent)\b")


@lru_cache(maxsize=4096)
def parse(path: str) -> Steps:
    """The steps of a JSONPath; `()` is the document itself.

    Raises ValueError with what is wrong and what to write instead.
    """
    if not path.startswith("$"):
        raise ValueError("a path starts with $, as in $.name or $..name")
    if len(re.findall(r"[.\[]", path)) > 2 * MAX_STEPS:
        raise ValueError(f"a path has at most {MAX_STEPS} steps: shorten it, as with $..name")
    return simple(path) if is_simple(path) else parsed(path)


def is_simple(path: str) -> bool:
    """Whether a path has plain names, positions and `*` only; others take a hundred times as long to read."""
    return SIMPLE.fullmatch(path) is not None and RESERVED.search(path) is None


def simple(path: str) -> Steps:
    return tuple([simple_step(found) for found in SIMPLE_STEP.finditer(path)])


def simple_step(found: re.Match[str]) -> Step:
    deep = bool(found["deep"] or found["below"])
    if found["index"]:
        return Step(deep, indices=frozenset({int(found["index"])}))
    name = found["name"] or found["quoted"]
    return Step(deep, frozenset({name}) if name else None)


def parsed(path: str) -> Steps:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            tree = parse_jsonpath(path)
    except (exceptions.JSONPathError, RecursionError) as error:
        raise ValueError(
            "not a JSONPath: write it like $.name, $..name, $.list[*].name; quote other names: $['first name']"
        ) from error
    return tuple(steps(tree))


def steps(node: Any) -> Iterator[Step]:
    match node:
        case jsonpath.Root():
            return
        case jsonpath.Child():
            yield from steps(node.left)
            yield from below(node.right)
        case jsonpath.Descendants():
            yield from steps(node.left)
            first, *rest = below(node.right)
            yield Step(True, first.names, first.indices, first.span)
            yield from rest
        case _:
            raise unsupported()


def below(node: Any) -> list[Step]:
    """The steps of what stands right of a dot: never the root again, never nothing."""
    match node:
        case jsonpath.Fields():
            return [Step(names=frozenset(node.fields))]
        case jsonpath.Wildcard():
            return [Step()]
        case jsonpath.Index():
            return [Step(indices=frozenset(node.indices))]
        case jsonpath.Slice() if node.step != 0:
            return [Step(span=(node.start, node.end, node.step))]
        case jsonpath.Child():
            return [*below(node.left), *below(node.right)]
        case _:
            raise unsupported()


def unsupported() -> ValueError:
    return ValueError("a path selects by name or position: filters, functions, unions and arithmetic are not taken")


def find(path: str, document: Any) -> list[Any]:
    """Every value that `path` selects, in document order, each once. Raises ValueError for a bad path."""
    found: list[Any] = []
    trail = parse(path)
    if not trail:
        return [document]
    pending: list[tuple[Any, Positions]] = [(document, (0,))]
    while pending:
        node, positions = pending.pop()
        below_node: list[tuple[Any, Positions]] = []
        for key, child in children(node):
            reached = advance(trail, positions, key, len(node))
            below_node.append((child, reached))
        for child, reached in reversed(below_node):
            if reached:
                pending.append((child, reached))
        if positions and positions[-1] == len(trail):
            found.append(node)
    return found


def children(node: Any) -> Iterator[tuple[Key, Any]]:
    if isinstance(node, dict):
        return iter(node.items())
    if isinstance(node, list):
        return iter(enumerate(node))
    return iter(())


def advance(trail: Steps, positions: Positions, key: Key, length: int) -> Positions:
    """Where a walk that stands at `positions` of `trail` stands after going to the child `key`."""
    reached: set[int] = set()
    for position in positions:
        if position == len(trail):
            continue
        step = trail[position]
        if step.deep:
            reached.add(position)
        if step.takes_index(key, length) if isinstance(key, int) else step.takes_name(key):
            reached.add(position + 1)
    return tuple(sorted(reached))


ANY_CHILD = Step()


def size(path: str) -> int:
    """About how many steps a path has: what holding it against others costs, without parsing it."""
    return 1 + len(re.findall(r"\.\.?|\[", path))


def names(path: Steps) -> frozenset[str]:
    """The names that every value selected by `path` has among those that lead to it."""
    return frozenset[str]().union(*(step.names for step in path if step.names is not None and len(step.names) == 1))


def covers(outer: Steps, inner: Steps) -> bool:
    """Whether every value that `inner` selects lies at or below one that `outer` selects. False when not certain.

    For each place in `inner`, from its end, and each in `outer`: whether going on from both, `outer` will have selected
    something on every way to the end of `inner`. It goes on by its next step where that takes every child that `inner`
    takes, and stays where it is deep.
    """
    after = [False] * len(outer) + [True]
    for step in reversed(inner):
        here = [True] * (len(outer) + 1)
        for at in reversed(range(len(outer))):
            taking = outer[at]
            stays = taking.deep and after[at]
            here[at] = stays or (after[at + 1] and includes(taking, step))
            if step.deep and not taking.deep:  # children on the way to those that it takes
                here[at] = here[at] and here[at + 1] and includes(taking, ANY_CHILD)
        after = here
    return after[0]


def includes(step: Step, other: Step) -> bool:
    """Whether `step` takes every child that `other` takes. False when not certain."""
    if step.names is not None:
        return other.names is not None and other.names <= step.names
    if not step.positional:
        return True
    if other.indices is not None and step.indices is not None:
        return other.indices <= step.indices
    return other.positional and step.span is not None and step.span in (other.span, (None, None, None), (0, None, None))


def may_meet(show: Steps, mask: Steps) -> bool:
    """Whether `show` may keep something of a value that `mask` selects, or of what it lies in: False only when certain.

    Of a value above a shown one what leads there is kept, and everything of one at or below.
    """
    seen, pending = {(0, 0)}, [(0, 0)]
    while pending:
        in_show, in_mask = pending.pop()
        if in_show == len(show) or in_mask == len(mask):
            return True
        one, other = show[in_show], mask[in_mask]
        found = {(in_show + 1, in_mask + 1)} if may_take_the_same(one, other) else set()
        if one.deep:
            found.add((in_show, in_mask + 1))
        if other.deep:
            found.add((in_show + 1, in_mask))
        found -= seen
        seen |= found
        pending += found
    return False


def may_take_the_same(one: Step, other: Step) -> bool:
    """Whether one child may be taken by both steps."""
    if one.names is not None and other.names is not None:
        return not one.names.isdisjoint(other.names)
    if one.indices is not None and other.indices is not None:
        # -1 may be any item from the front.
        signs = {index < 0 for index in one.indices | other.indices}
        return len(signs) > 1 or not one.indices.isdisjoint(other.indices)
    return not (one.positional and other.names is not None) and not (other.positional and one.names is not None)
