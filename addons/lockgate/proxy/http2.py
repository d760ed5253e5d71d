"""Bounds on what an HTTP/2 connection may make the gateway do and keep, on both sides (RFC 9113, 10.5).

h2 checks the protocol itself and bounds streams, header lists and CONTINUATION frames; mitmproxy opens every window to
2 GiB and keeps whatever a peer does not take. Here a flood of frames from which nothing comes, or of resets (CVE-2023-
44487, CVE-2025-8671), ends the connection, and a target is read no faster than its agent takes the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import DenialOfServiceError
from h2.frame_buffer import FrameBuffer
from h2.settings import SettingCodes
from h2.stream import StreamState
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, SettingsFrame
from mitmproxy import http
from mitmproxy.connection import Client, Connection
from mitmproxy.proxy import commands
from mitmproxy.proxy.events import DataReceived as BytesReceived
from mitmproxy.proxy.events import Event as ProxyEvent
from mitmproxy.proxy.layers.http import (
    ErrorCode,
    HttpEvent,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._base import ReceiveHttp

from lockgate.errors import LockgateError
from lockgate.exchange import Waiting, session
from lockgate.proxy.internals import (
    BufferedH2Connection,
    Http2Client,
    Http2Connection,
    Http2Server,
    SendHttp,
    http_layers,
    server,
    tls_layers,
)
from lockgate.proxy.latch import Shut

Commands = Generator[commands.Command, Any, None]

ALPN = b"h2"
MAX_STREAMS = 100  # open at a time on one connection
MAX_HEAD = 64 * 1024  # bytes of a header list, and of its encoded form
MAX_FRAME = 16 * 1024
STREAM_WINDOW = 1024 * 1024  # bytes a peer may send ahead of what was taken in, on one stream
CONNECTION_WINDOW = MAX_STREAMS * STREAM_WINDOW  # so that no stream waits for another
MAX_TABLE = 4096  # bytes of what a peer can make our encoder remember (RFC 7541, 4.2)
MAX_SETTINGS = 32  # in one frame; there are some ten
IDLE_FRAMES = (4000, 200)  # from which nothing comes: at once, and more each second
SMALL_FRAMES = (4000, 1000)  # of bodies that an agent sends: one costs 100 us, however little it carries
RESETS = (MAX_STREAMS, 20)
WORTH = 512  # bytes of a DATA frame that earns its peer a WINDOW_UPDATE and a PING
FULL = 1024 * 1024  # bytes of one answer that wait for the agent: its target is not read on
MAX_UNSENT = 128 * 1024 * 1024  # bytes of all answers of one connection that wait
BROKEN = "HTTP/2 was not kept to, or its bounds were not."
# Where HTTP/1 closes a connection since it cannot tell what follows: an end of the stream is enough.
OF_THE_STREAM = frozenset({400, 413, 502, 503})
BODYLESS = (b"204", b"304")


class Allowance:
    """What a peer may still do of something that costs it nothing: `burst` times at once, `per_second` more later."""

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._left: float = burst
        self._at = clock()

    def spend(self) -> None:
        """Raises DenialOfServiceError where nothing is left."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            raise DenialOfServiceError("too many frames of a kind")
        self._left -= 1

    def earn(self, count: int) -> None:
        self._left = min(self._burst, self._left + count)


class BoundedFrames(FrameBuffer):
    """h2's buffer of frames, which keeps no more of a frame or a header block than may come of it."""

    def __next__(self) -> Frame:
        if len(self._data) >= 3:
            self._validate_frame_length(int.from_bytes(self._data[:3]))  # h2 first waits for all of a frame
        return super().__next__()

    def _update_header_buffer(self, f: Frame | None) -> Frame | None:
        frame = super()._update_header_buffer(f)
        if sum(len(part.data) for part in self._headers_buffer) > MAX_HEAD:
            raise DenialOfServiceError("a header block is too large")
        return frame


class BoundedH2Connection(BufferedH2Connection):
    """mitmproxy's h2 connection with windows of a size, and account kept of what frames bring."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.local_settings.update(
            {
                SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                SettingCodes.MAX_FRAME_SIZE: MAX_FRAME,
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
            }
        )
        if config.client_side:
            self.local_settings.enable_push = 0
        self.local_settings.acknowledge()
        self.max_inbound_frame_size = MAX_FRAME
        self.decoder.max_header_list_size = MAX_HEAD
        self.incoming_buffer = BoundedFrames(server=not config.client_side)
        self._idle = Allowance(*IDLE_FRAMES)
        self._small = Allowance(*SMALL_FRAMES)
        self._resets = Allowance(*RESETS)

    def initiate_connection(self) -> None:
        H2Connection.initiate_connection(self)
        self.increment_flow_control_window(CONNECTION_WINDOW - self.inbound_flow_control_window)

    def reset_stream(self, stream_id: int, error_code: int = 0) -> None:
        self.stream_trailers.pop(stream_id, None)
        super().reset_stream(stream_id, error_code)

    def unsent(self, stream_id: int) -> int:
        """Bytes of a stream that wait for its peer to take more."""
        return sum(len(waiting.data) for waiting in self.stream_buffers.get(stream_id, ()))

    @property
    def all_unsent(self) -> int:
        return sum(self.unsent(stream_id) for stream_id in self.stream_buffers)

    def receive_data(self, data: bytes) -> list[Event]:
        """Parts of one body that came together are one part: a byte a frame would cost 100 us a byte."""
        joined: list[Event] = []
        for event in super().receive_data(data):
            last = joined[-1] if joined else None
            if isinstance(event, DataReceived) and isinstance(last, DataReceived) and event.stream_id == last.stream_id:
                event.data = (last.data or b"") + (event.data or b"")
                event.flow_controlled_length = (last.flow_controlled_length or 0) + (event.flow_controlled_length or 0)
                joined[-1] = event
            else:
                joined.append(event)
        return joined

    def _receive_frame(self, frame: Frame) -> list[Event]:
        events: list[Event] = super()._receive_frame(frame)
        for event in events:
            if isinstance(event, StreamReset):
                self.stream_trailers.pop(event.stream_id, None)
                self._resets.spend()
        if not any(_brings(event) for event in events):
            self._idle.spend()
        elif isinstance(frame, DataFrame) and len(frame.data) >= WORTH:
            self._idle.earn(1)
        elif isinstance(frame, DataFrame) and "END_STREAM" not in frame.flags and not self.config.client_side:
            self._small.spend()
        return events

    def _prepare_for_sending(self, frames: list[Frame]) -> None:
        self._idle.earn(2 * sum(isinstance(frame, DataFrame) and len(frame.data) >= WORTH for frame in frames))
        super()._prepare_for_sending(frames)

    def _receive_settings_frame(self, frame: SettingsFrame) -> tuple[list[Frame], list[Event]]:
        if len(frame.settings) > MAX_SETTINGS:
            raise DenialOfServiceError("too many settings")
        return super()._receive_settings_frame(frame)

    def _acknowledge_settings(self) -> list[Frame]:
        frames: list[Frame] = super()._acknowledge_settings()
        if self.encoder.header_table_size > MAX_TABLE:
            self.encoder.header_table_size = MAX_TABLE
        return frames

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        """A target that only wants no more requests finishes those it has; h2 would end them all."""
        if not self.config.client_side or frame.error_code != ErrorCodes.NO_ERROR:
            return super()._receive_goaway_frame(frame)
        event = ConnectionTerminated()
        event.error_code = ErrorCodes.NO_ERROR
        event.last_stream_id = frame.last_stream_id
        event.additional_data = None
        return [], [event]


def _brings(event: Event) -> bool:
    """Whether a frame was for something."""
    if isinstance(event, DataReceived):
        return bool(event.data or event.stream_ended)
    return isinstance(event, (RequestReceived, ResponseReceived, TrailersReceived, StreamEnded))


@dataclass
class Standing(RequestHeaders):
    """A head that may have to wait until its target takes another stream. `require` raises Shut or a LockgateError
    once it may no longer be sent.
    """

    require: Callable[[], None] = field(kw_only=True)


class Room(HttpEvent):
    """There is room again for more of an answer."""


reading: ContextVar[Connection | None] = ContextVar("reading", default=None)
"""The server connection that a task reads; of an agent's connection there is none."""


async def wait_for_room(client: Client) -> None:
    """Return once the agent has taken enough of the answer that the connection now read from carries: mitmproxy waits
    for sockets only, not for what HTTP/2 lets nobody send yet.
    """
    connection = reading.get()
    held = session(client)
    while connection is not None and (waiting := held.waiting.get(held.carries.get(connection.id, 0))) is not None:
        await waiting.room.wait()


# The two sides


class Bounded(Http2Connection):
    """What both sides have in common: it stands before mitmproxy's class of the side."""

    h2_conn: BoundedH2Connection
    _leaving = False

    def protocol_error(self, message: str, error_code: int = ErrorCodes.PROTOCOL_ERROR) -> Commands:
        """In place of mitmproxy's, whose message quotes the wire, and which says this code behind h2's own."""
        if self.h2_conn.state_machine.state is not ConnectionState.CLOSED:
            self.h2_conn.close_connection(error_code)
        yield commands.SendData(self.conn, self.h2_conn.data_to_send())
        yield from self.close_connection(BROKEN)

    def _cut_short(self, event: Event) -> bool:
        """Whether a body ended before its content-length: h2 sees that only where DATA ends it."""
        stream = self.h2_conn.streams.get(event.stream_id) if isinstance(event, StreamEnded) else None
        if stream is None or stream._expected_content_length is None:
            return False
        return bool(stream._expected_content_length != stream._actual_content_length)

    def _refuse(self, stream_id: int) -> Commands:
        """End one stream as malformed (RFC 9113, 8.1.1)."""
        self.streams.pop(stream_id, None)
        if not self.is_closed(stream_id):
            self.h2_conn.reset_stream(stream_id, ErrorCodes.PROTOCOL_ERROR)
        error = self.ReceiveProtocolError
        yield ReceiveHttp(error(stream_id, BROKEN, error.code))

    def _leave(self) -> Commands:
        """Close once nothing is under way any more."""
        for stream_id in [one for one in self.streams if self.is_closed(one)]:
            del self.streams[stream_id]
        if self._leaving and not self.streams:
            self._leaving = False
            self.h2_conn.close_connection(ErrorCodes.NO_ERROR)
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())
            yield from self.close_connection("nothing is under way")


class BoundedHttp2Server(Bounded, Http2Server):
    """Towards an agent."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.h2_conn = BoundedH2Connection(self.h2_conf)
        self._waiting: dict[int, Waiting] = session(context.client).waiting

    def _handle_event(self, event: ProxyEvent) -> Commands:
        if isinstance(event, ResponseProtocolError) and self._is_answered(event.stream_id):
            # The answer is whole; what more of the request comes is not wanted (RFC 9113, 8.1).
            self.h2_conn.reset_stream(event.stream_id, ErrorCodes.NO_ERROR)
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())
        else:
            if isinstance(event, ResponseHeaders):
                self._leaving = self._leaving or _is_last(event.response)
            yield from super()._handle_event(event)
        if isinstance(event, ResponseData) and self.h2_conn.unsent(event.stream_id) > FULL:
            self._waiting.setdefault(event.stream_id, Waiting())
            if self.h2_conn.all_unsent > MAX_UNSENT:
                yield from self.protocol_error(BROKEN, ErrorCodes.ENHANCE_YOUR_CALM)
        elif isinstance(event, (HttpEvent, BytesReceived)):
            yield from self._make_room()
            yield from self._leave()

    def _is_answered(self, stream_id: int) -> bool:
        stream = self.h2_conn.streams.get(stream_id)
        return stream is not None and stream.state_machine.state is StreamState.HALF_CLOSED_LOCAL

    def _make_room(self) -> Commands:
        """Have the targets read on whose answers the agent has taken."""
        for stream_id in [one for one in self._waiting if self.h2_conn.unsent(one) <= FULL // 2]:
            waiting = self._waiting.pop(stream_id)
            waiting.room.set()
            for connection in waiting.connections:
                yield SendHttp(Room(stream_id), connection)

    def handle_h2_event(self, event: Any) -> Generator[commands.Command, Any, bool]:
        if self._cut_short(event):
            yield from self._refuse(event.stream_id)
            return False
        return (yield from super().handle_h2_event(event))

    def close_connection(self, msg: str) -> Commands:
        for waiting in self._waiting.values():
            waiting.room.set()
        self._waiting.clear()
        yield from super().close_connection(msg)


class BoundedHttp2Client(Bounded, Http2Client):
    """Towards a target."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.h2_conn = BoundedH2Connection(self.h2_conf)
        self._session = session(context.client)
        self._owed: dict[int, int] = {}  # bytes by stream that are not acknowledged yet
        self._unsent: list[int] = []  # streams of the agent's that were never put on this connection

    @property
    def is_busy(self) -> bool:
        return bool(self.stream_queue) or not all(self.is_closed(stream_id) for stream_id in self.streams)

    def _handle_event(self, event: ProxyEvent) -> Commands:
        if isinstance(event, RequestProtocolError) and event.stream_id in self.stream_queue:
            del self.stream_queue[event.stream_id]  # it has not been sent, and will not be
            return
        if isinstance(event, Room):
            yield from self._acknowledge(self.our_stream_id[event.stream_id])
            return
        self._drop_what_may_not_go()
        yield from super()._handle_event(event)
        while self._unsent:
            failed = ResponseProtocolError(self._unsent.pop(), BROKEN, ErrorCode.CONNECT_FAILED)
            yield ReceiveHttp(failed)
        if isinstance(event, (HttpEvent, BytesReceived)):
            yield from self._leave()

    def handle_h2_event(self, event: Any) -> Generator[commands.Command, Any, bool]:
        if isinstance(event, InformationalResponseReceived) and dict(event.headers).get(b":status") == b"101":
            yield from self._refuse(event.stream_id)  # RFC 9113, 8.6
            return False
        if isinstance(event, ConnectionTerminated) and event.error_code == ErrorCodes.NO_ERROR:
            yield from self._go_away(event.last_stream_id or 0)
            return False
        if isinstance(event, ResponseReceived) and dict(event.headers).get(b":status") in BODYLESS:
            self.h2_conn.streams[event.stream_id]._expected_content_length = None  # RFC 9110, 8.6
        if self._cut_short(event):
            yield from self._refuse(event.stream_id)
            return False
        if isinstance(event, DataReceived) and (waiting := self._held_back(event.stream_id)) is not None:
            return (yield from self._receive_slowly(event, waiting))
        return (yield from super().handle_h2_event(event))

    def _drop_what_may_not_go(self) -> None:
        """Requests wait here behind their doors: meanwhile a token ends, an access is revoked, the gateway stops."""
        for stream_id, (head, *_) in list(self.stream_queue.items()):
            try:
                if not isinstance(head, Standing):
                    raise Shut("nobody knows whether it may go")
                head.require()
            except (Shut, LockgateError):
                del self.stream_queue[stream_id]
                self._unsent.append(stream_id)

    def close_connection(self, msg: str) -> Commands:
        self._unsent += self.stream_queue  # mitmproxy would leave those that wait without an end
        self.stream_queue.clear()
        yield from super().close_connection(msg)

    def _go_away(self, last_stream_id: int) -> Commands:
        """The target takes no more requests on this connection; those up to a number it still answers."""
        self._leaving = True
        for known in (self._session.vetted, self._session.dials):
            known.pop(self.conn.id, None)  # so that nothing is put on it any more
        self._unsent += self.stream_queue
        self.stream_queue.clear()
        for stream_id in [one for one in self.streams if one > last_stream_id]:
            yield from self._refuse(stream_id)

    def _held_back(self, stream_id: int) -> Waiting | None:
        return self._session.waiting.get(self.their_stream_id.get(stream_id, 0))

    def _receive_slowly(self, event: DataReceived, waiting: Waiting) -> Generator[commands.Command, Any, bool]:
        """Pass it on, and let the target send more of this answer only once there is room for it."""
        waiting.connections.add(self.conn)
        self._owed[event.stream_id] = self._owed.get(event.stream_id, 0) + event.flow_controlled_length
        if event.data:
            yield ReceiveHttp(self.ReceiveData(event.stream_id, event.data))
        return False

    def _acknowledge(self, stream_id: int) -> Commands:
        length = self._owed.pop(stream_id, 0)
        if length and self.h2_conn.state_machine.state is not ConnectionState.CLOSED:
            self.h2_conn.acknowledge_received_data(length, stream_id)
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())


def _is_last(response: http.Response) -> bool:
    """Whether the connection is to be closed behind an answer, once nothing else is under way."""
    closes = response.headers.get("connection", "").lower() == "close"
    return closes and response.status_code not in OF_THE_STREAM


def to_origin_form(request: http.Request) -> bool:
    """Give an HTTP/2 request the shape that HTTP/1 has inside a tunnel, so that one set of checks reads both: no
    authority of its own, a Host field that says it. Whether it is for https, as HTTP/2 is spoken here.
    """
    authority = request.data.authority
    if authority:
        others = [field for field in request.headers.fields if field != (b"host", authority)]
        request.headers = http.Headers([(b"host", authority), *others])
    request.data.host, request.data.port, request.data.authority = "", 0, b""
    return request.data.scheme == b"https"


def install() -> None:
    """Replace both sides of mitmproxy's HTTP/2, and what its reading waits for."""
    # Of what an agent offers: HTTP/3 is not for TLS over TCP.
    tls_layers.HTTP_ALPNS = (ALPN, b"http/1.1")  # type: ignore[assignment]
    http_layers.Http2Server = BoundedHttp2Server  # type: ignore[misc]
    http_layers.Http2Client = BoundedHttp2Client  # type: ignore[misc]
    drained = server.ConnectionHandler.drain_writers

    async def drain_writers(self: Any) -> None:
        await drained(self)
        await wait_for_room(self.client)

    server.ConnectionHandler.drain_writers = drain_writers  # type: ignore[method-assign]
