"""Parts of a condition as messages show them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

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


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """What to write instead of a name that is not known."""
    names = sorted(known)
    close = get_close_matches(wrong, names, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known here: {', '.join(names)}" if names else "there are none here"
