"""Conditions twice over: the text of a rule, and a Python function that says the same, by nothing but the spec.

A function gives true, false, or raises `Undefined`, which is the third value. Python's own `and` and `or` go from left
to right and hide no error, as the language's do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lockgate.model import Principal, Unreadable


class Undefined(Exception):
    """Raised when a condition has no certain answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of somebody, at an instant, brought to its canonical form."""

    principal: Principal
    now: datetime
    method: str
    target: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: Any = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a condition reads: the request, the lists of the gateway, and what the line captured of the path."""

    request: Request
    lists: Mapping[str, list[Any]]
    captures: Mapping[str, str]


Term = Callable[[Facts], Any]


class Condition:
    """`text` is what stands in the rule; `types` those of the members of the body that it reads."""

    def __init__(self, text: str, holds: Callable[[Facts], bool], types: Mapping[str, str] | None = None) -> None:
        self.text, self.holds, self.types = text, holds, types or {}

    def __repr__(self) -> str:
        return self.text


class PathText(str):
    """Text of a path, which some targets read in any letter case."""

    __slots__ = ()


def folded(given: str) -> str:
    """What is the same in all letter cases. The dot goes: I, i, dotted and dotless, are one letter to some targets."""
    return given.upper().casefold().replace("\N{COMBINING DOT ABOVE}", "")


def number(value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Undefined
    return value


def text(value: object) -> str:
    if not isinstance(value, str):
        raise Undefined
    return value


def items(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Undefined
    return value


def member(name: str) -> Term:
    """`body.name`."""

    def read(facts: Facts) -> Any:
        document = mapping(facts.request.body, name)
        if name not in document:
            raise Undefined
        return document[name]

    return read


def has_member(name: str) -> Term:
    """`has(body.name)`."""
    return lambda facts: name in mapping(facts.request.body, name)


def mapping(document: object, name: str) -> dict[str, Any]:
    """The document as one that has members, none of them `name` in another letter case."""
    if isinstance(document, Unreadable) or not isinstance(document, dict):
        raise Undefined
    if any(other != name and other.lower() == name.lower() for other in document):
        raise Undefined
    return document


def parameter(name: str) -> Term:
    """`request.query.name`: one value."""

    def read(facts: Facts) -> Any:
        found = parameters(name)(facts)
        if len(found) != 1:
            raise Undefined
        return found[0]

    return read


def parameters(name: str) -> Term:
    """`request.query_all.name`: every value."""

    def read(facts: Facts) -> tuple[str, ...]:
        if not has_parameter(name)(facts):
            raise Undefined
        return facts.request.query[name]

    return read


def has_parameter(name: str) -> Term:
    """`has(request.query.name)`: not where a target may read another parameter as this one."""

    def read(facts: Facts) -> bool:
        for other in facts.request.query:
            if other != name and other.partition("[")[0].lower() == name.lower():
                raise Undefined
        return name in facts.request.query

    return read


def header(name: str) -> Term:
    """`request.headers["name"]`: one value."""

    def read(facts: Facts) -> str:
        values = facts.request.headers.get(name, ())
        if len(values) != 1:
            raise Undefined
        return values[0]

    return read


def claim(name: str) -> Term:
    """`principal.claims.name`."""

    def read(facts: Facts) -> Any:
        if name not in facts.request.principal.claims:
            raise Undefined
        return facts.request.principal.claims[name]

    return read


def open_field(path: str, kind: str) -> dict[str, str]:
    return {path: kind} if path.startswith("body.") else {}


def number_compared(path: str, read: Term, operator: str, bound: float) -> Condition:
    compare: dict[str, Callable[[Any], bool]] = {
        "<=": lambda value: value <= bound,
        ">": lambda value: value > bound,
        "==": lambda value: value == bound,
        "!=": lambda value: value != bound,
    }
    return Condition(
        f"{path} {operator} {bound}", lambda facts: compare[operator](number(read(facts))), open_field(path, "number")
    )


def text_compared(path: str, read: Term, operator: str, bound: str) -> Condition:
    compare: dict[str, Callable[[str], bool]] = {
        "==": lambda value: is_one_of(value, [bound]),
        "!=": lambda value: not is_one_of(value, [bound]),
    }
    return Condition(
        f"{path} {operator} {json.dumps(bound)}",
        lambda facts: compare[operator](text(read(facts))),
        open_field(path, "string"),
    )


def is_one_of(value: str, bounds: list[str]) -> bool:
    """Whether a text is among these. That of a path has no certain answer where only letter case tells it from one."""
    found = value in bounds
    if not found and isinstance(value, PathText) and folded(value) in map(folded, bounds):
        raise Undefined
    return found


def starts_with(path: str, read: Term, prefix: str) -> Condition:
    def holds(facts: Facts) -> bool:
        value = text(read(facts))
        found = value.startswith(prefix)
        spelled = (
            f"{folded(value).removesuffix('/')}/"  # of the two spellings this one starts with all that either does
        )
        if not found and isinstance(value, PathText) and spelled.startswith(folded(prefix)):
            raise Undefined
        return found

    return Condition(f"{path}.startsWith({json.dumps(prefix)})", holds, open_field(path, "string"))


def text_among(path: str, read: Term, values: list[str]) -> Condition:
    return Condition(
        f"{path} in {json.dumps(values)}",
        lambda facts: is_one_of(text(read(facts)), values),
        open_field(path, "string"),
    )


def text_listed(path: str, read: Term, name: str) -> Condition:
    return Condition(
        f"{path} in lists.{name}", lambda facts: text(read(facts)) in facts.lists[name], open_field(path, "string")
    )


def number_listed(path: str, read: Term, name: str) -> Condition:
    return Condition(
        f"{path} in lists.{name}", lambda facts: number(read(facts)) in facts.lists[name], open_field(path, "number")
    )


def contains(path: str, read: Term, value: str) -> Condition:
    """Whether a list has the text; one with anything but text has no certain answer."""

    def holds(facts: Facts) -> bool:
        return value in [text(each) for each in items(read(facts))]

    return Condition(f"{json.dumps(value)} in {path}", holds, open_field(path, "list"))


def some_listed(path: str, read: Term, name: str) -> Condition:
    def holds(facts: Facts) -> bool:
        return any(each == text(read(facts)) for each in facts.lists[name])

    return Condition(f"lists.{name}.exists(each, each == {path})", holds)


def none_listed(path: str, read: Term, name: str) -> Condition:
    def holds(facts: Facts) -> bool:
        return all(each != text(read(facts)) for each in facts.lists[name])

    return Condition(f"lists.{name}.all(each, each != {path})", holds)


def has(path: str, read: Term) -> Condition:
    return Condition(f"has({path})", read)


def negated(inner: Condition) -> Condition:
    return Condition(f"!({inner})", lambda facts: not inner.holds(facts), inner.types)


def both(first: Condition, second: Condition) -> Condition:
    return Condition(
        f"({first}) && ({second})",
        lambda facts: first.holds(facts) and second.holds(facts),
        {**first.types, **second.types},
    )


def either(first: Condition, second: Condition) -> Condition:
    return Condition(
        f"({first}) || ({second})",
        lambda facts: first.holds(facts) or second.holds(facts),
        {**first.types, **second.types},
    )


def choice(test: Condition, then: Condition, other: Condition) -> Condition:
    return Condition(
        f"({test}) ? ({then}) : ({other})",
        lambda facts: then.holds(facts) if test.holds(facts) else other.holds(facts),
        {**test.types, **then.types, **other.types},
    )
