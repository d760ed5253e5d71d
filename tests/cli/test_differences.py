from __future__ import annotations

from typing import Any

import pytest

from lockgate.bodies.json import dumps
from lockgate.cli.differences import difference
from lockgate.policy.cases import Answer

HASH = "[hash:0123456789abcdef0123456789abcdef]"


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        pytest.param({"a": 1, "b": [None]}, {"b": [None], "a": 1}, id="order-of-members"),
        pytest.param(1, 1.0, id="numbers-by-value"),
        pytest.param({"a": "[hash]"}, {"a": HASH}, id="any-hash"),
        pytest.param({"a": HASH}, {"a": HASH}, id="one-hash"),
        pytest.param("[hash]", "[hash]", id="text"),
    ],
)
def test_no_difference(expected: Any, got: Any) -> None:
    assert difference(Answer("json", expected), Answer("raw", dumps(got))) is None


@pytest.mark.parametrize(
    ("expected", "got", "told"),
    [
        pytest.param({"a": 1}, {"a": 2}, "$.a: expected 1, got 2", id="value"),
        pytest.param({"a": 1}, {"a": True}, "$.a: expected 1, got true", id="type"),
        pytest.param({"a": "1"}, {"a": 1}, '$.a: expected "1", got 1', id="text-and-number"),
        pytest.param({}, {"a b": 2}, '$["a b"]: expected nothing, got 2', id="one-more"),
        pytest.param({"a": None}, {}, "$.a: expected null, got nothing", id="one-less"),
        pytest.param([1, 2], [1], "$[1]: expected 2, got nothing", id="shorter"),
        pytest.param([[1]], [[1, 3]], "$[0][1]: expected nothing, got 3", id="longer"),
        pytest.param({"a": {}}, {"a": []}, "$.a: expected {}, got []", id="shape"),
        pytest.param("[hash]", "hash", '$: expected "[hash]", got "hash"', id="no-hash"),
        pytest.param("x" * 99, "y", f'$: expected "{"x" * 59}..., got "y"', id="long"),
    ],
)
def test_the_first_difference(expected: Any, got: Any, told: str) -> None:
    assert difference(Answer("json", expected), Answer("raw", dumps(got))) == told


@pytest.mark.parametrize(
    ("expected", "got", "told"),
    [
        pytest.param(Answer("withheld"), Answer("withheld"), None, id="withheld"),
        pytest.param(Answer("refused"), Answer("refused"), None, id="refused"),
        pytest.param(Answer("refused"), Answer("withheld"), "expected refused, got withheld", id="other"),
        pytest.param(Answer("json", {}), Answer("refused"), "expected a document, got refused", id="no-document"),
        pytest.param(Answer("withheld"), Answer("raw", b"x"), "expected withheld, got it delivered", id="delivered"),
        pytest.param(Answer("raw", "x"), Answer("raw", b"x"), None, id="text"),
        pytest.param(Answer("raw", "x"), Answer("raw", b"y"), 'expected "x", got "y"', id="other-text"),
        pytest.param(Answer("json", {}), Answer("raw", b"<b>"), 'expected {}, got "<b>"', id="no-json"),
    ],
)
def test_answers_of_other_kinds(expected: Answer, got: Answer, told: str | None) -> None:
    assert difference(expected, got) == told
