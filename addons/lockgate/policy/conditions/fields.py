"""Open fields: what lies below `body` and `principal.claims`, of a type that only the rule can say. Pure.

A field has one type in all conditions of a rule: the one declared for it, else what it is compared with or used as.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lockgate.policy.conditions.describe import sketch
from lockgate.policy.conditions.kinds import JSON, Kind
from lockgate.policy.conditions.syntax import Binary, ConditionInvalid, Index, Literal, Member, Name, Node, walk

Path = tuple[str, ...]

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPEN: tuple[Path, ...] = (("body",), ("principal", "claims"))


@dataclass(frozen=True, slots=True)
class Check:
    """What a field must be of wherever it is read: `null` is taken too where a condition compares it with null."""

    kind: Kind
    nullable: bool


def field_of(node: Node) -> Path | None:
    """The path of an open field, where `node` is one: constant members below `body` or `principal.claims`."""
    if not isinstance(node, (Member, Index)):
        return None
    path = constant_path(node)
    return path if path is not None and path not in OPEN and path[: len(root_of(path))] in OPEN else None


def root_of(path: Path) -> Path:
    return path[:1] if path[:1] == ("body",) else path[:2]


def constant_path(node: Node) -> Path | None:
    names: list[str] = []
    while not isinstance(node, Name):
        match node:
            case Member():
                names.append(node.field)
            case Index(key=Literal(value=str(name))):
                names.append(name)
            case _:
                return None
        node = node.operand
    return (node.name, *reversed(names))


def written(path: Path) -> str:
    """A path as a condition has it."""
    return path[0] + "".join(f".{name}" if IDENTIFIER.fullmatch(name) else f'["{name}"]' for name in path[1:])


def fields_read(trees: Iterable[Node]) -> Counter[Path]:
    """The open fields whose value is read, with how often they stand there. `has(body.x)` reads no `body.x`."""
    return Counter(path for tree in trees for node in walk(tree) if (path := field_of(node)) is not None)


def compared_with_null(trees: Iterable[Node]) -> set[Path]:
    """The open fields that a condition allows to be null, by comparing them with it."""
    found: set[Path] = set()
    for tree in trees:
        for node in walk(tree):
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
        self.reasons: dict[Path, str] = {}

    def kind(self, path: Path) -> Kind:
        return self.kinds.get(path, JSON)

    def narrow(self, path: Path, types: frozenset[str], use: Node) -> Kind:
        """The kind of the field, which is one of `types` where it is put to this use.

        Raises ConditionInvalid where it is declared, or used elsewhere, as something else.
        """
        known = self.kind(path)
        kind = Kind(known.types & types, known.element)
        if not kind.types:
            raise ConditionInvalid(use.offset, self.conflict(path, Kind(types & JSON.types), sketch(use)))
        if kind != known:
            self.kinds[path] = kind
            self.reasons[path] = sketch(use)
        return kind

    def conflict(self, path: Path, wanted: Kind, use: str) -> str:
        name, known, wrong = written(path), self.kind(path), precisely(wanted)
        if path not in self.reasons:
            return f"{name} is declared {known.name} under types, and {wrong} in {use}: mend one of them"
        return (
            f"{name} is {precisely(known)} in {self.reasons[path]} and {wrong} in {use}:"
            f" mend the wrong one; types: {{{name}: ...}} says which it is"
        )

    def checks(self, trees: Iterable[Node], read: Mapping[Path, int]) -> dict[Path, Check]:
        """What reading must make sure of, by field; `read` is how often each is.

        A field that is read in one place only, and not declared, is of the type that it is used as there or that use
        is unevaluable: it needs no check beside.
        """
        found = [
            path for path, times in read.items() if path in self.declared or (times > 1 and self.kind(path) != JSON)
        ]
        nullable = compared_with_null(trees) if found else set()
        return {path: Check(self.kind(path), path in nullable) for path in found}


def precisely(kind: Kind) -> str:
    return {"int": "a whole number", "double": "a decimal"}.get(kind.name, str(kind))
