"""The operators over two values; through whole conditions they are tested with the evaluator."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from lockgate.errors import Unevaluable
from lockgate.model import Unreadable
from lockgate.policy.conditions.evaluation import Evaluation
from lockgate.policy.conditions.operators import arithmetic, both_null, divided, ordered, same
from lockgate.policy.conditions.syntax import Binary, Name


def node(operator: str) -> Binary:
    return Binary(0, operator, Name(0, "a"), Name(0, "b"))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param(5, 5.0, True, id="numbers-by-value"),
        pytest.param(2**90, Decimal(2) ** 90, True, id="held-by-a-double"),
        pytest.param([1, [2]], [1.0, [2]], True, id="lists"),
        pytest.param([1], [1, 2], False, id="lengths"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, False, id="maps"),
        pytest.param({"a": 1}, {"b": "x"}, False, id="names"),
    ],
)
def test_same(left: Any, right: Any, expected: bool) -> None:
    assert same(Evaluation({}), node("=="), left, right) is expected


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(1, True, id="true-is-not-1"),
        pytest.param(0, None, id="null-is-not-0"),
        pytest.param("5", 5, id="text-is-no-number"),
        pytest.param("", None, id="nothing-is-not-null"),
        pytest.param([1], [True], id="within-a-list"),
        pytest.param([1, 2], [3, "2"], id="though-unequal-before"),
        pytest.param({"a": 1}, {"a": "1"}, id="within-a-map"),
        pytest.param([], {}, id="list-and-map"),
        pytest.param({"a": 1}, {"A": 1}, id="letter-case"),
        pytest.param(object(), 1, id="of-no-type"),
    ],
)
def test_nothing_to_compare(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        with pytest.raises(Unevaluable):
            same(Evaluation({}), node("=="), one, other)


def test_names_in_other_letter_case_are_told_of() -> None:
    with pytest.raises(Unevaluable, match=r"^a and b differ in letter case only$"):
        same(Evaluation({}), node("=="), {"x": 1}, {"X": 1})


@pytest.mark.parametrize("operator", [same, ordered, arithmetic])
def test_a_value_of_no_known_type_is_named(operator: Callable[..., object]) -> None:
    for values, name in (((object(), 1), "a"), ((1, object()), "b")):
        with pytest.raises(Unevaluable, match=f"^{name} is of a type that conditions do not know$"):
            operator(Evaluation({}), node("+"), *values)


@pytest.mark.parametrize(
    ("operator", "sign", "left", "right"),
    [
        pytest.param(same, "==", "a" * 6400, "b", id="equal-texts"),
        pytest.param(ordered, "<", "a" * 6400, "b", id="ordered-texts"),
        pytest.param(arithmetic, "+", "a" * 6400, "b", id="joined-texts"),
        pytest.param(arithmetic, "+", [1] * 100, [2] * 100, id="joined-lists"),
    ],
)
def test_whichever_side_is_long_costs(operator: Callable[..., object], sign: str, left: Any, right: Any) -> None:
    for values in ((left, right), (right, left)):
        at = Evaluation({})
        operator(at, node(sign), *values)
        assert at.steps >= 100


@pytest.mark.parametrize(("left", "right"), [(1, "2"), (True, 2), (None, None), ([1], [2]), ({}, {}), (1, None)])
def test_no_order(left: Any, right: Any) -> None:
    with pytest.raises(Unevaluable, match="a and b cannot be compared"):
        ordered(Evaluation({}), node("<"), left, right)


def test_false_is_before_true() -> None:
    assert ordered(Evaluation({}), node("<"), False, True)


@pytest.mark.parametrize(
    ("left", "operator", "right", "expected"),
    [(7, "/", 2, 3), (-7, "/", 2, -3), (-7, "%", 3, -1), (7, "%", -3, 1)],
)
def test_division_of_whole_numbers(left: int, operator: str, right: int, expected: int) -> None:
    assert divided(node(operator), left, right) == expected


@pytest.mark.parametrize(
    ("left", "operator", "right"),
    [
        pytest.param(True, "+", 1, id="true-is-no-number"),
        pytest.param(1, "+", 1.5, id="mixed"),
        pytest.param("a", "*", 3, id="repeated-text"),
        pytest.param([1], "*", 3, id="repeated-list"),
        pytest.param(2**63 - 1, "+", 1, id="overflow"),
        pytest.param(-(2**63), "/", -1, id="overflow-of-a-quotient"),
        pytest.param(1, "%", 0, id="by-zero"),
        pytest.param({}, "+", {}, id="maps"),
        pytest.param(None, "+", None, id="nulls"),
    ],
)
def test_no_result(left: Any, operator: str, right: Any) -> None:
    with pytest.raises(Unevaluable):
        arithmetic(Evaluation({}), node(operator), left, right)


@pytest.mark.parametrize(("left", "operator", "right"), [(2**62, "*", 2), (-(2**63), "-", 1), (-(2**63), "/", -1)])
def test_whole_numbers_past_64_bits(left: int, operator: str, right: int) -> None:
    with pytest.raises(Unevaluable, match=r"^a whole number does not fit 64 bits$"):
        arithmetic(Evaluation({}), node(operator), left, right)


@pytest.mark.parametrize("left_is_null", [True, False])
def test_what_cannot_be_read_is_neither_null_nor_not(left_is_null: bool) -> None:
    unreadable = Unreadable("it was not kept")
    values = (None, unreadable) if left_is_null else (unreadable, None)
    with pytest.raises(Unevaluable, match="cannot be read: it was not kept"):
        both_null(Evaluation({}), node("=="), *values)
    assert both_null(Evaluation({}), node("=="), None, None)
