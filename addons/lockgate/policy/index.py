"""Rules filed by the path they are about, so that finding those for a request costs the same however many there are.

A tree of path parts, walked with every branch that may lead to a match at once. It only narrows: each entry found is
then held against the path by its own pattern, which alone decides. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lockgate.model import Verdict
from lockgate.policy.patterns import Many, Part, Resource, Text

if TYPE_CHECKING:
    from lockgate.policy.rules import Entry


class Node:
    """What may follow the parts that led here.

    `literal` is by the part; `partial` by what stands before the first and behind the last `*` of a part, and `lengths`
    are the lengths of those two; `any` is for `*` and captures, `many` for `**`. `entries` are those that end here.
    """

    __slots__ = ("any", "entries", "lengths", "literal", "loops", "many", "partial")

    def __init__(self, *, loops: bool = False) -> None:
        self.literal: dict[str, Node] = {}
        self.partial: dict[tuple[str, str], Node] = {}
        self.lengths: tuple[tuple[int, int], ...] = ()
        self.any: Node | None = None
        self.many: Node | None = None
        self.loops = loops
        self.entries: list[Entry] = []

    def add(self, parts: Sequence[Part], entry: Entry) -> None:
        node = self
        for part in parts:
            node = node.child(part)
        node.entries.append(entry)

    def child(self, part: Part) -> Node:
        """The node behind `part`, made at first use."""
        if isinstance(part, Many):
            self.many = self.many or Node(loops=True)
            return self.many
        if not isinstance(part, Text):
            self.any = self.any or Node()
            return self.any
        if len(part.pieces) == 1:
            return self.literal.setdefault(part.pieces[0], Node())
        ends = (part.pieces[0], part.pieces[-1])
        self.lengths = tuple({*self.lengths, (len(ends[0]), len(ends[1]))})
        return self.partial.setdefault(ends, Node())

    def following(self, part: str) -> list[Node]:
        """Every node that `part` leads to from here, and those that nothing leads to from there."""
        found = [self] if self.loops else []
        if (node := self.literal.get(part)) is not None:
            found.append(node)
        if self.any is not None:
            found.append(self.any)
        for before, behind in self.lengths:
            if len(part) >= before + behind:
                node = self.partial.get((part[:before], part[len(part) - behind :]))
                if node is not None:
                    found.append(node)
        return found + [node.many for node in found if node.many is not None]

    def walk(self, parts: Sequence[str]) -> list[Entry]:
        """The entries that may be about the path of these parts."""
        return entries_of(advance(self.start(), parts))

    def walk_loosely(self, parts: Sequence[str]) -> list[Entry]:
        """The entries that may be about the path of these parts, without a slash at its end and with one."""
        reached = advance(self.start(), parts)
        return entries_of(reached) + entries_of(advance(reached, ("",)))

    def start(self) -> list[Node]:
        return [self] if self.many is None else [self, self.many]


def advance(active: list[Node], parts: Sequence[str]) -> list[Node]:
    """Every node that `parts` lead to from these, each once."""
    for part in parts:
        if len(active) == 1:
            active = active[0].following(part)
        else:  # two ways may lead to one node
            active = list({found: None for node in active for found in node.following(part)})
        if not active:
            break
    return active


def entries_of(nodes: list[Node]) -> list[Entry]:
    return nodes[0].entries if len(nodes) == 1 else [entry for node in nodes for entry in node.entries]


class PathIndex:
    """The entries of one role for one verb at one target."""

    __slots__ = ("everywhere", "exact", "loose")

    def __init__(self) -> None:
        self.exact: Node | None = None  # allows
        self.loose: Node | None = None  # denies, holds, and allows that mask: folded
        self.everywhere: list[Entry] = []

    def add(self, entry: Entry) -> None:
        if entry.pattern is None:
            self.everywhere.append(entry)
            return
        if entry.rule.verdict is Verdict.ALLOW:
            self.exact = self.exact or Node()
            self.exact.add(entry.pattern.parts, entry)
        if entry.near or entry.rule.verdict is not Verdict.ALLOW:
            self.loose = self.loose or Node()
            self.loose.add(entry.pattern.folded, entry)

    def find(self, resource: Resource) -> Iterator[Entry]:
        """The entries that may be about `resource`, or nearly; some may come twice."""
        yield from self.everywhere
        if self.exact is not None:
            yield from self.exact.walk(resource.parts)
        if self.loose is not None:
            yield from self.loose.walk_loosely(resource.spellings[0])
