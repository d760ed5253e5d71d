"""Bounds on what a connection may make the gateway keep: heads, chunk lines, requests sent ahead. And one reading of a
request's head (RFC 9112, sections 2.2, 3 and 5).

mitmproxy has no bounds, joins folded lines in quadratic time, stalls a connection on chunked trailers, and splits lines
at a bare LF and their words at any blank. All of it becomes an error of whoever sent it: 400 to an agent, 502 for a
target.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

import h11
from h11._readers import ChunkedReader, ContentLengthReader, Http10Reader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import ErrorCode, RequestProtocolError
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lockgate.proxy import pace
from lockgate.proxy.internals import http1, server

MAX_HEAD = 64 * 1024  # bytes of a request or status line with its header lines
MAX_CHUNK_LINE = 4 * 1024
MAX_SMALL_CHUNKS = 16 * 1024  # of a request's body; of more, each has FAIR_CHUNK bytes on the average
FAIR_CHUNK = 16
MAX_AHEAD = 64 * 1024  # bytes of further requests sent while one is pending
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
HOST, PORT = rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])", rb":[1-9][0-9]{0,4}"
ORIGIN = rb"/[^\x00-\x20\x7f]*"
ABSOLUTE = rb"(?i:https?)://" + HOST + rb"(?:" + PORT + rb")?(?:" + ORIGIN + rb")?"
CONNECT = rb"CONNECT " + HOST + PORT
OTHER = rb"(?!(?i:connect) )" + TOKEN + rb" (?:\*|" + ORIGIN + rb"|" + ABSOLUTE + rb")"
REQUEST_LINE = re.compile(rb"(?:" + CONNECT + rb"|" + OTHER + rb") HTTP/[0-9]\.[0-9]")
BLANK = rb"(?:[\t\x0b\x0c\x1c-\x20\x85\xa0]|\r(?!\n))"  # what Python's `str.split` takes for one, so `http.server`
LIKE_A_REQUEST = re.compile(rb"(?:[\r\n]|" + BLANK + rb")*+" + TOKEN + BLANK)
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
UNREADABLE = bytearray(b"unreadable head")  # neither a request line nor a status line: mitmproxy refuses it


class BoundedBuffer(ReceiveBuffer):
    """h11's buffer, in which a head that is too large or folded comes out as one that cannot be read."""

    def maybe_extract_lines(self) -> list[bytearray] | None:
        lines = super().maybe_extract_lines()
        if lines is None:
            return [UNREADABLE] if len(self) > MAX_HEAD else None
        if sum(map(len, lines)) > MAX_HEAD or any(line.startswith((b" ", b"\t")) for line in lines):
            return [UNREADABLE]
        return lines


class RequestBuffer(BoundedBuffer):
    """A buffer of what an agent sends: a head whose lines or words another reader could tell apart otherwise comes out
    as one that cannot be read.

    `at_head` is whether one is read now: h11 reads trailers, which are refused whatever they are, in the same way.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_head = True
        self._began = False  # with the empty line that may stand before a request

    def maybe_extract_lines(self) -> list[bytearray] | None:
        if not self.at_head:
            return super().maybe_extract_lines()
        if self._data.startswith(b"\r\n") and not self._began:
            self._extract(2)  # one empty line before a request means nothing
            self._began = True
        before = len(self)
        lines = super().maybe_extract_lines()
        if lines is None:
            return None
        self.at_head = self._began = False
        return lines if is_plain(lines, before - len(self)) else [UNREADABLE]


def is_plain(lines: Sequence[bytearray], size: int) -> bool:
    """Whether a request's head of `size` bytes is these lines with CRLF behind each and behind the last one more."""
    text = b"".join(lines)
    return (
        bool(lines)
        and size == len(text) + 2 * len(lines) + 2
        and REQUEST_LINE.fullmatch(lines[0]) is not None
        and not CONTROL.search(text)
    )


def begins_like_a_request(body: bytes) -> bool:
    """Whether a target that does not read a body would take this one for the next request on the connection."""
    return LIKE_A_REQUEST.match(body) is not None


class BoundedChunkedReader(ChunkedReader):
    """h11's reader of chunked bodies, which refuses endless chunk lines, requests in crumbs, and any trailer fields.

    What has come it gives as one piece, however many chunks that is: a byte a chunk would cost 100 us a byte.
    """

    def __init__(self) -> None:
        super().__init__()
        self._chunks = 0
        self._bytes = 0
        self._behind: h11.EndOfMessage | None = None  # the piece that was given last

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        event, self._behind = self._behind or self._read(buf), None
        if not isinstance(event, h11.Data):
            return event
        pieces = [event.data]
        while isinstance(behind := self._read(buf), h11.Data):
            pieces.append(behind.data)
        self._behind = behind
        return h11.Data(b"".join(pieces))

    def _read(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        event = super().__call__(buf)
        if event is None and len(buf) > MAX_CHUNK_LINE:
            raise h11.RemoteProtocolError("a chunk line is too long")
        if isinstance(event, h11.EndOfMessage) and event.headers:
            raise h11.RemoteProtocolError("trailer fields are not accepted")
        if isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._bytes += len(event.data)
            if isinstance(buf, RequestBuffer) and self._chunks > MAX_SMALL_CHUNKS + self._bytes // FAIR_CHUNK:
                raise h11.RemoteProtocolError("the body comes in crumbs")
        return event


def make_body_reader(expected_size: int | None) -> BoundedChunkedReader | Http10Reader | ContentLengthReader:
    """In place of mitmproxy's, with the same meaning: None is chunked, -1 is until the connection closes."""
    if expected_size is None:
        return BoundedChunkedReader()
    return Http10Reader() if expected_size == -1 else ContentLengthReader(expected_size)


begin_server = http1.Http1Server.__init__


def begin(self: Any, context: Context) -> None:
    """In place of mitmproxy's: what comes from an agent is read more strictly than what comes from a target."""
    begin_server(self, context)
    self.buf = RequestBuffer()


lenient_read_headers = http1.Http1Server.read_headers


def read_headers(self: Any, event: events.ConnectionEvent) -> Generator[commands.Command, Any, None]:
    """In place of mitmproxy's: its buffer is told that a head begins."""
    self.buf.at_head = True
    yield from lenient_read_headers(self, event)


unbounded_wait = http1.Http1Server.wait


def wait(self: Any, event: events.Event) -> Generator[commands.Command, Any, None]:
    """In place of mitmproxy's: what a client sends ahead while a request is pending has a limit."""
    if isinstance(event, events.DataReceived) and len(self.buf) > MAX_AHEAD:
        yield commands.CloseConnection(self.conn)
        gone = RequestProtocolError(self.stream_id, "too much was sent ahead", ErrorCode.CLIENT_DISCONNECTED)
        yield ReceiveHttp(gone)
        self.state = self.done
    else:
        yield from unbounded_wait(self, event)


leaking_handle_connection = server.ConnectionHandler.handle_connection


async def handle_connection(self: Any, connection: Connection) -> None:
    """In place of mitmproxy's, which leaves the socket open when it is told to close it while more data waits."""
    io = self.transports[connection]
    io.reader = pace.Reader(io.reader, connection)
    try:
        await leaking_handle_connection(self, connection)
    finally:
        io = self.transports.pop(connection, None)
        if io is not None and io.writer is not None:
            io.writer.close()


def install() -> None:
    """Replace mitmproxy's buffers, its choice of body reader, its waiting, and its end of a connection."""
    server.ConnectionHandler.handle_connection = handle_connection  # type: ignore[method-assign]
    http1.ReceiveBuffer = BoundedBuffer  # type: ignore[misc]
    http1.Http1Server.__init__ = begin  # type: ignore[method-assign]
    http1.Http1Server.read_headers = read_headers  # type: ignore[method-assign]
    http1.make_body_reader = make_body_reader
    http1.Http1Server.wait = wait  # type: ignore[method-assign]
