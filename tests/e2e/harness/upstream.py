"""A target on loopback that records every byte it is sent, on TLS or not, and answers as the path asks."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

RECEIVE = 65536


@dataclass(frozen=True)
class Seen:
    """One request as the target read it; header names in lower case, in order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The only value of a header, None where there is none."""
        values = [value for known, value in self.headers if known == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


@dataclass
class Connection:
    """One TCP connection to the target. `raw` is what came over the wire, `plain` the same without TLS."""

    socket: socket.socket
    raw: bytes = b""
    plain: bytes = b""
    requests: list[Seen] = field(default_factory=list)
    closed: bool = False
    session: ssl.SSLObject | None = None
    incoming: ssl.MemoryBIO | None = None
    outgoing: ssl.MemoryBIO | None = None
    buffer: bytes = b""

    def send(self, data: bytes) -> None:
        """Send response bytes, encrypted where the connection is."""
        if self.session and self.outgoing:
            self.session.write(data)
            data = self.outgoing.read()
        self.socket.sendall(data)

    def reset(self) -> None:
        """End with a TCP RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def finish(self) -> None:
        """End properly: TLS with its close_notify (RFC 8446, 6.1)."""
        if self.session and self.outgoing:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.session.unwrap()
            self.socket.sendall(self.outgoing.read())
        self.close()

    def close(self) -> None:
        """End as it is: TLS is cut."""
        self.closed = True
        with contextlib.suppress(OSError):
            self.socket.close()

    def receive(self) -> bytes:
        """More plain bytes; empty when the other side has closed."""
        while True:
            if self.session and (data := self._decrypted()):
                break
            try:
                data = self.socket.recv(RECEIVE)
            except OSError:
                data = b""
            self.raw += data
            if not data or not self.session:
                break
            assert self.incoming
            self.incoming.write(data)
        self.plain += data
        return data

    def handshake(self, context: ssl.SSLContext) -> bool:
        """The server's side of a TLS handshake; False where the other side does not carry it through."""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        while True:
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                try:
                    data = self.socket.recv(RECEIVE)
                except OSError:
                    data = b""
                self.raw += data
                if not data:
                    return False
                self.incoming.write(data)
            except ssl.SSLError:
                self._flush()
                return False
            else:
                self._flush()
                self.session = session
                return True

    def _flush(self) -> None:
        assert self.outgoing
        with contextlib.suppress(OSError):
            self.socket.sendall(self.outgoing.read())

    def _decrypted(self) -> bytes:
        assert self.session
        try:
            return self.session.read(RECEIVE)
        except ssl.SSLError:  # wants more, or was closed: the socket knows which
            return b""


Answer = Callable[[Connection, Seen], None]


class Watch:
    """What the target has seen since the watch began."""

    def __init__(self, upstream: RecordingUpstream) -> None:
        self._upstream = upstream
        self._before = [(len(one.raw), len(one.plain), len(one.requests)) for one in upstream.connections]

    @property
    def connections(self) -> int:
        """TCP connections opened, whether or not a byte was sent on them."""
        return len(self._upstream.connections) - len(self._before)

    @property
    def raw(self) -> bytes:
        return b"".join(one.raw[raw:] for one, (raw, _, _) in self._since())

    @property
    def plain(self) -> bytes:
        return b"".join(one.plain[plain:] for one, (_, plain, _) in self._since())

    @property
    def requests(self) -> list[Seen]:
        return [seen for one, (_, _, count) in self._since() for seen in one.requests[count:]]

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Seen]:
        """The requests, once there are `count` of them."""
        deadline = time.monotonic() + timeout
        while len(found := self.requests) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(found) >= count, f"the target saw {len(found)} requests, not {count}"
        return found

    def _since(self) -> Iterator[tuple[Connection, tuple[int, int, int]]]:
        connections = list(self._upstream.connections)
        before = self._before + [(0, 0, 0)] * (len(connections) - len(self._before))
        return zip(connections, before, strict=True)


class RecordingUpstream:
    """Listens on a free port of 127.0.0.1. With a TLS context every connection must begin with a handshake."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.connections: list[Connection] = []
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name=f"upstream-{self.port}", daemon=True)
        self._thread.start()

    def watch(self) -> Watch:
        return Watch(self)

    @property
    def requests(self) -> list[Seen]:
        """Every request so far, connection by connection."""
        return [seen for connection in list(self.connections) for seen in connection.requests]

    def close(self) -> None:
        """Stop listening and drop every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self.connections):
            connection.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(accepted)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        try:
            if self._context and not connection.handshake(self._context):
                return
            while not connection.closed and (seen := _read_request(connection)):
                connection.requests.append(seen)
                self.answer(connection, seen)
        except OSError:  # the gateway hung up while it was answered
            pass
        finally:
            connection.close()


def _read_request(connection: Connection) -> Seen | None:
    """The next request, None when the connection ends before one is whole."""
    while b"\r\n\r\n" not in connection.buffer:
        if not (data := connection.receive()):
            return None
        connection.buffer += data
    head, _, connection.buffer = connection.buffer.partition(b"\r\n\r\n")
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = (*request_line.split(" ", 2), "", "")[:3]
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    known = dict(headers)
    if "chunked" in known.get("transfer-encoding", ""):
        body = b""
        while size := int(_line(connection), 16):
            body += _exactly(connection, size)
            _line(connection)
        _line(connection)
    else:
        body = _exactly(connection, int(known.get("content-length", 0)))
    return Seen(method, target, headers, body)


def _line(connection: Connection) -> bytes:
    while b"\r\n" not in connection.buffer:
        _more(connection)
    line, _, connection.buffer = connection.buffer.partition(b"\r\n")
    return line


def _exactly(connection: Connection, size: int) -> bytes:
    while len(connection.buffer) < size:
        _more(connection)
    data, connection.buffer = connection.buffer[:size], connection.buffer[size:]
    return data


def _more(connection: Connection) -> None:
    data = connection.receive()
    if not data:
        raise ConnectionError("ended within a request")
    connection.buffer += data
