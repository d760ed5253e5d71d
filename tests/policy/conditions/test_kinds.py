"""What is known of values: what they may be of, and whether they can be compared."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lockgate.policy.conditions.kinds import (
    BOOL,
    DOUBLE,
    INT,
    JSON,
    NUMBER,
    STRING,
    TIMESTAMP,
    Facts,
    Kind,
    alike,
    http_facts,
    list_of,
    map_of,
    of,
    union,
)


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [
        pytest.param(INT, "a number", "int", id="int"),
        pytest.param(NUMBER, "a number", "number", id="number"),
        pytest.param(of("string", "list"), "text or a list", "string or list", id="several"),
        pytest.param(JSON, "a JSON value", "dyn", id="open"),
        pytest.param(Kind(JSON.types | TIMESTAMP.types), "a JSON value", "dyn", id="anything"),
    ],
)
def test_names(kind: Kind, text: str, name: str) -> None:
    assert (str(kind), kind.name) == (text, name)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param(INT, DOUBLE, True, id="numbers"),
        pytest.param(INT, BOOL, False, id="true-is-not-1"),
        pytest.param(JSON, STRING, True, id="open"),
        pytest.param(JSON, TIMESTAMP, False, id="json-has-no-instants"),
        pytest.param(list_of(INT), list_of(DOUBLE), True, id="lists-of-numbers"),
        pytest.param(list_of(INT), list_of(STRING), False, id="lists-of-others"),
        pytest.param(list_of(None), list_of(STRING), True, id="list-of-anything"),
        pytest.param(list_of(STRING), map_of(STRING), False, id="list-and-map"),
    ],
)
def test_alike(left: Kind, right: Kind, expected: bool) -> None:
    assert alike(left, right) is alike(right, left) is expected


def test_union() -> None:
    assert union([]) == JSON
    assert union([INT, DOUBLE]) == NUMBER
    assert union([list_of(INT), list_of(INT)]) == list_of(INT)
    assert union([list_of(INT), list_of(STRING)]) == list_of(None)


def test_facts_have_the_captures_and_the_lists() -> None:
    facts = http_facts(["id"], {"eu": ("DE",), "sizes": (1, Decimal("2.5")), "none": ()})
    assert facts.members["path"] == Facts({"id": STRING})
    expected = {"eu": list_of(STRING), "sizes": list_of(NUMBER), "none": list_of(None)}
    assert facts.members["lists"] == Facts(expected)
