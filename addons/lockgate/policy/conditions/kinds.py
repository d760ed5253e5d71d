"""What can be known of a value before any request, and what a request's facts are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

# The CEL types of values, with what messages call them, in the order in which they name several.
WORDS: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a number",
    "double": "a number",
    "duration": "a duration",
    "string": "text",
    "timestamp": "a timestamp",
    "list": "a list",
    "map": "a map",
    "null": "a null",
}
NUMBERS = frozenset({"int", "double"})


@dataclass(frozen=True, slots=True)
class Kind:
    """The CEL types that a value may be of.

    `element` is the kind of a list's elements and a map's values; None where it shows at run time only.
    """

    types: frozenset[str]
    element: Kind | None = None

    def __str__(self) -> str:
        if self.types >= JSON.types:
            return "a JSON value"
        return " or ".join(dict.fromkeys(word for name, word in WORDS.items() if name in self.types))

    @property
    def name(self) -> str:
        """As CEL names it; `number` for one of either sort, `dyn` for what shows at run time only."""
        if self.types >= JSON.types:
            return "dyn"
        if self.types == NUMBERS:
            return "number"
        return " or ".join(name for name in WORDS if name in self.types)


@dataclass(frozen=True, slots=True)
class Facts:
    """Declared members under one name, which is no value by itself."""

    members: Mapping[str, Kind | Facts]


def of(*types: str) -> Kind:
    return Kind(frozenset(types))


def list_of(element: Kind | None) -> Kind:
    return Kind(frozenset({"list"}), element)


def map_of(element: Kind | None) -> Kind:
    return Kind(frozenset({"map"}), element)


BOOL = of("bool")
STRING = of("string")
INT = of("int")
DOUBLE = of("double")
NUMBER = Kind(NUMBERS)
NULL = of("null")
TIMESTAMP = of("timestamp")
DURATION = of("duration")
# What may stand in a body or a token: JSON has no instants and no durations.
JSON = of("null", "bool", "int", "double", "string", "list", "map")


def family(types: frozenset[str]) -> frozenset[str]:
    """What values of these types can be compared with: whole and decimal numbers compare by value."""
    return types | NUMBERS if types & NUMBERS else types


def alike(left: Kind, right: Kind) -> bool:
    """Whether values of these kinds can be compared at all, as far as is known."""
    shared = family(left.types) & right.types
    if left.element is None or right.element is None or not shared <= {"list", "map"}:
        return bool(shared)
    return bool(shared) and alike(left.element, right.element)


def union(kinds: Sequence[Kind]) -> Kind:
    """What is known of a value that is of one of these kinds."""
    if not kinds:
        return JSON
    elements = {kind.element for kind in kinds}
    return Kind(frozenset().union(*(kind.types for kind in kinds)), elements.pop() if len(elements) == 1 else None)


PRINCIPAL = Facts({"issuer": STRING, "subject": STRING, "roles": list_of(STRING), "claims": map_of(None)})
REQUEST = Facts(
    {
        "method": STRING,
        "host": STRING,
        "path": STRING,
        "query": map_of(STRING),
        "query_all": map_of(list_of(STRING)),
        "headers": map_of(STRING),
    }
)


def http_facts(captures: Iterable[str], lists: Mapping[str, tuple[str | int | Decimal, ...]]) -> Facts:
    """What conditions may read of an HTTP request whose pattern has these captures, and the named lists."""
    return Facts(
        {
            "principal": PRINCIPAL,
            "request": REQUEST,
            "path": Facts(dict.fromkeys(captures, STRING)),
            "lists": Facts({name: list_of(element_of(values)) for name, values in lists.items()}),
            "body": JSON,
            "now": TIMESTAMP,
        }
    )


def element_of(values: Sequence[str | int | Decimal]) -> Kind | None:
    """Of what kind the members of a named list are: all text, or all numbers."""
    if not values:
        return None
    return STRING if isinstance(values[0], str) else NUMBER


# What `left operator right` gives, by the types of both.
ARITHMETIC: Mapping[tuple[str, str, str], str] = {
    **{(operator, "int", "int"): "int" for operator in "+-*/%"},
    **{(operator, "double", "double"): "double" for operator in "+-*/"},
    ("+", "string", "string"): "string",
    ("+", "list", "list"): "list",
    ("+", "timestamp", "duration"): "timestamp",
    ("+", "duration", "timestamp"): "timestamp",
    ("+", "duration", "duration"): "duration",
    ("-", "timestamp", "duration"): "timestamp",
    ("-", "timestamp", "timestamp"): "duration",
    ("-", "duration", "duration"): "duration",
}


@lru_cache
def given(operator: str, left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    """The types of what an operator gives that has one of these on each side; none where it takes no two of them."""
    return frozenset(
        result
        for (sign, one, other), result in ARITHMETIC.items()
        if sign == operator and one in left and other in right
    )


@lru_cache
def lefts(operator: str, right: frozenset[str]) -> frozenset[str]:
    """What an operator takes on its left with one of these types on its right."""
    return frozenset(one for sign, one, other in ARITHMETIC if sign == operator and other in right)


@lru_cache
def rights(operator: str, left: frozenset[str]) -> frozenset[str]:
    return frozenset(other for sign, one, other in ARITHMETIC if sign == operator and one in left)
