from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.json import MAX_DEPTH
from lockgate.bodies.sse import DONE, Event, Parser, Rewriter, is_sse, serialize
from lockgate.errors import BodyTooLarge, BodyUnreadable, MaskingFailed

COMMENT = Event()


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream; charset=UTF-8", True),
        ("text/event-stream;charset=latin-1", False),
        ("text/event-stream; v=1", False),
        ("text/plain", False),
        ("application/json", False),
        ("", False),
        (None, False),
    ],
)
def test_is_sse(content_type: str | None, expected: bool) -> None:
    assert is_sse(content_type) is expected


# Events


def events(*parts: bytes, limit: int = 1000) -> list[Event]:
    parser = Parser(limit)
    return [event for part in parts for event in parser.feed(part)] + list(parser.end())


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        # The standard's own examples (9.2.6).
        pytest.param(b"data: YHOO\ndata: +2\ndata: 10\n\n", [Event("YHOO\n+2\n10")], id="three-lines"),
        pytest.param(
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [COMMENT, Event("first event", id="1"), Event("second event", id=""), Event(" third event")],
            id="four-blocks",
        ),
        pytest.param(b"data\n\ndata\ndata\n\ndata:", [Event(""), Event("\n"), Event("", whole=False)], id="empty-data"),
        pytest.param(b"data:test\n\ndata: test\n\n", [Event("test"), Event("test")], id="one-space"),
        # What it says of fields.
        pytest.param(b"event: add\ndata: 1\n\n", [Event("1", "add")], id="type"),
        pytest.param(b"event: a\nevent: b\ndata: 1\n\n", [Event("1", "b")], id="the-last-type"),
        pytest.param(b"event: add\n\ndata: 1\n\n", [Event("1")], id="a-type-alone-is-nothing"),
        pytest.param(b"id: 7\n\n", [Event(id="7")], id="an-id-alone-counts"),
        pytest.param(b"id: 7\0\ndata: 1\n\n", [Event("1")], id="no-id-with-nul"),
        pytest.param(b"retry: 3000\n\n", [Event(retry=3000)], id="retry"),
        pytest.param(b"retry: 3s\ndata: 1\n\n", [Event("1")], id="no-retry"),
        pytest.param("retry: \u0663\n\n".encode(), [], id="ascii-digits-only"),
        pytest.param(b"retry: " + b"9" * 900 + b"\n\n", [], id="no-number-that-large"),
        pytest.param(b"Data: 1\nfoo: bar\nbaz\n\n", [], id="unknown-fields"),
        pytest.param(b"data:1:2\n\n", [Event("1:2")], id="colon-in-the-value"),
        pytest.param(b" data: 1\n\n", [], id="no-field-of-that-name"),
        pytest.param(b":\n:\ndata: 1\n: x\n\n", [COMMENT, COMMENT, COMMENT, Event("1")], id="comments"),
        pytest.param(b"\n\n\n", [], id="blank-lines"),
        pytest.param(b"\xef\xbb\xbfdata: 1\n\n", [Event("1")], id="bom"),
        pytest.param(b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [Event("1")], id="no-bom-later"),
        pytest.param("data: \u00e4\u2028\x85\n\n".encode(), [Event("\u00e4\u2028\x85")], id="no-line-end-but-these"),
        pytest.param(b"data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n", [Event("1"), Event("2"), Event("3")], id="line-ends"),
        # What stands behind the last blank line.
        pytest.param(b"data: 1\n\ndata: 2\n", [Event("1"), Event("2", whole=False)], id="no-blank-line"),
        pytest.param(b"data: 1", [Event("1", whole=False)], id="no-line-end"),
        pytest.param(b"event: x", [], id="no-event"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_events(stream: bytes, expected: list[Event]) -> None:
    assert events(stream) == expected
    assert events(*(bytes([byte]) for byte in stream)) == expected


PIECES = [
    b"data: 1",
    b"data:",
    b"event: e",
    b"id: i",
    b"retry: 5",
    b": c",
    b"x",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"\xef\xbb\xbf",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.data())
def test_however_it_is_cut(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert events(*parts) == events(whole)


def test_an_event_is_out_with_its_blank_line() -> None:
    parser = Parser()
    assert list(parser.feed(b"data: 1\r\n\r")) == [Event("1")]
    assert list(parser.feed(b"\ndata: 2\n")) == []
    assert list(parser.feed(b"\n")) == [Event("2")]


@pytest.mark.parametrize("stream", [b"data: \xff\n", b"event: \xc3\n", b": \xff\n", b"data: \xed\xa0\x80\n"])
def test_what_is_not_utf_8_is_unreadable(stream: bytes) -> None:
    parser = Parser()
    given = parser.feed(b"data: 1\n\n" + stream)
    assert next(given) == Event("1")
    with pytest.raises(BodyUnreadable):
        next(given)


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"data: " + b"x" * 95, id="one-line"),
        pytest.param(b": " + b"x" * 99, id="comment"),
        pytest.param(b"data: 123\n" * 11, id="lines"),
        pytest.param(b"data\n" * 21, id="empty-lines"),
        pytest.param(b"x: 123456\n" * 11, id="unknown-fields"),
    ],
)
def test_an_event_has_a_limit(stream: bytes) -> None:
    with pytest.raises(BodyTooLarge):
        events(stream, limit=100)
    assert events(*[b"data: 123\n\n"] * 50, limit=100) == [Event("123")] * 50


@given(
    st.builds(
        Event,
        data=st.none() | st.text("ab\n: \u00e4", max_size=8),
        name=st.text("ab ", max_size=3).map(str.strip),
        id=st.none() | st.text("ab1", max_size=3),
        retry=st.none() | st.integers(0, 999_999_999),
        whole=st.just(True),
    ).filter(lambda event: event.data is not None or not event.name)
)
def test_what_is_written_reads_the_same(event: Event) -> None:
    assert events(serialize(event)) == [event]
    if event.data is not None:
        unfinished = Event(event.data, event.name, event.id, event.retry, whole=False)
        assert events(serialize(unfinished)) == [unfinished]


# Events with what becomes of their documents


@pytest.fixture
def rewriting() -> Callable[..., bytes]:
    """What is left of a stream in which every document is put into a list."""

    def rewriting(*parts: bytes, change: Callable[[Any], Any] = lambda document: [document]) -> bytes:
        rewriter = Rewriter(change)
        given: Iterator[bytes] = (piece for part in parts for piece in rewriter.feed(part))
        return b"".join([*given, *rewriter.end()])

    return rewriting


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(b"data: 1\n\n", b"data: [1]\n\n", id="number"),
        pytest.param(b'data: {"a":\ndata: 1.10}\n\n', b'data: [{"a":1.10}]\n\n', id="two-lines"),
        pytest.param(b'data: "\\n\\r"\r\r', b'data: ["\\n\\r"]\n\n', id="line-ends-in-strings"),
        pytest.param(b"data: null\n\n", b"data: [null]\n\n", id="null"),
        pytest.param('data: "\u2029"\n\n'.encode(), b'data: ["\\u2029"]\n\n', id="no-line-end-for-any-reader"),
        pytest.param(b"event: a_b.c-d/1\ndata: 1\n\n", b"event: a_b.c-d/1\ndata: [1]\n\n", id="type"),
        pytest.param(b"data: [DONE]\n\n", b"data: [DONE]\n\n", id="done"),
        pytest.param(b"id: 1\ndata:\n\n", b"data: \n\n", id="nothing-to-hide"),
        pytest.param(b"id: 1\n\n", b":\n\n", id="id"),
        pytest.param(b"retry: 10\nid: 1\n\n", b"retry: 10\n\n", id="retry"),
        pytest.param(b"retry: 1000000\ndata: 1\n\n", b"data: [1]\n\n", id="no-sane-retry"),
        pytest.param(b"retry: 0078\n\n", b"retry: 78\n\n", id="retry-is-a-number"),
        pytest.param(b": secret\n\nsecret\nsecret: 1\n\n", b":\n\n", id="what-is-no-field"),
        pytest.param(b"data: 1", b"data: [1]\n", id="no-end"),
    ],
)
def test_rewritten(rewriting: Callable[..., bytes], stream: bytes, expected: bytes) -> None:
    assert rewriting(stream) == expected
    assert rewriting(*(bytes([byte]) for byte in stream)) == expected


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(b"data: {\n\n", id="no-json"),
        pytest.param(b"data: [DONE] \n\n", id="nearly-done"),
        pytest.param(b"data: [done]\n\n", id="nor-this"),
        pytest.param(b"data: [DONE]\ndata: \n\n", id="done-and-a-line"),
        pytest.param(b"data: " + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"\n\n", id="deep"),
        pytest.param(b'data: {"a": 1, "a": 2}\n\n', id="twice"),
        pytest.param(b"data: 1\ndata: 2\n\n", id="two"),
        pytest.param(b"data: NaN\n\n", id="no-number"),
        pytest.param(b"data: {", id="cut"),
        pytest.param(b"event: 078-05-1120\ndata: 1\n\n", id="type-of-digits"),
        pytest.param(b"event: a12b34\ndata: 1\n\n", id="type-with-digits"),
        pytest.param(b"event: ann@mail.example\ndata: 1\n\n", id="type-of-other-characters"),
        pytest.param(b"event: " + b"a" * 65 + b"\ndata: 1\n\n", id="long-type"),
        pytest.param(b"event: two words\ndata: [DONE]\n\n", id="type-of-two-words"),
    ],
)
def test_what_has_no_certain_meaning_is_not_rewritten(event: bytes) -> None:
    rewriter = Rewriter(lambda document: document)
    given = iter([*rewriter.feed(b"data: 1\n\n")])
    assert next(given) == b"data: 1\n\n"
    with pytest.raises(BodyUnreadable):
        list(rewriter.feed(event)) + list(rewriter.end())


def test_what_a_change_raises_comes_through(rewriting: Callable[..., bytes]) -> None:
    def change(_: Any) -> Any:
        raise MaskingFailed("no")

    assert rewriting(b"data: %b\n\n" % DONE.encode(), change=change) == b"data: [DONE]\n\n"
    with pytest.raises(MaskingFailed):
        rewriting(b"data: 1\n\n", change=change)
