"""Functions of conditions: what they answer, and what they will not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import cel
import pytest

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.functions import FUNCTIONS, METHODS, double, duration, integer, string, timestamp
from lockgate.policy.conditions.regexes import compile_regex


@pytest.mark.parametrize(
    ("given", "expected"),
    [("12", 12), ("-12", -12), ("0", 0), (12, 12), (Decimal("1.9"), 1), (Decimal("-1.9"), -1)],
)
def test_int(given: object, expected: int) -> None:
    assert integer(given) == expected


@pytest.mark.parametrize(
    "given", ["", " 12", "1_000", "0x10", "1.0", "+1", "٣", "9223372036854775808", Decimal("1e30")]
)
def test_int_refuses(given: object) -> None:
    with pytest.raises(Unevaluable, match=r"^int\(\) was given a (text that is no whole number|number past 64 bits)$"):
        integer(given)


@pytest.mark.parametrize(("last", "step"), [(2**63 - 1, 1), (-(2**63), -1)])
def test_int_takes_64_bits(last: int, step: int) -> None:
    assert integer(str(last)) == integer(Decimal(last)) == last
    for beyond in (str(last + step), Decimal(last + step)):
        with pytest.raises(Unevaluable, match="past 64 bits"):
            integer(beyond)


@pytest.mark.parametrize(("given", "expected"), [("1.50", "1.5"), ("-2e3", "-2000"), (3, "3")])
def test_double(given: object, expected: str) -> None:
    assert double(given) == Decimal(expected)


@pytest.mark.parametrize("given", ["", "1.", ".5", "1,5", "nan", "inf", "1e9999", " 1"])
def test_double_refuses(given: object) -> None:
    with pytest.raises(Unevaluable, match=r"^double\(\) was given a text that is no number$"):
        double(given)


def test_string() -> None:
    assert (string(12), string("a")) == ("12", "a")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2030-01-31T12:00:00Z", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31t12:00:00.5z", datetime(2030, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2030-01-31T12:00:00+02:00", datetime(2030, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_timestamp(given: str, expected: datetime) -> None:
    found = timestamp(given)
    assert found == timestamp(expected) == expected
    assert found.tzinfo is UTC  # its hours are those that conditions ask for


@pytest.mark.parametrize(
    "given", ["", "2030-01-31", "2030-01-31T12:00:00", "2030-02-30T12:00:00Z", "2030-01-31T12:00:00.1234567Z", "now"]
)
def test_timestamp_refuses(given: str) -> None:
    with pytest.raises(Unevaluable, match='no instant such as "2030-01-31T12:00:00Z"'):
        timestamp(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1h30m", timedelta(hours=1.5)),
        ("-1.5s", timedelta(seconds=-1.5)),
        ("250ms", timedelta(milliseconds=250)),
        ("5us", timedelta(microseconds=5)),
        ("1h" * 50, timedelta(hours=50)),
    ],
)
def test_duration(given: str, expected: timedelta) -> None:
    assert duration(given) == duration(expected) == expected


@pytest.mark.parametrize("given", ["", "1", "1d", "h", "1h 30m", "-", "1h-30m", "1h" * 50 + "m", "1h" * 51])
def test_duration_refuses(given: str) -> None:
    with pytest.raises(Unevaluable, match='no duration such as "1h30m"'):
        duration(given)


@pytest.mark.parametrize("given", ["999999999999h", "-999999999999h"])
def test_duration_out_of_range(given: str) -> None:
    with pytest.raises(Unevaluable, match=r"^duration\(\) was given a duration out of range$"):
        duration(given)


@pytest.mark.parametrize(
    ("function", "argument", "least"),
    [
        pytest.param("duration", "1h30m", 20, id="duration"),
        pytest.param("timestamp", "2030-01-31T12:00:00Z", 5, id="timestamp"),
        pytest.param("size", "a" * 6400, 100, id="long-text"),
        pytest.param("size", [1] * 6400, 0, id="list"),
    ],
)
def test_cost(function: str, argument: object, least: int) -> None:
    assert FUNCTIONS[function].cost(argument) == least


def test_matches_costs_what_its_pattern_costs() -> None:
    small, large = compile_regex("a"), compile_regex("(a|b){100}c")
    cost = METHODS["matches"].cost
    assert 0 < cost("a" * 1000, small) < cost("a" * 1000, large) < cost("a" * 2000, large)
    assert METHODS["matches"].run("abc", small) is True


@pytest.mark.parametrize("method", [name for name in METHODS if name.startswith("get")])
@pytest.mark.parametrize("at", ["2030-01-01T00:00:00Z", "2030-06-16T23:59:58Z", "2028-12-31T12:30:00Z"])
def test_parts_of_an_instant_are_cels(method: str, at: str) -> None:
    assert METHODS[method].run(timestamp(at)) == cel.evaluate(f"timestamp('{at}').{method}()", {})
