from __future__ import annotations

from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from lockgate.bodies.content_type import ContentType, media_type, only, parse
from lockgate.errors import ContentTypeNotAccepted


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("application/json", ContentType("application/json"), id="plain"),
        pytest.param(" Application/JSON ", ContentType("application/json"), id="letter-case"),
        pytest.param("a/b;", ContentType("a/b"), id="semicolon"),
        pytest.param("a/b ; charset=UTF-8", ContentType("a/b", {"charset": "UTF-8"}), id="parameter"),
        pytest.param('a/b;Charset="utf-8"', ContentType("a/b", {"charset": "utf-8"}), id="quoted"),
        pytest.param('a/b; x="a; y=b"; z=c', ContentType("a/b", {"x": "a; y=b", "z": "c"}), id="semicolon-in-quotes"),
    ],
)
def test_one_reading(value: str, expected: ContentType) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "json",
        "a/",
        "/b",
        "a/b/c",
        "a b/c",
        "a/b, c/d",
        "a/b;;",
        "a/b; charset",
        "a/b; charset=",
        "a/b; charset =utf-8",
        "a/b; charset= utf-8",
        "a/b; charset=utf-8; charset=utf-8",
        "a/b; charset=utf-8; CHARSET=utf-16",
        "a/b; charset*=utf-8''utf-16",
        "a/b; charset*0=utf; charset*1=-16",
        'a/b; x="a\\"b"',
        'a/b; x="a',
        "a/b; charset=utf-8 x",
        "a/b\xa0",
        "a/b\x0b",
        "a/b\u2003",
        "*/*",
    ],
)
def test_no_one_reading(value: str) -> None:
    with pytest.raises(ContentTypeNotAccepted):
        parse(value)
    assert media_type(value) is None


def test_only_one_is_taken() -> None:
    assert only([]) is None
    assert only(["a/b"]) == ContentType("a/b")
    with pytest.raises(ContentTypeNotAccepted, match="several"):
        only(["a/b", "a/b"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("a/b", "a/b", id="plain"),
        pytest.param("a/b; charset=Utf-8", "a/b", id="utf-8"),
        pytest.param("a/b; charset=utf-16", None, id="another-charset"),
        pytest.param("a/b; version=1", None, id="another-parameter"),
    ],
)
def test_media_type(value: str | None, expected: str | None) -> None:
    assert media_type(value) == expected


def test_a_long_one_is_read_at_once() -> None:
    for value in ("a/b" + " " * 16_000 + "x", "a/b;" + " ;" * 8_000, "a/b" + "; x" * 5_000 + "="):
        with pytest.raises(ContentTypeNotAccepted):
            parse(value)


@given(st.from_regex(r"[a-z]{1,3}/[a-z+]{1,3}( ?; ?[a-z*]{1,2}=([a-z]{0,2}|\"[a-z;= ]{0,3}\"))*;?", fullmatch=True))
def test_what_is_read_is_what_lenient_parsers_read(value: str) -> None:
    try:
        found = parse(value)
    except ContentTypeNotAccepted:
        return
    essence, options = parse_options_header(value)
    assert (found.essence, found.parameters) == (essence, options)
    message = Message()
    message["content-type"] = value
    params = [param for param in message.get_params() if param[0]]
    assert params == [(found.essence, ""), *found.parameters.items()]
