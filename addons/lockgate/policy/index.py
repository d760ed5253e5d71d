"""Rules filed by the path they are about, so that finding those for a request costs the same however many there are.

A tree of path parts in the one form of all their spellings, walked with every branch that may lead to a match at once.
It only narrows: each entry found is then held against the path by its own pattern, which alone decides. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lockgate.policy.patterns import Many, One, Part, Resource, Text

if TYPE_CHECKING:
    from lockgate.policy.rules import Entry


BEHIND_SLASH = Text(("",))
PERHAPS_EMPTY = One(empty=True)  # stands before a `**` at the end


class Node:
    """What may follow the parts that led here.

    `literal` is by the part; `any` is for `*` and captures. `entries` are those that end here. What else there may be
    makes it `wild`: `partial` is by what stands before the first and behind the last `*` of a part, `lengths` are the
    lengths of those two; `rest` is for a `**` at the end, `many` for one before it, and both `loop`.
    """

    __slots__ = ("any", "entries", "lengths", "literal", "loops", "many", "partial", "rest", "wild")

    def __init__(self, *, loops: bool = False) -> None:
        self.literal: dict[str, Node] = {}
        self.any: Node | None = None
        self.partial: dict[tuple[str, str], Node] = {}
        self.lengths: dict[tuple[int, int], None] = {}  # each once
        self.rest: Node | None = None
        self.many: Node | None = None
        self.loops = self.wild = loops
        self.entries: list[Entry] = []

    def add(self, parts: Sequence[Part], entry: Entry) -> None:
        """File `entry` by its folded parts, less a slash at the end, which makes no difference to a deny or hold."""
        if parts[-1] == BEHIND_SLASH:
            parts = parts[:-1]
        ends_open = bool(parts) and isinstance(parts[-1], Many)
        if ends_open:
            parts = parts[:-2] if PERHAPS_EMPTY in parts else parts[:-1]
        node = self
        for part in parts:
            node = node.child(part)
        node.entries.append(entry)
        if ends_open:
            node.wild = True
            node.rest = node.rest or Node(loops=True)
            node.rest.entries.append(entry)

    def child(self, part: Part) -> Node:
        """The node behind `part`, made at first use."""
        if isinstance(part, Text) and len(part.pieces) == 1:
            if (node := self.literal.get(part.pieces[0])) is None:
                node = self.literal[part.pieces[0]] = Node()
            return node
        if isinstance(part, Text):
            self.wild = True
            ends = (part.pieces[0], part.pieces[-1])
            self.lengths[len(ends[0]), len(ends[1])] = None
            return self.partial.setdefault(ends, Node())
        if isinstance(part, Many):
            self.wild = True
            self.many = self.many or Node(loops=True)
            return self.many
        self.any = self.any or Node()
        return self.any

    def following_wild(self, part: str) -> list[Node]:
        """What `part` leads to from here beside what `literal` and `any` do."""
        found = [self] if self.loops else []
        if self.rest is not None:
            found.append(self.rest)
        for before, behind in self.lengths:
            if len(part) >= before + behind:
                node = self.partial.get((part[:before], part[len(part) - behind :]))
                if node is not None:
                    found.append(node)
        return found if self.many is None else found + advance([self.many], (part,))  # it may be no part at all

    def find(self, parts: Sequence[str]) -> list[Entry]:
        """The entries that may be about the path of these parts; they have no slash at the end."""
        return [entry for node in advance([self], parts) for entry in node.entries]


def advance(active: list[Node], parts: Iterable[str]) -> list[Node]:
    """Every node that `parts` lead to from these, each once."""
    for part in parts:
        reached: list[Node] = []
        for node in active:
            if (following := node.literal.get(part)) is not None:
                reached.append(following)
            if node.any is not None and part:
                reached.append(node.any)
            if node.wild:
                reached += node.following_wild(part)
        if not reached:
            return reached
        active = reached if len(reached) == 1 else list(dict.fromkeys(reached))  # two ways may lead to one node
    return active


class PathIndex:
    """The entries of one role for one verb at one target."""

    __slots__ = ("alters", "everywhere", "tree")

    def __init__(self) -> None:
        self.alters = False  # whether any entry does
        self.everywhere: list[Entry] = []
        self.tree = Node()

    def add(self, entry: Entry) -> None:
        self.alters = self.alters or entry.rule.alters
        if entry.pattern is None:
            self.everywhere.append(entry)
        else:
            self.tree.add(entry.pattern.folded, entry)

    def find(self, resource: Resource) -> list[Entry]:
        """The entries that may be about `resource`, or nearly; some may come twice."""
        return self.everywhere + self.tree.find(resource.bare)
