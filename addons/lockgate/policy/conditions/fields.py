"""Open fields: what lies below `body` and `principal.claims`, of a type that only the rule can say. Pure.

A field has one type in all conditions of a rule: the one declared for it, else what it is compared with or used as.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from lockgate.policy.conditions.describe import sketch
from lockgate.policy.conditions.kinds import JSON, Kind
from lockgate.policy.conditions.syntax import (
    Access,
    Binary,
    ConditionInvalid,
    Has,
    Literal,
    Name,
    Node,
    Path,
    constant_path,
    parts,
)

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPEN: tuple[Path, ...] = (("body",), ("principal", "claims"))


@dataclass(frozen=True, slots=True)
class Check:
    """What a field must be of wherever it is read: `null` is taken too where a condition compares it with null."""

    kind: Kind
    nullable: bool


def field_of(node: Node) -> Path | None:
    """The path of an open field, where `node` is one: constant members below `body` or `principal.claims`."""
    path = node.path if isinstance(node, Access) else None
    if path is None or path in OPEN:
        return None
    return path if path[:1] in OPEN or path[:2] in OPEN else None


@lru_cache(maxsize=4096)
def written(path: Path) -> str:
    """A path as a condition has it."""
    return path[0] + "".join(f".{name}" if IDENTIFIER.fullmatch(name) else f'["{name}"]' for name in path[1:])


def fields_read(nodes: Iterable[Node]) -> dict[Path, int]:
    """The open fields whose value is read, with how often they stand there. `has(body.x)` reads no `body.x`."""
    found: dict[Path, int] = {}
    for node in nodes:
        path = field_of(node)
        if path is not None:
            found[path] = found.get(path, 0) + 1
    return found


def facts_read(tree: Node, facts: Container[str]) -> frozenset[Path]:
    """The paths of all that is read of `facts`, each as far as its names are written out. `has(body.x)` counts too."""
    found: set[Path] = set()
    left = [tree]
    while left:
        node = left.pop()
        path = (*(constant_path(node.operand) or ()), node.field) if isinstance(node, Has) else constant_path(node)
        if path is not None and path[0] in facts:
            found.add(path)
        elif not isinstance(node, Name):
            left += parts(node)
    return frozenset(found)


def compared_with_null(nodes: Iterable[Node]) -> set[Path]:
    """The open fields that a condition allows to be null, by comparing them with it."""
    found: set[Path] = set()
    for node in nodes:
        if isinstance(node, Binary) and node.operator in ("==", "!="):
            sides = (node.left, node.right)
            if any(isinstance(side, Literal) and side.value is None for side in sides):
                found.update(path for side in sides if (path := field_of(side)) is not None)
    return found


class Fields:
    """What is known of the open fields of a rule; what its conditions do with them narrows it down."""

    def __init__(self, declared: Mapping[Path, Kind]) -> None:
        self.declared = declared
        self.kinds: dict[Path, Kind] = dict(declared)
        self.reasons: dict[Path, Node] = {}  # the use that says so

    def kind(self, path: Path) -> Kind:
        return self.kinds.get(path, JSON)

    def narrow(self, path: Path, types: frozenset[str], use: Node) -> Kind:
        """The kind of the field, which is one of `types` where it is put to this use.

        Raises ConditionInvalid where it is declared, or used elsewhere, as something else.
        """
        known = self.kind(path)
        both = known.types & types
        if not both:
            raise ConditionInvalid(use.offset, self.conflict(path, Kind(types & JSON.types), use))
        if both == known.types:
            return known
        self.kinds[path] = kind = Kind(both, known.element)
        self.reasons[path] = use
        return kind

    def conflict(self, path: Path, wanted: Kind, use: Node) -> str:
        name, known, wrong, here = written(path), self.kind(path), precisely(wanted), sketch(use)
        if path not in self.reasons:
            return f"{name} is declared {known.name} under types, and {wrong} in {here}: mend one of them"
        return (
            f"{name} is {precisely(known)} in {sketch(self.reasons[path])} and {wrong} in {here}:"
            f" mend the wrong one; types: {{{name}: ...}} says which it is"
        )

    def checks(self, nodes: Iterable[Node], read: Mapping[Path, int]) -> dict[Path, Check]:
        """What reading must make sure of, by field; `nodes` are all of the rule's, `read` is how often each field is.

        A field that is read in one place only, and not declared, is of the type that it is used as there or that use
        is unevaluable: it needs no check beside.
        """
        found = [
            path for path, times in read.items() if path in self.declared or (times > 1 and self.kind(path) != JSON)
        ]
        nullable = compared_with_null(nodes) if found else set()
        return {path: Check(self.kind(path), path in nullable) for path in found}


def precisely(kind: Kind) -> str:
    return {"int": "a whole number", "double": "a decimal"}.get(kind.name, str(kind))
