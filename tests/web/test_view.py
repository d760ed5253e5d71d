from __future__ import annotations

import base64
import json
import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.approvals.approval import Shown
from lockgate.bodies.json import dumps, parse
from lockgate.bodies.visible import is_seen
from lockgate.web import view

HIDDEN = '<b class="hidden">{}</b>'
TAGS = re.compile(r'<b class="hidden">|</b>|<mark class="out">|</mark>')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("GET /a", "GET /a", id="plain"),
        pytest.param("<script>alert('1')</script>", "&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;", id="markup"),
        pytest.param('" onmouseover="x', "&quot; onmouseover=&quot;x", id="attribute"),
        pytest.param("a\u202eb", "a" + HIDDEN.format("\\u202e") + "b", id="bidi"),
        pytest.param("\x1b[2J", HIDDEN.format("\\x1b") + "[2J", id="terminal"),
        pytest.param("a\u200b\u200bb", "a" + HIDDEN.format("\\u200b\\u200b") + "b", id="a-run-of-them"),
        pytest.param("a\r\nb\tc", "a\nb   c", id="lines"),
        pytest.param("a\rb", "a" + HIDDEN.format("\\x0d") + "b", id="carriage-return"),
        pytest.param("x [redacted] y", 'x <mark class="out">[redacted]</mark> y', id="left-out"),
        pytest.param("[redacted email]", '<mark class="out">[redacted email]</mark>', id="left-out-kind"),
        pytest.param("[redacted <b>]", "[redacted &lt;b&gt;]", id="no-kind"),
        pytest.param("ü<東京", "ü&lt;東京", id="letters-of-the-world"),
    ],
)
def test_show(text: str, expected: str) -> None:
    assert view.show(text) == expected


@given(st.text())
def test_only_its_own_tags_stand_in_it(text: str) -> None:
    shown = view.show(text)
    bare = TAGS.sub("", shown)
    assert not set("<>\"'") & set(bare)
    assert all(is_seen(character) or character == "\n" for character in unescape(bare))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"b":1.10,"a":[1e2,-0]}', '{\n  "b": 1.10,\n  "a": [\n    1e2,\n    -0\n  ]\n}', id="as-written"),
        pytest.param('{"a":{},"b":[],"c":null}', '{\n  "a": {},\n  "b": [],\n  "c": null\n}', id="empty"),
        pytest.param("12345678901234567890123", "12345678901234567890123", id="long-number"),
        pytest.param('{"a":1,"a":2}', '{"a":1,"a":2}', id="twice"),
        pytest.param('{"a":', '{"a":', id="broken"),
        pytest.param('"\ud800"', '"\ud800"', id="lone-surrogate"),
        pytest.param("[" * 100 + ",".join("0" * 2000) + "]" * 100, "[" * 100, id="no-room"),
    ],
)
def test_indented(text: str, expected: str) -> None:
    assert view.indented(text).startswith(expected)


VALUES = st.none() | st.booleans() | st.integers() | st.text()


@settings(max_examples=30)
@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_indenting_changes_nothing(document: object) -> None:
    try:
        text = dumps(document).decode()
    except UnicodeEncodeError:
        return
    assert parse(view.indented(text).encode()) == json.loads(text)


def test_a_binary_body_is_a_dump() -> None:
    shown = Shown(body=base64.b64encode(b"\x00<A").decode(), body_is="binary", body_size=3)
    assert view.body(shown) == "00000000  00 3c 41" + " " * 39 + "  .<A"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-5.0, "0s"), (9.7, "9s"), (65.0, "1m 05s"), (7800.0, "2h 10m"), (273_600.0, "3d 4h")],
)
def test_span(seconds: float, expected: str) -> None:
    assert view.span(seconds) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(600.0, "10m"), (3600.0, "1h"), (90.0, "90s"), (86400.0, "1d")])
def test_duration(seconds: float, expected: str) -> None:
    assert view.duration(seconds) == expected


def test_instants() -> None:
    assert (view.moment(0.0), view.time_of_day(61.0)) == ("1970-01-01 00:00:00 UTC", "00:01:01")
