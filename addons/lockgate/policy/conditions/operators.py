"""The operators of conditions over two values, strict in their types (law 2). Pure.

Each takes the evaluation, whose steps it spends, and the node that it is the operator of, for what errors say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from operator import add, eq, ge, gt, le, lt, mul, sub
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.model import Unreadable
from lockgate.policy.conditions.describe import describe
from lockgate.policy.conditions.evaluation import Evaluation
from lockgate.policy.conditions.kinds import ARITHMETIC, NUMBERS
from lockgate.policy.conditions.syntax import INT64, Binary
from lockgate.policy.conditions.values import cost_of_texts, exact, mismatch, told_apart, told_in_order, type_of
from lockgate.policy.folding import PathText

DECIMALS = Context(prec=60, traps=[InvalidOperation, DivisionByZero, Overflow])


def both_null(_at: Evaluation, node: Binary, left: Any, right: Any) -> bool:
    """A comparison with a written `null`, which has an answer for every value that can be read."""
    for value, side in ((left, node.left), (right, node.right)):
        if isinstance(value, Unreadable):
            type_of(value, side)
    return left is None and right is None


def same(at: Evaluation, node: Binary, left: Any, right: Any) -> bool:
    """Equality of two values of one type, elements included; all are looked at, so no mismatch is hidden."""
    at.spend(1)
    one, other = type_of(left, node.left), type_of(right, node.right)
    if one in NUMBERS and other in NUMBERS:
        return exact(left) == exact(right)
    if one != other:
        raise mismatch(node, one, other)
    if one == "string":
        at.spend(cost_of_texts(left, right))
        return told_apart(left, right, eq)
    if one == "list":
        if len(left) != len(right):
            return False
        answers = [same(at, node, first, second) for first, second in zip(left, right, strict=True)]
        return False not in answers
    if one == "map":
        if at.parameters(left) is not None or at.parameters(right) is not None:
            raise Unevaluable("parameters and headers are compared one by one: their names have several spellings")
        at.spend((len(left) + len(right)) // 16)
        if left.keys() != right.keys():
            if at.letters(left).keys() == at.letters(right).keys():
                raise Unevaluable(f"{describe(node.left)} and {describe(node.right)} differ in letter case only")
            return False
        answers = [same(at, node, left[name], right[name]) for name in left]
        return False not in answers
    return bool(left == right)


def ordered(at: Evaluation, node: Binary, left: Any, right: Any) -> bool:
    one, other = type_of(left, node.left), type_of(right, node.right)
    if one in NUMBERS and other in NUMBERS:
        return ORDER[node.operator](exact(left), exact(right))
    if one != other or one in ("null", "list", "map"):
        raise mismatch(node, one, other)
    holds = ORDER[node.operator]
    at.spend(cost_of_texts(left, right))
    return told_in_order(left, right, holds) if one == "string" else holds(left, right)


def arithmetic(at: Evaluation, node: Binary, left: Any, right: Any) -> Any:
    one, other = type_of(left, node.left), type_of(right, node.right)
    if (node.operator, one, other) not in ARITHMETIC:
        raise Unevaluable(f"CEL has no {one} {node.operator} {other}")
    if one in NUMBERS and other in NUMBERS:
        left, right = exact(left), exact(right)
    if one == "double":
        return DECIMAL_ARITHMETIC[node.operator](left, right)
    if one == "list":
        at.spend(len(left) + len(right))
        return [*left, *right]
    if one == "string":
        at.spend(cost_of_texts(left, right))
        if isinstance(left, PathText) or isinstance(right, PathText):
            return PathText(left + right)
    if one == other == "int" and node.operator in "/%":
        return in_range(divided(node, left, right))
    return in_range(PLAIN_ARITHMETIC[node.operator](left, right))


def in_range(value: Any) -> Any:
    if isinstance(value, int) and value not in INT64:
        raise Unevaluable("a whole number does not fit 64 bits")
    return value


def divided(node: Binary, left: int, right: int) -> int:
    """Division of whole numbers rounds towards zero; the remainder has the sign of `left`."""
    if right == 0:
        raise Unevaluable(f"{describe(node.right)} is 0, and divides")
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return quotient if node.operator == "/" else left - right * quotient


ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
PLAIN_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {"+": add, "-": sub, "*": mul}
DECIMAL_ARITHMETIC: Mapping[str, Callable[[Any, Any], Decimal]] = {
    "+": DECIMALS.add,
    "-": DECIMALS.subtract,
    "*": DECIMALS.multiply,
    "/": DECIMALS.divide,
}
