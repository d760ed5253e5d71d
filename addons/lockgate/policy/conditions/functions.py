"""The functions of conditions, strict in what they take: anything else is unevaluable. Pure.

Each takes values already known to be of the kinds it names. What it cannot answer for certain raises Unevaluable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import contains
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.regexes import Regex
from lockgate.policy.conditions.syntax import INT64
from lockgate.policy.conditions.values import cost_of_texts, told_apart

INTEGER = re.compile(r"-?[0-9]{1,19}")
DECIMAL = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,3})?")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
DURATION = re.compile(r"-?(?:\d{1,12}(?:\.\d{1,9})?(?:h|ms|m|s|us))+", re.ASCII)
MAX_DURATION = 100  # characters
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us)", re.ASCII)
UNITS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}  # microseconds


def integer(value: Any) -> int:
    """`int()`: of a decimal what stands before the point."""
    if isinstance(value, str) and not INTEGER.fullmatch(value):
        raise Unevaluable("int() was given a text that is no whole number")
    number = int(value)
    if number not in INT64:
        raise Unevaluable("int() was given a number past 64 bits")
    return number


def double(value: Any) -> Decimal:
    if isinstance(value, str) and not DECIMAL.fullmatch(value):
        raise Unevaluable("double() was given a text that is no number")
    return Decimal(value)


def string(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def timestamp(value: Any) -> datetime:
    """An instant, from RFC 3339 text with a zone, to the microsecond."""
    if isinstance(value, datetime):
        return value
    try:
        if RFC3339.fullmatch(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Unevaluable('timestamp() was given a text that is no instant such as "2030-01-31T12:00:00Z"')


def duration(value: Any) -> timedelta:
    """A span of time, from text as `1h30m` or `-1.5s`."""
    if isinstance(value, timedelta):
        return value
    if len(value) > MAX_DURATION or not DURATION.fullmatch(value):
        raise Unevaluable('duration() was given a text that is no duration such as "1h30m"')
    total = sum(Decimal(number) * UNITS[unit] for number, unit in DURATION_PART.findall(value))
    try:
        return timedelta(microseconds=int(-total if value.startswith("-") else total))
    except OverflowError:
        raise Unevaluable("duration() was given a duration out of range") from None


def matches(text: str, regex: Regex) -> bool:
    """Whether `regex` is found anywhere in `text`; anchor it with ^ and $ for the whole."""
    return regex.found_in(text)


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method. `takes` has the kinds of each argument, a method's operand first.

    `cost` says in steps what `run` takes with the same arguments.
    """

    takes: tuple[tuple[str, ...], ...]
    gives: str
    run: Callable[..., Any]
    cost: Callable[..., int]


def of(*takes: str, gives: str, run: Callable[..., Any], cost: Callable[..., int] = cost_of_texts) -> Function:
    return Function(tuple(tuple(kinds.split("|")) for kinds in takes), gives, run, cost)


SIZE = of("string|list|map", gives="int", run=len)

FUNCTIONS: Mapping[str, Function] = {
    "size": SIZE,
    "int": of("int|double|string", gives="int", run=integer),
    "double": of("int|double|string", gives="double", run=double),
    "string": of("string|int", gives="string", run=string),
    "timestamp": of("string|timestamp", gives="timestamp", run=timestamp, cost=lambda _: 5),
    "duration": of("string|duration", gives="duration", run=duration, cost=lambda _: 20),
}

METHODS: Mapping[str, Function] = {
    "size": SIZE,
    "contains": of("string", "string", gives="bool", run=lambda text, part: told_apart(text, part, contains)),
    "startsWith": of("string", "string", gives="bool", run=lambda text, part: told_apart(text, part, str.startswith)),
    "endsWith": of("string", "string", gives="bool", run=lambda text, part: told_apart(text, part, str.endswith)),
    # The pattern is written out in the condition, and comes here compiled.
    "matches": of("string", "string", gives="bool", run=matches, cost=lambda text, regex: regex.cost(text)),
    # As CEL counts, in UTC: months, days of the year and of the month from 0, `getDate` from 1, Sunday is 0.
    "getFullYear": of("timestamp", gives="int", run=lambda at: at.year),
    "getMonth": of("timestamp", gives="int", run=lambda at: at.month - 1),
    "getDate": of("timestamp", gives="int", run=lambda at: at.day),
    "getDayOfMonth": of("timestamp", gives="int", run=lambda at: at.day - 1),
    "getDayOfWeek": of("timestamp", gives="int", run=lambda at: at.isoweekday() % 7),
    "getDayOfYear": of("timestamp", gives="int", run=lambda at: at.timetuple().tm_yday - 1),
    "getHours": of("timestamp", gives="int", run=lambda at: at.hour),
    "getMinutes": of("timestamp", gives="int", run=lambda at: at.minute),
    "getSeconds": of("timestamp", gives="int", run=lambda at: at.second),
}
