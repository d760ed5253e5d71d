from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from jsonschema import Draft7Validator

from lockgate.policy import fragments
from lockgate.policy.fragments import Fragment
from lockgate.policy.schema import values

Make = Callable[[], Fragment]  # made by the test that asks, so that it shows which code the test runs

text = fragments.text
word = partial(fragments.written, "[a-z]+", "a word is needed here")
number = partial(fragments.whole_number, "a number is needed here")
exactly_one = partial(fragments.exactly_one, ["a", "b", "c"])
some_of = partial(fragments.some_of, ["a", "b"], "a or b is needed here")
without = partial(fragments.without, ["a"], "there is no a here")


def one_or_list() -> Fragment:
    return fragments.one_or_list(word())


def mapping() -> Fragment:
    return fragments.mapping(word(), keys=word())


def mask() -> Fragment:
    choice = fragments.choice({"drop": "gone"})
    return fragments.scalar_or_mapping(choice, {"keep": number(4), "say": {"examples": ["x"]}})


@pytest.mark.parametrize(
    ("make", "given", "fits"),
    [
        pytest.param(text, "a", True, id="text"),
        pytest.param(text, 12, True, id="text-that-looks-like-a-number"),
        pytest.param(text, " ", False, id="blank"),
        pytest.param(text, None, False, id="nothing"),
        pytest.param(text, ["a"], False, id="list-for-text"),
        pytest.param(word, "ab", True, id="form"),
        pytest.param(word, "ab1", False, id="other-form"),
        pytest.param(word, "1ab", False, id="other-form-in-front"),
        pytest.param(partial(fragments.written, "a|b", "a or b"), "ab", False, id="all-of-it-is-of-the-form"),
        pytest.param(partial(fragments.written, re.compile("a+"), "a"), "aa", True, id="compiled-form"),
        pytest.param(partial(fragments.written, "[0-9]+", "", types=["string", "integer"]), 1, True, id="other-types"),
        pytest.param(partial(fragments.choice, ["a", "b"]), "b", True, id="word-of-a-list"),
        pytest.param(partial(fragments.choice, ["a", "b"]), "c", False, id="word-of-no-list"),
        pytest.param(word, 1, False, id="number-for-a-word"),
        pytest.param(number, 1, True, id="one"),
        pytest.param(number, 9999, True, id="many"),
        pytest.param(number, 10_000, False, id="too-many"),
        pytest.param(number, 1.5, False, id="fraction"),
        pytest.param(number, 0, False, id="zero"),
        pytest.param(number, "1", False, id="quoted-number"),
        pytest.param(one_or_list, "ab", True, id="one-entry"),
        pytest.param(one_or_list, ["ab", "c"], True, id="entries"),
        pytest.param(one_or_list, "A", False, id="wrong-entry"),
        pytest.param(one_or_list, ["ab", "C"], False, id="wrong-entry-of-a-list"),
        pytest.param(one_or_list, [], False, id="empty-list"),
        pytest.param(one_or_list, {"a": "b"}, False, id="mapping-for-entries"),
        pytest.param(mapping, {"a": "b"}, True, id="mapping"),
        pytest.param(mapping, {"a": "B"}, False, id="wrong-value"),
        pytest.param(mapping, {"A": "b"}, False, id="wrong-key"),
        pytest.param(mapping, "a", False, id="word-for-a-mapping"),
        pytest.param(lambda: fragments.mapping(word()), {"A": "b"}, True, id="any-key"),
        pytest.param(mask, "drop", True, id="scalar"),
        pytest.param(mask, {"keep": 4}, True, id="mapping-for-scalar"),
        pytest.param(mask, "dorp", False, id="unknown-word"),
        pytest.param(mask, {}, False, id="no-member"),
        pytest.param(mask, {"keep": 4, "say": "x"}, False, id="two-members"),
        pytest.param(mask, {"kep": 4}, False, id="unknown-member"),
        pytest.param(mask, {"keep": "4"}, False, id="wrong-member"),
        pytest.param(mask, ["keep"], False, id="list-for-a-mapping"),
        pytest.param(exactly_one, {"a": 1}, True, id="first"),
        pytest.param(exactly_one, {"c": 1, "d": 1}, True, id="last"),
        pytest.param(exactly_one, {"d": 1}, False, id="none"),
        pytest.param(exactly_one, {"a": 1, "c": 1}, False, id="first-and-last"),
        pytest.param(exactly_one, {"b": 1, "c": 1}, False, id="second-and-last"),
        pytest.param(some_of, {"a": 1, "b": 1}, True, id="some"),
        pytest.param(some_of, {"c": 1}, False, id="none-of-some"),
        pytest.param(without, {"b": 1}, True, id="without"),
        pytest.param(without, {"a": 1}, False, id="with"),
    ],
)
def test_what_fits(make: Make, given: Any, fits: bool) -> None:
    fragment = make()
    Draft7Validator.check_schema(fragment)
    assert Draft7Validator(fragment).is_valid(given) is fits


@pytest.mark.parametrize(
    ("make", "given", "said"),
    [
        pytest.param(text, " ", ["text is needed here"], id="text"),
        pytest.param(word, "1", ["a word is needed here"], id="form"),
        pytest.param(number, 0, ["a number is needed here"], id="number"),
        pytest.param(one_or_list, "1", ["a word is needed here"], id="one-entry"),
        pytest.param(one_or_list, ["1"], ["a word is needed here"], id="entry-of-a-list"),
        pytest.param(exactly_one, {"a": 1, "c": 1}, ["exactly one of a, b and c is needed here"], id="two-of-three"),
        pytest.param(exactly_one, {}, ["exactly one of a, b and c is needed here"] * 3, id="none-of-three"),
        pytest.param(some_of, {}, ["a or b is needed here"] * 2, id="none-of-two"),
        pytest.param(without, {"a": 1}, ["there is no a here"], id="one-too-many"),
    ],
)
def test_what_editors_say(make: Make, given: Any, said: list[str]) -> None:
    fragment = make()
    errors = list(Draft7Validator(fragment).iter_errors(given))
    branches = [branch for error in errors for branch in error.context or [error]]
    assert [message_at(branch.absolute_schema_path, fragment) for branch in branches] == said


def message_at(path: Iterable[str | int], fragment: Any) -> str | None:
    """The `errorMessage` that stands nearest to what is not met."""
    nearest = None
    for step in path:
        nearest = fragment.get("errorMessage", nearest) if isinstance(fragment, dict) else nearest
        fragment = fragment[step]
    return nearest


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        pytest.param(partial(text, "a", "b"), ["a", "b"], id="text"),
        pytest.param(partial(word, "a"), ["a"], id="form"),
        pytest.param(partial(number, 4, 8), [4, 8], id="number"),
        pytest.param(text, None, id="none-of-text"),
        pytest.param(word, None, id="none-of-a-form"),
        pytest.param(number, None, id="none-of-a-number"),
    ],
)
def test_examples(fragment: Make, expected: list[object] | None) -> None:
    assert fragment().get("examples") == expected


def test_choices_are_described() -> None:
    assert fragments.choice({"a": "one", "b": "two"}) == {"enum": ["a", "b"], "enumDescriptions": ["one", "two"]}
    assert fragments.choice(["a", "b"]) == {"enum": ["a", "b"]}


def test_messages_are_the_readers_own() -> None:
    assert fragments.said_by(values.duration) == "a duration is a number with a unit: 30s, 15m, 1h, 90d"
    with pytest.raises(AssertionError, match="text takes anything"):
        fragments.said_by(values.text)


def test_what_is_offered() -> None:
    offered = mask()["anyOf"][1]["defaultSnippets"]
    assert offered == [{"label": each, "body": each} for each in ("{keep: 4}", "{say: x}")]
