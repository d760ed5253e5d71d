"""Parts of a condition as messages show them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from lockgate.policy.conditions.syntax import (
    Binary,
    Call,
    Comprehension,
    Has,
    Index,
    Literal,
    Member,
    Name,
    Node,
    Unary,
)


def describe(node: Node) -> str:
    """A part as its author wrote it, shortened. What has operators is "this part"."""
    match node:
        case Name():
            return node.name
        case Member():
            return f"{describe(node.operand)}.{node.field}"
        case Index():
            return f"{describe(node.operand)}[{describe(node.key)}]"
        case Literal() if isinstance(node.value, str):
            return f'"{node.value}"'
        case Literal():
            return "null" if node.value is None else str(node.value).lower()
        case Call() if node.method:
            return f"{describe(node.arguments[0])}.{node.function}(...)"
        case Call():
            return f"{node.function}(...)"
        case _:
            return "this part"


def sketch(node: Node) -> str:
    """A part with its operator, to tell it from others of the same condition."""
    match node:
        case Binary():
            return f"{operand(node.left)} {node.operator} {operand(node.right)}"
        case Unary():
            return f"{node.operator}{operand(node.operand)}"
        case Comprehension():
            return f"{operand(node.operand)}.{node.macro}(...)"
        case Has():
            return f"has({operand(node.operand)}.{node.field})"
        case Call() if not node.method:
            return f"{node.function}({', '.join(map(operand, node.arguments))})"
        case _:
            return operand(node)


def operand(node: Node) -> str:
    found = describe(node)
    return "(...)" if "this part" in found else found


MAX_NAMES = 40  # that are compared with a wrong one, or listed: each costs up to 20 microseconds


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not known."""
    names = tuple(known)
    near = names if len(names) <= MAX_NAMES else islice((name for name in names if alike(name, wrong)), MAX_NAMES)
    close = get_close_matches(wrong, sorted(near), 1)
    if close:
        return f"did you mean {close[0]}?"
    if len(names) > MAX_NAMES:
        return f"{len(names)} are known here, as {min(names)}"
    return f"known here: {', '.join(sorted(names))}" if names else "there are none here"


def alike(name: str, wrong: str) -> bool:
    """A cheap look at names too many to compare."""
    return abs(len(name) - len(wrong)) <= 2 and (name[:2] == wrong[:2] or name[-2:] == wrong[-2:])
