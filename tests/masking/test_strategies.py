"""What stands where a masked value stood, and which mask wins."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from lockgate.masking.digests import digest
from lockgate.masking.strategies import DROP, masked, strongest
from lockgate.model import Mask


def mask(kind: Any, argument: Any = None) -> Mask:
    return Mask("$.x", kind, argument, "role/rule")


KEY = bytes(32)


@pytest.mark.parametrize(
    ("given", "value", "expected"),
    [
        pytest.param(mask("redact"), "secret", "[redacted]", id="redact"),
        pytest.param(mask("redact"), {"a": 1}, "[redacted]", id="redact-object"),
        pytest.param(mask("redact"), None, "[redacted]", id="redact-null"),
        pytest.param(mask("nullify"), "secret", None, id="nullify"),
        pytest.param(mask("nullify"), [1], None, id="nullify-list"),
        pytest.param(mask("drop"), "secret", DROP, id="drop"),
        pytest.param(mask("replace", "hidden"), "secret", "hidden", id="replace"),
        pytest.param(mask("replace", ""), "secret", "", id="replace-with-nothing"),
        pytest.param(mask("keep_last", 4), "4111111111111111", "[redacted]1111", id="keep-last"),
        pytest.param(mask("keep_first", 2), "Hamburg", "Ha[redacted]", id="keep-first"),
        pytest.param(mask("keep_last", 4), "12345678", "[redacted]", id="keep-last-of-short"),
        pytest.param(mask("keep_last", 4), "123456789", "[redacted]6789", id="keep-last-of-just-long"),
        pytest.param(mask("keep_last", 4), "", "[redacted]", id="keep-last-of-nothing"),
        pytest.param(mask("keep_last", 4), 4111111111111111, "[redacted]", id="keep-last-of-number"),
        pytest.param(mask("keep_last", 1), ["a", "b", "c"], "[redacted]", id="keep-last-of-list"),
        pytest.param(mask("keep_last", 1), True, "[redacted]", id="keep-last-of-bool"),
        pytest.param(mask("keep_last", 0), "secret", "[redacted]", id="keep-nothing"),
        pytest.param(mask("keep_last"), "secret", "[redacted]", id="keep-without-number"),
        pytest.param(mask("hash"), "secret", digest("secret", KEY), id="hash"),
        pytest.param(mask("hash"), {"a": [1]}, digest({"a": [1]}, KEY), id="hash-object"),
        pytest.param(mask("hash"), None, digest(None, KEY), id="hash-null"),
        pytest.param(mask("unknown"), "secret", "[redacted]", id="unknown-kind"),
    ],
)
def test_masked(given: Mask, value: Any, expected: Any) -> None:
    assert masked(given, value, KEY) == expected


def test_without_a_key_nothing_is_hashed() -> None:
    with pytest.raises(ValueError, match="key"):
        masked(mask("hash"), "secret")


ORDER = [mask("drop"), mask("nullify"), mask("redact"), mask("replace", "x"), mask("hash"), mask("keep_last", 4)]


@pytest.mark.parametrize("index", range(len(ORDER)))
def test_the_stronger_wins_in_any_order(index: int) -> None:
    for order in permutations(ORDER[index:]):
        assert strongest(order) == ORDER[index]


def test_equals_show_the_least() -> None:
    for order in permutations([mask("keep_last", 4), mask("keep_last", 2), mask("keep_last", 10)]):
        assert strongest(order) == mask("keep_last", 2)
    for order in permutations([mask("keep_last", 4), mask("keep_first", 2)]):
        assert strongest(order).kind == "redact"
    for order in permutations([mask("replace", "b"), mask("replace", "a")]):
        assert strongest(order) == mask("replace", "a")
