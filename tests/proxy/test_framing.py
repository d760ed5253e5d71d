"""A request's head, line by line; what a whole connection makes of the bounds is in the end-to-end tests."""

from __future__ import annotations

import h11
import pytest

from lockgate.proxy import framing
from lockgate.proxy.framing import (
    FAIR_CHUNK,
    MAX_CHUNK_LINE,
    MAX_HEAD,
    UNREADABLE,
    BoundedBuffer,
    BoundedChunkedReader,
    RequestBuffer,
    begins_like_a_request,
)

GET = b"GET /a HTTP/1.1\r\n"


def lines(head: bytes, kind: type[BoundedBuffer] = RequestBuffer) -> list[bytes] | None:
    buffer = kind()
    buffer += head
    found = buffer.maybe_extract_lines()
    return None if found is None else [bytes(line) for line in found]


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1",
        "GET /a?b=c;d HTTP/1.0",
        "X-SYNC /a HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "PRI * HTTP/2.0",
        "GET //a\\b;c%2f HTTP/1.1",
        "GET http://plain.example/a HTTP/1.1",
        "GET HTTPS://Plain.example:8443 HTTP/1.1",
        "GET http://[2001:db8::7]:80/ HTTP/1.1",
        "CONNECT api.crm.example:443 HTTP/1.1",
        "CONNECT [::ffff:127.0.0.1]:65535 HTTP/1.1",
    ],
)
def test_request_lines(line: str) -> None:
    assert lines(line.encode() + b"\r\nHost: a\r\nX-A:\tb\xe9\r\n\r\n") == [line.encode(), b"Host: a", b"X-A:\tb\xe9"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("GET  / HTTP/1.1", id="two-blanks"),
        pytest.param("GET\t/ HTTP/1.1", id="tab"),
        pytest.param(" GET / HTTP/1.1", id="blank-first"),
        pytest.param("GET / HTTP/1.1 ", id="blank-last"),
        pytest.param("GET /a b HTTP/1.1", id="blank-in-path"),
        pytest.param("GET /a\x0bb HTTP/1.1", id="vertical-tab"),
        pytest.param("GET /a\x00 HTTP/1.1", id="nul"),
        pytest.param("GET / HTTP/1.1\r", id="carriage-return"),
        pytest.param("GET /", id="http-0.9"),
        pytest.param("GET / http/1.1", id="small-version"),
        pytest.param("GET / HTTP/1.10", id="long-version"),
        pytest.param("G(T / HTTP/1.1", id="no-token"),
        pytest.param("GET a HTTP/1.1", id="relative"),
        pytest.param("GET ?a HTTP/1.1", id="query-alone"),
        pytest.param("GET ftp://plain.example/ HTTP/1.1", id="another-scheme"),
        pytest.param("GET http:/plain.example/ HTTP/1.1", id="no-authority"),
        pytest.param("GET http:///a HTTP/1.1", id="empty-authority"),
        pytest.param("GET http://a@plain.example/ HTTP/1.1", id="userinfo"),
        pytest.param("GET http://plain.example?a HTTP/1.1", id="query-behind-authority"),
        pytest.param("GET http://plain.example\\@evil.example/ HTTP/1.1", id="backslash-in-authority"),
        pytest.param("GET http://plain.example:/ HTTP/1.1", id="empty-port"),
        pytest.param("GET http://plain.example:0/ HTTP/1.1", id="port-0"),
        pytest.param("GET http://plain.example:080/ HTTP/1.1", id="port-with-a-zero"),
        pytest.param("GET http://plain%2eexample/ HTTP/1.1", id="escaped-host"),
        pytest.param("GET http://[fe80::1%25eth0]/ HTTP/1.1", id="zone"),
        pytest.param("GET http://stra\xc3\x9fe.example/ HTTP/1.1", id="sharp-s"),
        pytest.param("CONNECT api.crm.example HTTP/1.1", id="connect-without-port"),
        pytest.param("CONNECT api.crm.example:443/a HTTP/1.1", id="connect-with-path"),
        pytest.param("CONNECT a@api.crm.example:443 HTTP/1.1", id="connect-with-userinfo"),
        pytest.param("CONNECT http://api.crm.example:443 HTTP/1.1", id="connect-absolute"),
        pytest.param("CONNECT api.crm.example:\xef\xbc\x94 HTTP/1.1", id="port-in-other-digits"),
        pytest.param("connect api.crm.example:443 HTTP/1.1", id="small-connect"),
    ],
)
def test_request_lines_that_are_read_in_two_ways(line: str) -> None:
    assert lines(line.encode("latin-1") + b"\r\nHost: a\r\n\r\n") == [bytes(UNREADABLE)]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /a HTTP/1.1\nHost: a\r\n\r\n", id="line-feed"),
        pytest.param(GET + b"Host: a\nX: b\r\n\r\n", id="line-feed-within"),
        pytest.param(GET + b"Host: a\r\n\n", id="line-feed-last"),
        pytest.param(GET + b"Host: a\n\r\n", id="line-feed-and-an-empty-line"),
        pytest.param(GET + b"Host: a\rX: b\r\n\r\n", id="carriage-return"),
        pytest.param(GET + b"Host: a\r\r\n\r\n", id="two-carriage-returns"),
        pytest.param(GET + b"Host: a\r\n b\r\n\r\n", id="folded"),
        pytest.param(GET + b"Transfer-Encoding:\x0bchunked\r\n\r\n", id="vertical-tab-before-a-value"),
        pytest.param(GET + b"Host: a\x0c\r\n\r\n", id="form-feed-behind-a-value"),
        pytest.param(GET + b"X: a\x00b\r\n\r\n", id="nul"),
        pytest.param(b"\r\n\r\n" + GET + b"\r\n", id="two-empty-lines"),
        pytest.param(b"\n" + GET + b"\r\n", id="line-feed-first"),
        pytest.param(GET + b"X: " + b"a" * MAX_HEAD + b"\r\n\r\n", id="too-long"),
    ],
)
def test_lines_that_are_read_in_two_ways(head: bytes) -> None:
    assert lines(head) == [bytes(UNREADABLE)]
    buffer = RequestBuffer()
    found = None
    for byte in head:  # however it comes
        buffer += bytes([byte])
        found = found or buffer.maybe_extract_lines()
    assert found == [UNREADABLE]


def test_one_empty_line_before_a_request_means_nothing() -> None:
    assert lines(b"\r\n" + GET + b"\r\n") == [GET.strip()]


def test_a_head_is_waited_for() -> None:
    buffer = RequestBuffer()
    for byte in GET + b"\r":
        buffer += bytes([byte])
        assert buffer.maybe_extract_lines() is None
    buffer += b"\n"
    assert buffer.maybe_extract_lines() == [GET.strip()]


def test_trailers_are_not_read_as_a_head() -> None:
    buffer = RequestBuffer()
    buffer += GET + b"\r\n\r\n"
    assert buffer.maybe_extract_lines() == [GET.strip()]
    assert buffer.maybe_extract_lines() == []  # what a chunked body without trailers ends with


@pytest.mark.parametrize(
    ("body", "like"),
    [
        pytest.param(b"GET /a HTTP/1.1\r\nX: ", True, id="request"),
        pytest.param(b"\r\n\r\nGET\t/a\r\n", True, id="behind-empty-lines"),
        pytest.param(b"some words", True, id="text"),
        pytest.param(b'{"a": 1}', False, id="json"),
        pytest.param(b"a=b&c=d e", False, id="form"),
        pytest.param(b"--boundary\r\nA: b", False, id="multipart"),
        pytest.param(b"", False, id="none"),
    ],
)
def test_bodies_that_begin_like_a_request(body: bytes, like: bool) -> None:
    assert begins_like_a_request(body) is like


def test_a_targets_line_ends_are_read_as_they_come() -> None:
    assert lines(b"HTTP/1.1 200 OK\nX: a\n\n", BoundedBuffer) == [b"HTTP/1.1 200 OK", b"X: a"]


CRUMB, FAIR = b"1\r\na\r\n", b"%x\r\n%s\r\n" % (FAIR_CHUNK, b"a" * FAIR_CHUNK)
END = b"0\r\n\r\n"
FEW = 100  # small chunks


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_SMALL_CHUNKS", FEW)


def body(*parts: bytes, kind: type[BoundedBuffer] = RequestBuffer) -> bytes:
    """What is read of a chunked body that comes in these parts. Raises RemoteProtocolError."""
    buffer, reader, found = kind(), BoundedChunkedReader(), b""
    if isinstance(buffer, RequestBuffer):
        buffer.at_head = False
    for part in parts:
        buffer += part
        while isinstance(event := reader(buffer), h11.Data):
            found += event.data
    assert isinstance(event, h11.EndOfMessage)
    return found


@pytest.mark.parametrize(
    ("chunks", "size"),
    [
        pytest.param(CRUMB * FEW, FEW, id="as-many-small-ones-as-may-be"),
        pytest.param(FAIR * (2 * FEW), 2 * FEW * FAIR_CHUNK, id="more-of-a-fair-size"),
    ],
)
@pytest.mark.usefixtures("few")
def test_chunks_of_a_request(chunks: bytes, size: int) -> None:
    assert body(chunks + END) == b"a" * size
    assert body(chunks[:100], chunks[100:], END) == b"a" * size


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        pytest.param(CRUMB * (FEW + FEW // FAIR_CHUNK + 2), "crumbs", id="crumbs"),
        pytest.param(FAIR * FEW + CRUMB * (2 * FEW), "crumbs", id="behind-fair-ones"),
        pytest.param(b"1;" + b"a" * MAX_CHUNK_LINE, "too long", id="line"),
        pytest.param(b"0\r\nX: 1\r\n\r\n", "trailer", id="trailers"),
    ],
)
@pytest.mark.usefixtures("few")
def test_chunks_of_a_request_that_cost_more_than_they_bring(chunks: bytes, message: str) -> None:
    with pytest.raises(h11.RemoteProtocolError, match=message):
        body(chunks, END)


@pytest.mark.usefixtures("few")
def test_a_targets_chunks_may_be_small() -> None:
    assert len(body(CRUMB * (2 * FEW), END, kind=BoundedBuffer)) == 2 * FEW
