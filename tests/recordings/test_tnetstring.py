"""What is written is, byte for byte, what mitmproxy writes."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.io import tnetstring

from lockgate.recordings.tnetstring import Serialized, Written, dumps

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | TEXT


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


@given(
    st.recursive(
        LEAVES, lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(TEXT | st.integers(), inner)
    )
)
def test_writes_as_mitmproxy_does(value: Any) -> None:
    assert dumps(value) == tnetstring.dumps(value)


@pytest.mark.parametrize("value", [Colour.RED, Number.ONE, {Colour.RED: [Number.ONE]}], ids=repr)
def test_a_value_of_a_derived_type_is_written_as_one_of_its_base(value: Any) -> None:
    assert tnetstring.loads(dumps(value)) == value


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, [bytearray(b"x")]], ids=["object", "set", "bytearray"])
def test_refuses_what_is_no_plain_value(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        dumps(value)


def test_what_is_serialised_already_stands_for_its_value() -> None:
    inner = {"name": ["x", 1, None]}
    assert dumps({"a": Serialized(dumps(inner)), "b": 2}) == dumps({"a": inner, "b": 2})


def test_what_is_written_more_than_once_is_the_same() -> None:
    inner = {"name": ["x", 1, None]}
    written = Written(inner)
    assert written == inner
    assert dumps([written, written]) == dumps([inner, inner])
