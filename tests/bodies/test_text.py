"""Bodies of text."""

from __future__ import annotations

import pytest

from lockgate.bodies import text
from lockgate.errors import BodyUnreadable


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        pytest.param("text/plain", True, id="plain"),
        pytest.param("Text/CSV; charset=utf-8; header=present", True, id="parameters"),
        pytest.param("text/event-stream", False, id="events"),
        pytest.param("text/event-stream, text/plain", False, id="two types"),
        pytest.param("application/json, text/html", False, id="two types, JSON first"),
        pytest.param("html", False, id="no type"),
        pytest.param("text/plain/x", False, id="no type, nearly"),
        pytest.param("text/json", False, id="JSON by another name"),
        pytest.param("text/x-ndjson; charset=utf-8", False, id="JSON lines by another name"),
        pytest.param("application/json", False, id="JSON"),
        pytest.param("application/octet-stream; x=text/plain", False, id="in a parameter"),
        pytest.param("", False, id="empty"),
        pytest.param(None, False, id="none"),
    ],
)
def test_what_is_text(content_type: str | None, found: bool) -> None:
    assert text.is_text(content_type) is found


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("text/plain", "J\u00f6rg".encode(), id="UTF-8 where nothing is said"),
        pytest.param('text/plain; charset="UTF-8"', "J\u00f6rg".encode(), id="in quotes"),
        pytest.param("text/plain; charset=ISO-8859-1", "J\u00f6rg".encode("latin-1"), id="Latin-1"),
        pytest.param("text/plain; charset=us-ascii", b"Joerg", id="ASCII"),
    ],
)
def test_there_and_back(content_type: str, body: bytes) -> None:
    assert text.encode(text.decode(body, content_type), content_type) == body


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("text/plain", b"J\xf6rg", id="not what it says"),
        pytest.param("text/plain; charset=us-ascii", b"J\xf6rg", id="not ASCII"),
        pytest.param("text/plain; charset=utf-7", b"+AGEAQABi-", id="a charset that hides what it says"),
        pytest.param("text/plain; charset=utf-16", b"\xff\xfea\x00", id="UTF-16"),
        pytest.param("text/plain; charset=utf-8; Charset=utf-16-le", b"a\x00", id="two charsets"),
        pytest.param("text/plain; charset*=utf-8''utf-16-le", b"a\x00", id="a charset in RFC 2231's form"),
    ],
)
def test_what_has_no_certain_meaning(content_type: str, body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        text.decode(body, content_type)
