"""The server of the page and the API: bounded in connections, sizes and times, so that nobody can hold it up."""

from __future__ import annotations

import os
import socket
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application

from lockgate.errors import SetupError
from lockgate.limits import group
from lockgate.model import Approvals

MOST = 300  # connections
MOST_OF_ONE = 100  # of one address; of IPv6, of one /64
BACKLOG = 128  # connections that wait to be taken
MAX_HEADER = 32 * 1024  # bytes: a token may have 16 KiB
MAX_BODY = 64 * 1024  # bytes
IDLE = 30.0  # seconds until the head of a request is there whole
BODY = 10.0  # seconds for its body
UNREAD = 20_000  # milliseconds that a client may take nothing of what it is sent


class Server(HTTPServer):
    """Tornado's, with a bound on connections."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        super().initialize(*args, **kwargs)
        self._open: Counter[str] = Counter()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        who = group(address[0])
        if self._open.total() >= MOST or self._open[who] >= MOST_OF_ONE:
            stream.close()
            return
        if hasattr(socket, "TCP_USER_TIMEOUT") and stream.socket is not None:
            stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD)
        self._open[who] += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        super().on_close(server_conn)
        who = group(server_conn.context.address[0])
        self._open[who] -= 1
        if not self._open[who]:
            del self._open[who]


def serve(application: Application, config: Approvals) -> Server:
    """Listens where `config` says. Raises SetupError."""
    if config.listen is None:
        raise SetupError("approvals.listen says nothing: nobody can decide anywhere")
    host, port = config.listen
    server = Server(
        application,
        ssl_options=tls(*config.tls) if config.tls else None,
        idle_connection_timeout=IDLE,
        body_timeout=BODY,
        max_header_size=MAX_HEADER,
        max_body_size=MAX_BODY,
        max_buffer_size=2 * MAX_BODY,
    )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SetupError(f"approvals.listen: {host}:{port} cannot be used: {os.strerror(error.errno or 0)}") from None
    listening.setblocking(False)
    server.add_sockets([listening])
    return server


def tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Raises SetupError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except ssl.SSLError:
        why = f"{certificate} and {key} are no certificate with its key (PEM, the key without a password)"
        raise SetupError(f"approvals.tls: {why}") from None
    except OSError as error:
        raise SetupError(f"approvals.tls: {certificate} and {key} cannot be read: {error.strerror}") from None
    return context


def no_password() -> str:
    """Instead of asking for one on the terminal."""
    return ""
