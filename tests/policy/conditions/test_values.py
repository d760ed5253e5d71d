"""The types of values, by exact class and by what a class is derived from."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import contains, eq, ge, le
from typing import Any

import pytest

from lockgate.bodies.json import parse as parse_json
from lockgate.errors import Unevaluable
from lockgate.policy.conditions.syntax import Name
from lockgate.policy.conditions.values import cost_of_texts, exact, told_apart, told_in_order, type_of
from lockgate.policy.folding import PathText

HERE = Name(0, "here")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(True, "bool", id="bool-is-no-int"),
        pytest.param(1, "int", id="int"),
        pytest.param(parse_json(b"-0"), "int", id="negative-zero"),
        pytest.param(1.5, "double", id="float"),
        pytest.param(parse_json(b"1.50"), "double", id="float-as-written"),
        pytest.param(Decimal(1), "double", id="decimal"),
        pytest.param("a", "string", id="text"),
        pytest.param(None, "null", id="null"),
        pytest.param([], "list", id="list"),
        pytest.param((), "list", id="tuple"),
        pytest.param({}, "map", id="map"),
        pytest.param(UserDict(), "map", id="mapping"),
        pytest.param(datetime(2030, 1, 1, tzinfo=UTC), "timestamp", id="instant"),
        pytest.param(timedelta(1), "duration", id="duration"),
    ],
)
def test_type(value: Any, expected: str) -> None:
    assert type_of(value, HERE) == expected


@pytest.mark.parametrize("value", [b"a", {1}, object(), 1j])
def test_a_type_that_no_condition_knows(value: Any) -> None:
    with pytest.raises(Unevaluable, match="here is of a type that conditions do not know"):
        type_of(value, HERE)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"5", "5"),
        (b"1.10", "1.10"),
        (b"5e2", "500"),
        (b"-0.0", "0"),
        (b"0e999999999", "0"),
        (b"9007199254740992", "9007199254740992"),
        (b"-9007199254740994", "-9007199254740994"),
        (b"100000000000000000000", "1e20"),
    ],
)
def test_numbers_are_as_written(document: bytes, expected: str) -> None:
    assert exact(parse_json(document)) == Decimal(expected)


@pytest.mark.parametrize(
    "number",
    [
        float("inf"),
        float("-inf"),
        float("nan"),
        parse_json(b"0.30000000000000000001"),
        2**53 + 1,
        -(2**53) - 1,
        10**23,
        10**400,
    ],
)
def test_numbers_that_readers_disagree_about(number: float) -> None:
    with pytest.raises(Unevaluable, match="readers disagree about it"):
        exact(number)


@pytest.mark.parametrize(
    ("text", "other", "alike", "expected"),
    [
        pytest.param(PathText("a"), "a", eq, True, id="equal"),
        pytest.param(PathText("a"), "b", eq, False, id="unequal"),
        pytest.param("a", "A", eq, False, id="other-text-is-compared-as-it-stands"),
        pytest.param(PathText("Secret-1"), "Secret-", str.startswith, True, id="start"),
        pytest.param(PathText("public"), "secret", str.startswith, False, id="other-start"),
    ],
)
def test_told_apart(text: str, other: str, alike: Callable[[str, str], bool], expected: bool) -> None:
    assert told_apart(text, other, alike) is expected


@pytest.mark.parametrize(
    ("text", "other", "alike"),
    [
        pytest.param(PathText("A"), "a", eq, id="equal-but-for-case"),
        pytest.param("A", PathText("a"), eq, id="the-other-way-round"),
        pytest.param(PathText("SECRET-1"), "secret-", str.startswith, id="start"),
        pytest.param(PathText("x-SECRET"), "secret", contains, id="within"),
        pytest.param(PathText("adm\u0131n"), "admin", eq, id="dotless-i"),
    ],
)
def test_letter_case_of_the_path_is_not_told_apart(text: str, other: str, alike: Callable[[str, str], bool]) -> None:
    with pytest.raises(Unevaluable, match="in another spelling"):
        told_apart(text, other, alike)


@pytest.mark.parametrize(
    ("text", "other", "holds", "expected"),
    [
        pytest.param(PathText("2030-02"), "2030-01", ge, True, id="after"),
        pytest.param(PathText("b"), "c", ge, False, id="before"),
        pytest.param("B", "a", ge, False, id="other-text-as-it-stands"),
    ],
)
def test_told_in_order(text: str, other: str, holds: Callable[[str, str], bool], expected: bool) -> None:
    assert told_in_order(text, other, holds) is expected


@pytest.mark.parametrize(
    ("text", "other", "holds"),
    [
        pytest.param(PathText("CEO"), "ceo", ge, id="letter-case"),
        pytest.param(PathText("c%65o"), "ceo", ge, id="encoded"),
        pytest.param(PathText("ceo/"), "ceo", le, id="slash"),
        pytest.param("ceo", PathText("CEO"), le, id="the-other-way-round"),
    ],
)
def test_order_that_spelling_decides(text: str, other: str, holds: Callable[[str, str], bool]) -> None:
    with pytest.raises(Unevaluable, match="in another spelling"):
        told_in_order(text, other, holds)


def test_cost_of_texts() -> None:
    assert cost_of_texts("a" * 640, 5, "b" * 64, ["c" * 640]) == 11
    assert cost_of_texts("a" * 640, PathText("b" * 5)) == 129
