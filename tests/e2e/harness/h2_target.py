"""A target that speaks HTTP/2 and records every byte it is sent; a test's own code answers each stream."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

from harness.h2 import text
from harness.upstream import Connection, RecordingUpstream, Seen

Fields = Sequence[tuple[str, str]]


@dataclass
class Call:
    """One stream that has come whole, and the ways to answer it."""

    connection: Connection
    h2: h2.connection.H2Connection
    stream_id: int
    seen: Seen

    def head(self, *fields: tuple[str, str], status: int = 200, end: bool = False) -> None:
        self.h2.send_headers(self.stream_id, [(":status", str(status)), *fields], end_stream=end)
        self.flush()

    def data(self, data: bytes, *, end: bool = False) -> None:
        """Send a part of a body, no larger than a frame and the window."""
        self.h2.send_data(self.stream_id, data, end_stream=end)
        self.flush()

    def trailers(self, *fields: tuple[str, str]) -> None:
        self.h2.send_headers(self.stream_id, fields, end_stream=True)
        self.flush()

    def reset(self, code: ErrorCodes) -> None:
        self.h2.reset_stream(self.stream_id, code)
        self.flush()

    def flush(self) -> None:
        self.connection.send(self.h2.data_to_send())


@dataclass
class Incoming:
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class H2Upstream(RecordingUpstream):
    """Its connections must choose h2. `resets` are the codes of streams that the gateway reset; `go_on` is called
    whenever something has come: a window may be open again.
    """

    def __init__(self, respond: Callable[[Call], None], context: ssl.SSLContext) -> None:
        self.respond = respond
        self.resets: list[int] = []
        self.go_on: Callable[[], None] = lambda: None
        context.set_alpn_protocols(["h2"])
        super().__init__(lambda connection, seen: None, context)

    def _serve(self, connection: Connection) -> None:
        assert self._context
        try:
            if connection.handshake(self._context):
                self._speak(connection)
        except (OSError, ProtocolError):  # the gateway hung up, or ended the stream, while it was answered
            pass
        finally:
            connection.close()

    def _speak(self, connection: Connection) -> None:
        config = h2.config.H2Configuration(
            client_side=False,
            header_encoding=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        spoken = h2.connection.H2Connection(config)
        spoken.initiate_connection()
        connection.send(spoken.data_to_send())
        streams: dict[int, Incoming] = {}
        while data := connection.receive():
            for event in spoken.receive_data(data):
                match event:
                    case h2.events.RequestReceived(stream_id=stream_id, headers=headers):
                        streams[stream_id or 0] = Incoming(text(headers))
                    case h2.events.DataReceived(stream_id=stream_id, data=body, flow_controlled_length=length):
                        streams[stream_id or 0].body += body or b""
                        spoken.acknowledge_received_data(length or 0, stream_id or 0)
                    case h2.events.StreamReset(error_code=code):
                        self.resets.append(int(code or 0))
                    case h2.events.StreamEnded(stream_id=stream_id):
                        came = streams[stream_id or 0]
                        pseudo = dict(came.headers)
                        seen = Seen(pseudo[":method"], pseudo[":path"], tuple(came.headers), came.body)
                        connection.requests.append(seen)
                        self.respond(Call(connection, spoken, stream_id or 0, seen))
            self.go_on()
            connection.send(spoken.data_to_send())
