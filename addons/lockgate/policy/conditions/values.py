"""What values are of, and how they compare: strictly (law 2). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.model import Unreadable
from lockgate.policy.conditions.describe import describe
from lockgate.policy.conditions.syntax import Binary, Node
from lockgate.policy.folding import PathText, decoded, fold, spellings

TYPES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((bool,), "bool"),
    ((str,), "string"),
    ((int,), "int"),
    ((float, Decimal), "double"),
    ((type(None),), "null"),
    ((list, tuple), "list"),
    ((Mapping,), "map"),
    ((datetime,), "timestamp"),
    ((timedelta,), "duration"),
)
# The same by exact class, for speed.
EXACT: Mapping[type, str] = {each: name for classes, name in TYPES for each in classes} | {
    dict: "map",
    PathText: "string",
}


def type_of(value: Any, node: Node) -> str:
    """The CEL type of a value, which `node` gives."""
    name = EXACT.get(type(value))
    if name is not None:
        return name
    for classes, name in TYPES:
        if isinstance(value, classes):
            return name
    if isinstance(value, Unreadable):
        raise Unevaluable(f"{describe(node)} cannot be read: {value.reason}")
    raise Unevaluable(f"{describe(node)} is of a type that conditions do not know")


WHOLE = 2**53  # up to here a double holds every whole number (IEEE 754, RFC 8259, section 6)


def exact(number: int | float | Decimal) -> int | Decimal:
    """A number as it was written. Raises Unevaluable where a reader that uses doubles would see another one."""
    if type(number) is int and -WHOLE <= number <= WHOLE:  # most are
        return number
    if isinstance(number, float):
        if not isfinite(number) or not getattr(number, "lossless", True):
            raise inexact()
        return Decimal(getattr(number, "text", None) or repr(number))
    if isinstance(number, int) and not fits_double(number):
        raise inexact()
    return number


def fits_double(number: int) -> bool:
    """Whether readers that use doubles see this number and no other."""
    try:
        return -WHOLE <= number <= WHOLE or int(float(number)) == number
    except OverflowError:
        return False


def inexact() -> Unevaluable:
    return Unevaluable("a number has more digits than a double holds, so readers disagree about it")


def mismatch(node: Binary, left: str, right: str) -> Unevaluable:
    sides = " and ".join(describe(side) for side in (node.left, node.right))
    return Unevaluable(f"{sides} cannot be compared: one is of type {left}, the other of type {right}")


def wrong_type(node: Node, found: str, *wanted: str) -> Unevaluable:
    return Unevaluable(f"{describe(node)} is of type {found}, not {' or '.join(wanted)}")


def cost_of_texts(*values: Any) -> int:
    """The steps of looking through the texts among `values`; beside one of the path each is brought to one spelling."""
    texts = [value for value in values if isinstance(value, str)]
    per_step = 5 if PathText in map(type, texts) else 64
    return sum([len(text) // per_step for text in texts])


def told_apart(text: str, other: str, alike: Callable[[str, str], bool]) -> bool:
    """Whether two texts are `alike`.

    Text of the path is unevaluable where only letter case, percent-encoding or a slash at its end tells it apart: its
    target may not. Raises Unevaluable.
    """
    if alike(text, other):
        return True
    if isinstance(text, PathText) or isinstance(other, PathText):
        one, two = (spellings(each) if isinstance(each, PathText) else (fold(decoded(each)),) for each in (text, other))
        if any(alike(first, second) for first in one for second in two):
            raise other_spelling()
    return False


def told_in_order(text: str, other: str, holds: Callable[[str, str], bool]) -> bool:
    """Whether `holds` of the order of two texts; unevaluable, as in `told_apart`, where spelling decides."""
    answer = holds(text, other)
    if (isinstance(text, PathText) or isinstance(other, PathText)) and answer is not holds(bare(text), bare(other)):
        raise other_spelling()
    return answer


def bare(text: str) -> str:
    return spellings(text)[0]


def other_spelling() -> Unevaluable:
    return Unevaluable(
        "a part of the path or a name in the body is given in another spelling, which its target may take for the same"
    )
