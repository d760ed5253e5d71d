from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft7Validator

from lockgate.policy import fragments, schema
from lockgate.policy.fragments import Fragment

TEXT = fragments.text()
WORD = fragments.written("[a-z]+", "a word is needed here")
MASK = fragments.scalar_or_mapping(
    fragments.choice({"drop": "gone"}), {"keep": fragments.whole_number("a number", 4), "say": {"examples": ["x"]}}
)
ONE = fragments.exactly_one(["a", "b", "c"])


@pytest.mark.parametrize(
    ("fragment", "given", "fits"),
    [
        pytest.param(TEXT, "a", True, id="text"),
        pytest.param(TEXT, 12, True, id="text-that-looks-like-a-number"),
        pytest.param(TEXT, " ", False, id="blank"),
        pytest.param(TEXT, None, False, id="nothing"),
        pytest.param(TEXT, ["a"], False, id="list-for-text"),
        pytest.param(WORD, "ab", True, id="form"),
        pytest.param(WORD, "ab1", False, id="other-form"),
        pytest.param(WORD, 1, False, id="number-for-a-word"),
        pytest.param(fragments.whole_number(""), 1, True, id="one"),
        pytest.param(fragments.whole_number(""), 0, False, id="zero"),
        pytest.param(fragments.whole_number(""), "1", False, id="quoted-number"),
        pytest.param(fragments.one_or_list(WORD), "ab", True, id="one-entry"),
        pytest.param(fragments.one_or_list(WORD), ["ab", "c"], True, id="entries"),
        pytest.param(fragments.one_or_list(WORD), "A", False, id="wrong-entry"),
        pytest.param(fragments.one_or_list(WORD), ["ab", "C"], False, id="wrong-entry-of-a-list"),
        pytest.param(fragments.one_or_list(WORD), [], False, id="empty-list"),
        pytest.param(fragments.mapping(WORD, keys=WORD), {"a": "b"}, True, id="mapping"),
        pytest.param(fragments.mapping(WORD, keys=WORD), {"a": "B"}, False, id="wrong-value"),
        pytest.param(fragments.mapping(WORD, keys=WORD), {"A": "b"}, False, id="wrong-key"),
        pytest.param(MASK, "drop", True, id="scalar"),
        pytest.param(MASK, {"keep": 4}, True, id="mapping-for-scalar"),
        pytest.param(MASK, "dorp", False, id="unknown-word"),
        pytest.param(MASK, {}, False, id="no-member"),
        pytest.param(MASK, {"keep": 4, "say": "x"}, False, id="two-members"),
        pytest.param(MASK, {"kep": 4}, False, id="unknown-member"),
        pytest.param(ONE, {"a": 1}, True, id="first"),
        pytest.param(ONE, {"c": 1, "d": 1}, True, id="last"),
        pytest.param(ONE, {"d": 1}, False, id="none"),
        pytest.param(ONE, {"a": 1, "c": 1}, False, id="first-and-last"),
        pytest.param(ONE, {"b": 1, "c": 1}, False, id="second-and-last"),
        pytest.param(fragments.some_of(["a", "b"], ""), {"a": 1, "b": 1}, True, id="some"),
        pytest.param(fragments.some_of(["a", "b"], ""), {"c": 1}, False, id="none-of-some"),
        pytest.param(fragments.without(["a"], ""), {"b": 1}, True, id="without"),
        pytest.param(fragments.without(["a"], ""), {"a": 1}, False, id="with"),
    ],
)
def test_what_fits(fragment: Fragment, given: Any, fits: bool) -> None:
    Draft7Validator.check_schema(fragment)
    assert Draft7Validator(fragment).is_valid(given) is fits


def test_messages_are_the_readers_own() -> None:
    assert fragments.said_by(schema.duration) == "a duration is a number with a unit: 30s, 15m, 1h, 90d"
    with pytest.raises(AssertionError, match="text takes anything"):
        fragments.said_by(schema.text)


def test_what_is_offered() -> None:
    offered = [each["body"] for each in MASK["anyOf"][1]["defaultSnippets"]]
    assert offered == ["{keep: 4}", "{say: x}"]
