from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.visible import visible, visible_bytes, visible_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("GET /a b", "GET /a b", id="plain"),
        pytest.param("Grüße 東京 🍇", "Grüße 東京 🍇", id="letters-of-the-world"),
        pytest.param("\x1b[31mred", "\\x1b[31mred", id="escape-sequence"),
        pytest.param("\x9b31m", "\\x9b31m", id="c1-control"),
        pytest.param("a\rb\nc\x08\x7f", "a\\x0db\\x0ac\\x08\\x7f", id="cursor"),
        pytest.param("a\u202eb\u2066", "a\\u202eb\\u2066", id="bidi"),
        pytest.param("a\u200bb\ufeff", "a\\u200bb\\ufeff", id="zero-width"),
        pytest.param("a\u2028b\u00a0", "a\\u2028b\\xa0", id="separators"),
        pytest.param("\ud800", "\\ud800", id="lone-surrogate"),
        pytest.param("\U000e0041", "\\U000e0041", id="tag-characters"),
        pytest.param("a\u3164b\u2800\ufe0f", "a\\u3164b\\u2800\\ufe0f", id="letters-that-show-nothing"),
        pytest.param("\U000e0101", "\\U000e0101", id="variation-selectors"),
        pytest.param("", "", id="empty"),
    ],
)
def test_visible(text: str, expected: str) -> None:
    assert visible(text) == expected


@given(st.text())
def test_nothing_hidden_is_left(text: str) -> None:
    shown = visible(text)
    assert all(character == " " or unicodedata.category(character)[0] not in "CZ" for character in shown)
    shown.encode()


def test_lines_are_kept_as_lines() -> None:
    assert visible_lines("a\r\nb\x1b\n\tc") == ["a", "b\\x1b", "    c"]


@pytest.mark.parametrize(
    ("data", "limit", "expected"),
    [
        pytest.param(b'{"a":1}', 100, ['{"a":1}'], id="text"),
        pytest.param("äöü".encode(), 3, ["ä", "... 3 more bytes"], id="cut-inside-a-character"),
        pytest.param(b"\xff\x00A", 100, ["00000000  ff 00 41" + " " * 39 + "  ..A"], id="binary"),
        pytest.param(b"a\0b", 100, ["00000000  61 00 62" + " " * 39 + "  a.b"], id="nul-is-binary"),
        pytest.param(b"abcdef", 2, ["ab", "... 4 more bytes"], id="limit"),
    ],
)
def test_bodies(data: bytes, limit: int, expected: list[str]) -> None:
    assert visible_bytes(data, limit) == expected
