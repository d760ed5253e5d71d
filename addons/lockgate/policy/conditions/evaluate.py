"""The value of a condition over a request's facts, strictly (law 2). Pure.

Where CEL is lenient this is not: what is missing, ambiguous, or of another type than it is compared with raises
Unevaluable, whichever operator stands around it. `&&` and `||` go from left to right and stop at a definite answer;
an error on the way is never hidden by the other side. Numbers are exact: whole numbers and decimals compare by value,
decimals are not rounded to doubles. Facts are looked up where they lie, so nothing is copied or bound beforehand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal, DecimalException, DivisionByZero, InvalidOperation, Overflow
from functools import cached_property
from math import isfinite
from operator import add, ge, gt, le, lt, mul, sub
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.model import Unreadable
from lockgate.policy.conditions.check import ARITHMETIC, describe, reads
from lockgate.policy.conditions.functions import FUNCTIONS, METHODS
from lockgate.policy.conditions.syntax import (
    INT64,
    Binary,
    Call,
    Comprehension,
    Conditional,
    Has,
    Index,
    ListOf,
    Literal,
    MapOf,
    Member,
    Name,
    Node,
    Unary,
)

MAX_STEPS = 100_000  # about a tenth of a second: an agent's long list must not stop the gateway
DECIMALS = Context(prec=60, traps=[InvalidOperation, DivisionByZero, Overflow])


class Once(Mapping[str, str]):
    """Query parameters or headers by name, for those given once.

    Reading one given more than once is ambiguous, and so is one that a target may read from another spelling.
    """

    def __init__(self, what: str, values: Mapping[str, tuple[str, ...]]) -> None:
        self.what = what
        self.values_by_name = values

    @cached_property
    def spellings(self) -> Counter[str]:
        """How many names some targets read as this one."""
        return Counter(spelling for name in self.values_by_name for spelling in spellings(name))

    def require_one_spelling(self, name: str) -> None:
        if self.spellings[folded(name)] > (name in self.values_by_name):
            raise Unevaluable(f"the {self.what} {name} is given in another spelling")

    def __getitem__(self, name: str) -> str:
        self.require_one_spelling(name)
        values = self.values_by_name[name]
        if len(values) != 1:
            raise Unevaluable(f"the {self.what} {name} is given {len(values)} times")
        return values[0]

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self.require_one_spelling(name)
        return name in self.values_by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


NUMBERED = re.compile(r"\[[0-9]*\]$")
AS_UNDERSCORE = str.maketrans(". ", "__")


def folded(name: str) -> str:
    """What the laxest target takes a parameter's name for.

    Letter case (ASP.NET), blanks around it, `.` and blanks within (PHP) and a last `[]` or `[3]` make no difference.
    """
    return NUMBERED.sub("", name.strip()).strip().casefold().translate(AS_UNDERSCORE)


def spellings(name: str) -> set[str]:
    """The names a parameter may be read by: its own, and that of the object it is a member of (`a` for `a[b]`)."""
    return {folded(name), folded(name.partition("[")[0])}


def evaluate(tree: Node, facts: Mapping[str, Any]) -> bool:
    """Whether the condition holds. Raises Unevaluable where there is no certain answer."""
    try:
        value = Evaluator(facts).value(tree)
    except (RecursionError, DecimalException, OverflowError) as error:
        raise Unevaluable("it is nested too deep, or a number is out of range") from error
    if not isinstance(value, bool):
        raise Unevaluable("the condition is neither true nor false")
    return value


def kind_of(value: Any, node: Node) -> str:
    """The CEL type of a value, by the names that `check.Kind` has."""
    for types, name in KINDS:
        if isinstance(value, types):
            return name
    raise Unevaluable(f"{describe(node)} is of a type that conditions do not know")


KINDS: tuple[tuple[tuple[type, ...], str], ...] = (
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


def exact(number: int | float | Decimal) -> int | Decimal:
    """A number as it was written. Raises Unevaluable where a reader that uses doubles would see another one."""
    if isinstance(number, float):
        if not isfinite(number) or not getattr(number, "lossless", True):
            raise Unevaluable("a number has more digits than a double holds, so readers disagree about it")
        return Decimal(getattr(number, "text", None) or repr(number))
    return number


class Evaluator:
    """One evaluation; counts its steps. `loop` is the comprehension being gone through; none stands in another."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self.variables: dict[str, Any] = {}
        self.loop: Comprehension | None = None
        self.steps = 0
        self.letters: dict[int, tuple[Mapping[str, Any], Counter[str]]] = {}

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise Unevaluable(f"the condition takes more than {MAX_STEPS} steps")

    def value(self, node: Node) -> Any:
        self.spend(1)
        return STRICT[type(node)](self, node)

    def of_kind(self, node: Node, *kinds: str) -> Any:
        value = self.value(node)
        kind = kind_of(value, node)
        if kind not in kinds:
            raise Unevaluable(f"{describe(node)} is of type {kind}, not {' or '.join(kinds)}")
        return exact(value) if kind == "double" else value

    def literal(self, node: Literal) -> Any:
        return node.value

    def name(self, node: Name) -> Any:
        if node.name in self.variables:
            return self.variables[node.name]
        try:
            value = self.facts[node.name]
        except KeyError:
            raise Unevaluable(f"{node.name} is not known here") from None
        if isinstance(value, Unreadable):
            raise Unevaluable(f"the {node.name} cannot be read: {value.reason}")
        return value

    def member(self, node: Member) -> Any:
        return self.lookup(node, self.of_kind(node.operand, "map"), node.field)

    def lookup(self, node: Member | Index, found: Mapping[str, Any], name: str) -> Any:
        self.require_one_spelling(node.operand, found, name)
        try:
            return found[name]
        except KeyError:
            raise Unevaluable(f"{describe(node)} is missing") from None

    def has(self, node: Has) -> bool:
        found = self.of_kind(node.operand, "map")
        self.require_one_spelling(node.operand, found, node.field)
        return node.field in found

    def require_one_spelling(self, node: Node, found: Mapping[str, Any], name: str) -> None:
        """Raises Unevaluable where a target may read another member of `found`, which `node` gives, than `name`."""
        if self.is_of_body(node):
            # Go's encoding/json, for one, takes a member in any letter case, and the last one of several.
            if self.letters_of(found)[name.casefold()] > (name in found):
                raise Unevaluable(f"{describe(node)} has a member whose name differs in letter case only")
            return
        query = self.facts.get("request", {}).get("query")
        if isinstance(query, Once) and found is query.values_by_name:  # request.query_all
            query.require_one_spelling(name)

    def is_of_body(self, node: Node) -> bool:
        loop = self.loop
        return reads(node, "body") or (loop is not None and reads(node, loop.variable) and reads(loop.operand, "body"))

    def letters_of(self, found: Mapping[str, Any]) -> Counter[str]:
        """How many names of `found` are the same but for letter case. Kept with `found`, whose id stays taken so."""
        if id(found) not in self.letters:
            self.spend(len(found) // 16)
            self.letters[id(found)] = found, Counter(map(str.casefold, found))
        return self.letters[id(found)][1]

    def index(self, node: Index) -> Any:
        found = self.of_kind(node.operand, "map", "list")
        if isinstance(found, Mapping):
            return self.lookup(node, found, self.of_kind(node.key, "string"))
        position = self.of_kind(node.key, "int")
        if not 0 <= position < len(found):
            raise Unevaluable(f"{describe(node)} is missing")
        return found[position]

    def call(self, node: Call) -> Any:
        function = (METHODS if node.method else FUNCTIONS)[node.function]
        values = [self.of_kind(part, *kinds) for part, kinds in zip(node.arguments, function.takes, strict=True)]
        self.spend(sum(len(value) // 64 for value in values if isinstance(value, str)))
        if node.function == "matches":
            self.spend(20)
        return function.run(*values)

    def comprehension(self, node: Comprehension) -> Any:
        elements = list(self.of_kind(node.operand, "list", "map"))
        if node.macro == "map":
            return [self.each(node, element) for element in elements]
        if node.macro == "filter":
            return [element for element in elements if self.truth(node, element)]
        if node.macro == "exists_one":
            return sum([self.truth(node, element) for element in elements]) == 1
        return (all if node.macro == "all" else any)(self.truth(node, element) for element in elements)

    def each(self, node: Comprehension, element: Any) -> Any:
        self.variables, self.loop = {node.variable: element}, node
        try:
            return self.value(node.body)
        finally:
            self.variables, self.loop = {}, None

    def truth(self, node: Comprehension, element: Any) -> bool:
        value = self.each(node, element)
        if not isinstance(value, bool):
            raise Unevaluable(f"what {node.macro}() asks of {node.variable} is neither true nor false")
        return value

    def unary(self, node: Unary) -> Any:
        if node.operator == "!":
            return not self.of_kind(node.operand, "bool")
        return self.in_range(-self.of_kind(node.operand, "int", "double"))

    def conditional(self, node: Conditional) -> Any:
        return self.value(node.then if self.of_kind(node.test, "bool") else node.otherwise)

    def list_of(self, node: ListOf) -> Any:
        return [self.value(item) for item in node.items]

    def map_of(self, node: MapOf) -> Any:
        entries = [(self.of_kind(key, "string"), self.value(value)) for key, value in node.entries]
        if len(dict(entries)) != len(entries):
            raise Unevaluable("a map has the same key twice")
        return dict(entries)

    def binary(self, node: Binary) -> Any:
        operator = node.operator
        if operator in ("&&", "||"):
            if self.of_kind(node.left, "bool") is (operator == "||"):
                return operator == "||"
            return self.of_kind(node.right, "bool")
        left, right = self.value(node.left), self.value(node.right)
        if operator in ("==", "!="):
            return self.equal(node, left, right) is (operator == "==")
        if operator == "in":
            return self.within(node, left, right)
        if operator in ORDER:
            return self.ordered(node, left, right)
        return self.arithmetic(node, left, right)

    def equal(self, node: Binary, left: Any, right: Any) -> bool:
        """Whether two values are the same. A comparison with a written `null` always has an answer."""
        if is_null(node.left) or is_null(node.right):
            return left is None and right is None
        return self.same(node, left, right)

    def same(self, node: Binary, left: Any, right: Any) -> bool:
        """Equality of two values of one type, elements included; all are looked at, so no mismatch is hidden."""
        self.spend(1)
        kinds = kind_of(left, node.left), kind_of(right, node.right)
        if set(kinds) <= {"int", "double"}:
            return exact(left) == exact(right)
        if kinds[0] != kinds[1]:
            raise mismatch(node, *kinds)
        if kinds[0] == "list":
            if len(left) != len(right):
                return False
            answers = [self.same(node, one, other) for one, other in zip(left, right, strict=True)]
            return False not in answers
        if kinds[0] == "map":
            self.spend((len(left) + len(right)) // 16)
            if set(left) != set(right):
                if set(map(str.casefold, left)) == set(map(str.casefold, right)):
                    raise Unevaluable(f"{describe(node.left)} and {describe(node.right)} differ in letter case only")
                return False
            answers = [self.same(node, left[name], right[name]) for name in left]
            return False not in answers
        return bool(left == right)

    def within(self, node: Binary, left: Any, right: Any) -> bool:
        kind = kind_of(right, node.right)
        if kind == "map":
            if not isinstance(left, str):
                raise mismatch(node, kind_of(left, node.left), "string")
            self.require_one_spelling(node.right, right, left)
            return left in right
        if kind != "list":
            raise Unevaluable(f"{describe(node.right)} is of type {kind}, not list or map")
        answers = [self.same(node, left, element) for element in right]
        return True in answers

    def ordered(self, node: Binary, left: Any, right: Any) -> bool:
        kinds = kind_of(left, node.left), kind_of(right, node.right)
        if set(kinds) <= {"int", "double"}:
            return ORDER[node.operator](exact(left), exact(right))
        if kinds[0] != kinds[1] or kinds[0] in ("null", "list", "map"):
            raise mismatch(node, *kinds)
        return ORDER[node.operator](left, right)

    def arithmetic(self, node: Binary, left: Any, right: Any) -> Any:
        kinds = kind_of(left, node.left), kind_of(right, node.right)
        if (node.operator, *kinds) not in ARITHMETIC:
            raise Unevaluable(f"CEL has no {kinds[0]} {node.operator} {kinds[1]}")
        if kinds[0] == "double":
            return DECIMAL_ARITHMETIC[node.operator](exact(left), exact(right))
        if kinds[0] == "list":
            self.spend(len(left) + len(right))
            return [*left, *right]
        if kinds[0] == "string":
            self.spend((len(left) + len(right)) // 64)
        if kinds == ("int", "int") and node.operator in "/%":
            return self.in_range(divided(node, left, right))
        return self.in_range(PLAIN_ARITHMETIC[node.operator](left, right))

    def in_range(self, value: Any) -> Any:
        if isinstance(value, int) and value not in INT64:
            raise Unevaluable("a whole number does not fit 64 bits")
        return value


def is_null(node: Node) -> bool:
    return isinstance(node, Literal) and node.value is None


def mismatch(node: Binary, left: str, right: str) -> Unevaluable:
    sides = " and ".join(describe(side) for side in (node.left, node.right))
    return Unevaluable(f"{sides} cannot be compared: one is of type {left}, the other of type {right}")


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

STRICT: Mapping[type[Node], Callable[[Evaluator, Any], Any]] = {
    Literal: Evaluator.literal,
    Name: Evaluator.name,
    Member: Evaluator.member,
    Has: Evaluator.has,
    Index: Evaluator.index,
    Call: Evaluator.call,
    Comprehension: Evaluator.comprehension,
    Unary: Evaluator.unary,
    Binary: Evaluator.binary,
    Conditional: Evaluator.conditional,
    ListOf: Evaluator.list_of,
    MapOf: Evaluator.map_of,
}
