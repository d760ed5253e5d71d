"""HTTP/2 on a bare TLS connection: requests as a well-behaved client sends them, and frames as none would."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import h2.config
import h2.connection
import h2.events
from hyperframe.frame import Frame

from harness.gateway import Gateway
from harness.rules import CRM
from harness.wire import TIMEOUT, Incomplete, Wire, start_tls

Head = Sequence[tuple[str, str]]


@dataclass
class Stream:
    """What has come of one stream; `reset` is the code of its RST_STREAM."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None


class H2:
    """One connection; `goaway` is the code of its GOAWAY, `closed` whether the other side has closed."""

    def __init__(self, wire: Wire, *, greet: bool = True) -> None:
        assert isinstance(wire.socket, ssl.SSLSocket)
        assert wire.socket.selected_alpn_protocol() == "h2"
        self.wire = wire
        # What it sends is not checked: tests send what may not be sent.
        config = h2.config.H2Configuration(
            header_encoding=False, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.connection = h2.connection.H2Connection(config)
        self.streams: dict[int, Stream] = {}
        self.takes = True  # whether windows are opened again for what came
        self.goaway: int | None = None
        self.closed = False
        if greet:
            self.connection.initiate_connection()
            self.flush()

    def __enter__(self) -> H2:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wire.close()

    def flush(self) -> None:
        self.wire.send(self.connection.data_to_send())

    def frame(self, *frames: Frame) -> None:
        """Send frames as they are."""
        self.flush()
        self.wire.send(b"".join(frame.serialize() for frame in frames))

    def request(self, method: str, path: str, *fields: tuple[str, str], body: bytes = b"", host: str = CRM) -> int:
        """Send a whole request; its stream."""
        head = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path), *fields]
        return self.send(head, body)

    def send(self, head: Head, body: bytes = b"", *, end: bool = True) -> int:
        """Send a head as it is, and a body; its stream."""
        stream_id = self.connection.get_next_available_stream_id()
        self.streams[stream_id] = Stream()
        self.connection.send_headers(stream_id, head, end_stream=end and not body)
        if body:
            self.data(stream_id, body, end=end)
        self.flush()
        return stream_id

    def data(self, stream_id: int, body: bytes, *, end: bool = False) -> None:
        """Send a part of a body, as far as the other side takes it."""
        size = self.connection.max_outbound_frame_size
        parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        for index, part in enumerate(parts):
            while self.connection.local_flow_control_window(stream_id) < len(part):
                self.flush()
                self.more()
                if self.streams[stream_id].reset is not None:
                    return
            self.connection.send_data(stream_id, part, end_stream=end and index == len(parts) - 1)
        self.flush()

    def ask(self, method: str, path: str, *fields: tuple[str, str], body: bytes = b"", host: str = CRM) -> Stream:
        return self.whole(self.request(method, path, *fields, body=body, host=host))

    def whole(self, stream_id: int) -> Stream:
        """The answer on a stream, once it has ended or was reset.

        Raises:
            Incomplete: the connection ended or fell silent first.
        """
        stream = self.streams[stream_id]
        self.until(lambda: stream.ended or stream.reset is not None)
        return stream

    def until(self, condition: Callable[[], object], timeout: float = TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if self.closed or time.monotonic() > deadline:
                raise Incomplete(self.wire.received[-200:])
            self.more()

    def more(self) -> None:
        """Take what comes next.

        Raises:
            TimeoutError: nothing does.
        """
        try:
            data = self.wire.socket.recv(65536)
        except TimeoutError:
            raise
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.connection.receive_data(data):
            self._note(event)
        self.flush()

    def _note(self, event: h2.events.Event) -> None:
        stream = self.streams.get(getattr(event, "stream_id", None) or 0, Stream())
        match event:
            case h2.events.ResponseReceived(headers=headers):
                stream.headers = dict(text(headers))
                stream.status = int(stream.headers[":status"])
            case h2.events.DataReceived(data=data, flow_controlled_length=length):
                stream.body += data or b""
                if self.takes and length:
                    self.connection.acknowledge_received_data(length, event.stream_id or 0)
            case h2.events.TrailersReceived(headers=headers):
                stream.trailers = dict(text(headers))
            case h2.events.StreamEnded():
                stream.ended = True
            case h2.events.StreamReset(error_code=code):
                stream.reset = int(code or 0)
            case h2.events.ConnectionTerminated(error_code=code):
                self.goaway = int(code or 0)


def text(headers: Iterable[Any] | None) -> list[tuple[str, str]]:
    """Header fields as they came, in letters."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers or ()]


def tunnel(gateway: Gateway, token: str, host: str = CRM, *, greet: bool = True) -> H2:
    """HTTP/2 inside a tunnel of its own, verified against the gateway's CA."""
    wire, reply = gateway.connect(token, host)
    assert reply.status == 200, reply
    return over(wire, gateway, host, greet=greet)


def over(wire: Wire, gateway: Gateway, host: str = CRM, *, greet: bool = True) -> H2:
    """HTTP/2 over TLS on a connection."""
    return H2(start_tls(wire, host, str(gateway.ca), ("h2",)), greet=greet)
