"""Bounds on what a connection may make the gateway keep: heads, chunk lines, requests sent ahead.

mitmproxy has none, joins folded lines in quadratic time, and stalls a connection on chunked trailers. All of it becomes
an error of whoever sent it: 400 to an agent, 502 for a target.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import h11
from h11._readers import ChunkedReader, ContentLengthReader, Http10Reader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http import ErrorCode, RequestProtocolError
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lockgate.proxy.internals import http1, server

MAX_HEAD = 64 * 1024  # bytes of a request or status line with its header lines
MAX_CHUNK_LINE = 4 * 1024
MAX_AHEAD = 64 * 1024  # bytes of further requests sent while one is pending
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


class BoundedChunkedReader(ChunkedReader):
    """h11's reader of chunked bodies, which refuses endless chunk lines and any trailer fields.

    What has come it gives as one piece, however many chunks that is: a byte a chunk would cost 100 us a byte.
    """

    def __init__(self) -> None:
        super().__init__()
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
        return event


def make_body_reader(expected_size: int | None) -> BoundedChunkedReader | Http10Reader | ContentLengthReader:
    """In place of mitmproxy's, with the same meaning: None is chunked, -1 is until the connection closes."""
    if expected_size is None:
        return BoundedChunkedReader()
    return Http10Reader() if expected_size == -1 else ContentLengthReader(expected_size)


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
    try:
        await leaking_handle_connection(self, connection)
    finally:
        io = self.transports.pop(connection, None)
        if io is not None and io.writer is not None:
            io.writer.close()


def install() -> None:
    """Replace mitmproxy's buffer, its choice of body reader, its waiting, and its end of a connection."""
    server.ConnectionHandler.handle_connection = handle_connection  # type: ignore[method-assign]
    http1.ReceiveBuffer = BoundedBuffer  # type: ignore[misc]
    http1.make_body_reader = make_body_reader
    http1.Http1Server.wait = wait  # type: ignore[method-assign]
