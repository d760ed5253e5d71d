"""HTTP/1.1 on a bare socket: for what no well-behaved client would send, and to see each byte that comes back."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from types import TracebackType

TIMEOUT = 10.0  # seconds


@dataclass(frozen=True)
class Reply:
    """One response, its body unframed but not decoded; header names in lower case, values of one name joined."""

    status: int
    headers: dict[str, str]
    body: bytes


class Incomplete(Exception):
    """Raised when the other side closed, or fell silent, before a response was whole. `received` is what came."""

    def __init__(self, received: bytes) -> None:
        super().__init__(f"{len(received)} bytes, no whole response: {received[:200]!r}")
        self.received = received


class Wire:
    """A connection on which requests are sent as bytes and responses read one at a time.

    `received` is every byte that has come so far.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._buffer = b""
        self.received = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send it all. A peer that has closed is seen when reading."""
        try:
            self.socket.sendall(data)
        except OSError:
            return

    def ask(self, data: bytes, *, to: str = "GET") -> Reply:
        """Send, and read the response to a request of method `to`."""
        self.send(data)
        return self.reply(to=to)

    def reply(self, *, to: str = "GET") -> Reply:
        """The next response; interim ones (1xx) count as responses.

        Raises:
            Incomplete: the connection ended or fell silent first.
        """
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        status = int(status_line.split(" ")[1])
        connected = to == "CONNECT" and 200 <= status < 300
        if to == "HEAD" or connected or status < 200 or status in (204, 304):
            body = b""
        elif "chunked" in headers.get("transfer-encoding", ""):
            body = self._chunks()
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            body = self.rest()
        return Reply(status, headers, body)

    def reply_or_end(self, *, to: str = "GET") -> Reply | None:
        """The next response; None when the other side closes, or stays silent, without a byte of one.

        Raises:
            Incomplete: it ended within a response.
        """
        try:
            return self.reply(to=to)
        except Incomplete as incomplete:
            if incomplete.received:
                raise
            return None

    def until(self, data: bytes) -> None:
        """Read on until `data` has come. It stays to be read.

        Raises:
            Incomplete: the connection ended or fell silent first.
        """
        while data not in self._buffer:
            self._more()

    def some(self) -> bytes:
        """What has come and was not read yet; waits while that is nothing.

        Raises:
            Incomplete: the connection ended or fell silent first.
        """
        if not self._buffer:
            self._more()
        data, self._buffer = self._buffer, b""
        return data

    def rest(self, timeout: float = TIMEOUT) -> bytes:
        """What comes until the other side closes, or for `timeout` seconds at a time."""
        self.socket.settimeout(timeout)
        try:
            while self._receive():
                pass
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(TIMEOUT)
        rest, self._buffer = self._buffer, b""
        return rest

    def closed(self, timeout: float = TIMEOUT) -> bool:
        """Whether the other side closes within `timeout`; what it still sends meanwhile stays to be read."""
        self.socket.settimeout(timeout)
        try:
            while self._receive():
                pass
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(TIMEOUT)
        return True

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._line().split(b";")[0], 16):
            body += self._exactly(size)
            self._line()
        while self._line():
            pass
        return body

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _more(self) -> None:
        try:
            data = self._receive()
        except TimeoutError:
            data = b""
        if not data:
            raise Incomplete(self._buffer)

    def _receive(self) -> bytes:
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise
        except OSError:  # a reset or a TLS end without close_notify: closed either way
            return b""
        self._buffer += data
        self.received += data
        return data


def dial(port: int) -> Wire:
    """A bare TCP connection to a port of this machine."""
    return Wire(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT))


def start_tls(wire: Wire, server_name: str, ca: str, alpn: tuple[str, ...] = ("http/1.1",)) -> Wire:
    """TLS inside a tunnel, verified against `ca`."""
    context = ssl.create_default_context(cafile=ca)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return Wire(context.wrap_socket(wire.socket, server_hostname=server_name))
