"""Keyed digests: equal values have equal ones."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.json import parse
from lockgate.masking.digests import canonical, digest

KEY = bytes(range(32))


def hashed(text: str, key: bytes = KEY) -> str:
    return digest(parse(text.encode()), key)


def test_it_is_the_hmac_of_the_canonical_text() -> None:
    value = parse('{"b": "é", "a": [1.50, null, true]}'.encode())
    text = rb'{"a":[15e-1,null,true,],"b":"\u00e9",}'
    assert b"".join(canonical(value)) == text
    assert digest(value, KEY) == f"[hash:{hmac.new(KEY, text, sha256).hexdigest()[:32]}]"


@pytest.mark.parametrize(
    "spellings",
    [
        pytest.param(["1", "1.0", "1e0", "10E-1", "0.1e+1", "1.00000"], id="one"),
        pytest.param(["0", "-0", "0.0", "-0e5", "0e-3"], id="zero"),
        pytest.param(["1200", "1.2e3", "12e2", "120.0e1"], id="trailing-zeros"),
        pytest.param(["1e-400", "0.1e-399"], id="below-a-double"),
        pytest.param(["1e22", "10000000000000000000000"], id="large"),
        pytest.param(['"a"', r'"\u0061"'], id="escapes"),
        pytest.param(['{"a":1,"b":2}', '{ "b": 2.0, "a": 1 }'], id="members-in-any-order"),
        pytest.param(['[{"a":[]},{}]', '[ {"a" : []}, {} ]'], id="white-space"),
    ],
)
def test_equal_values(spellings: list[str]) -> None:
    assert len({hashed(text) for text in spellings}) == 1


DIFFERENT = [
    *("1", '"1"', "true", '"true"', "null", '"null"', "0", '""', "-1", "10", "0.1", "1e300"),
    *("9007199254740992", "9007199254740993", "0.1000000000000000055511151231257827"),
    *("[]", "{}", "[[]]", "[{}]", "[1]", "[1,1]", "[[1],1]", "[[1,1]]", '["1"]', '[1,"1"]', '["1,1"]', "[12]", "[1,2]"),
    *('{"a":1}', '{"a":"1"}', '{"a":[1]}', '{"a":{}}', '{"a":null}', '{"A":1}', '["a",1]', '{"a":1,"b":2}', '"a"'),
    *('{"a":{"b":2}}', '{"a":2,"b":1}', '"é"', '"e\u0301"', r'"\u0000"', r'"\n"', r'"\\n"'),
]


def test_different_values() -> None:
    assert len({hashed(text) for text in DIFFERENT}) == len(DIFFERENT)


def test_the_key_is_all_that_tells() -> None:
    assert hashed('"a"', b"x" * 32) != hashed('"a"', b"y" * 32)


@pytest.mark.parametrize("size", [0, 16, 31])
def test_a_short_key_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="key of 32 bytes"):
        digest("a", b"x" * size)


@pytest.mark.parametrize(
    "value", [object(), float("nan"), float("inf"), {1: 2}, [set()]], ids=lambda value: repr(value).partition(" at ")[0]
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        digest(value, KEY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_digests_are_equal_as_values_are(one: Any, other: Any) -> None:
    assert (digest(one, KEY) == digest(other, KEY)) == (kept_apart(one) == kept_apart(other))


@given(JSON)
def test_reading_back_changes_nothing(value: Any) -> None:
    again = json.loads(json.dumps(value, indent=1), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert digest(again, KEY) == digest(value, KEY)


def kept_apart(value: Any) -> Any:
    """For Python's own equality, to which True is 1."""
    if isinstance(value, bool):
        return ("bool", str(value))
    if isinstance(value, list):
        return [kept_apart(element) for element in value]
    if isinstance(value, dict):
        return {name: kept_apart(member) for name, member in value.items()}
    return value


def test_depth_is_no_crash() -> None:
    document: Any = "x"
    for _ in range(20_000):
        document = {"a": [document]}
    assert digest(document, KEY).startswith("[hash:")
