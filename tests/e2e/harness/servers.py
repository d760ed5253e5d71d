"""Real servers that say in headers what they read of a request: `http.server`, uvicorn, Tornado, Node, nginx."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
import tornado.httpserver
import tornado.httputil
import uvicorn
from werkzeug.formparser import parse_form_data

from harness.wire import Reply, dial

PATIENCE = 20.0  # seconds for a server to start
NODE = Path(__file__).with_name("servers.js")
NGINX = Path(__file__).with_name("nginx.conf")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY")


@dataclass(frozen=True)
class Read:
    """A request as a server read it: its path and its query decoded."""

    method: str
    path: str
    host: str
    query: tuple[tuple[str, str], ...]
    body: bytes | int  # of nginx its length only
    form: Any = None  # pairs, where it says what it made of a form


def read_by(port: int, *requests: bytes) -> list[Read]:
    """What the server at `port` reads of requests that are sent one right behind the other on one connection.

    Raises Incomplete where it answers fewer, AssertionError where it refuses one, or does not close behind the last one
    where that says so.
    """
    with dial(port) as wire:
        wire.send(b"".join(requests))
        replies = [wire.reply(to=request.partition(b" ")[0].decode()) for request in requests]
        if is_last(requests[-1]):
            assert wire.rest() == b""
            assert wire.closed(0.1)
    for reply in replies:
        assert reply.status == 200, reply
    return [read_in(reply) for reply in replies]


def read_in(reply: Reply) -> Read:
    """What a server says that it read."""
    if "x-read" not in reply.headers:
        return read_by_nginx(reply)
    one = json.loads(base64.b64decode(reply.headers["x-read"]))
    return Read(
        one["method"],
        one["path"],
        one["host"],
        tuple((name, value) for name, value in one["query"]),
        base64.b64decode(one["body"]),
        one.get("form"),
    )


def read_by_nginx(reply: Reply) -> Read:
    """What nginx says, each of it in a header of its own, in brackets that keep the blanks at its ends."""
    method, path, host, query, length = (
        reply.headers[f"x-{name}"][1:-1].encode("latin-1").decode()
        for name in ("method", "path", "host", "args", "length")
    )
    return Read(method, path, host, tuple(parse_qsl(query, keep_blank_values=True)), int(length or 0))


def is_last(request: bytes) -> bool:
    """Whether a request says that none follows on its connection."""
    return b"\r\nconnection: close" in request.partition(b"\r\n\r\n")[0]


def said(method: str, target: str, host: str, body: bytes) -> str:
    """What goes into `x-read`, for a server that leaves the decoding of path and query to the standard library."""
    path, _, query = target.partition("?")
    found = {
        "method": method,
        "path": unquote(path),
        "host": host,
        "query": parse_qsl(query, keep_blank_values=True),
        "body": base64.b64encode(body).decode(),
    }
    return base64.b64encode(json.dumps(found).encode()).decode()


@contextmanager
def http_server(*, reads_bodies: bool = True) -> Iterator[int]:
    """The standard library's `http.server`, which leaves it to its user to read a body; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))) if reads_bodies else b""
            self.send_response(200)
            self.send_header("x-read", said(self.command, self.path, self.headers["host"], body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name for it
            """Nothing."""

    for method in METHODS:
        setattr(Handler, f"do_{method}", Handler.answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(PATIENCE)


Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


async def application(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    """ASGI: uvicorn itself has decoded the path."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    host = dict(scope["headers"])[b"host"].decode()
    found = {
        "method": scope["method"],
        "path": scope["path"],
        "host": host,
        "query": parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True),
        "body": base64.b64encode(body).decode(),
    }
    fields = [(b"x-read", base64.b64encode(json.dumps(found).encode())), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def uvicorn_server() -> Iterator[int]:
    """uvicorn with h11; its port."""
    config = uvicorn.Config(application, port=0, http="h11", lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline, "uvicorn does not start"
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(PATIENCE)


@contextmanager
def tornado_server() -> Iterator[int]:
    """Tornado's HTTP server, which mitmweb is built on; its port."""

    def answer(request: tornado.httputil.HTTPServerRequest) -> None:
        assert request.method and request.uri and request.connection
        value = said(request.method, request.uri, request.host, request.body)
        line = tornado.httputil.ResponseStartLine("HTTP/1.1", 200, "OK")
        fields = tornado.httputil.HTTPHeaders({"x-read": value, "content-length": "0"})
        request.connection.write_headers(line, fields)
        request.connection.finish()

    loop = asyncio.new_event_loop()
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")

    async def listen() -> tornado.httpserver.HTTPServer:
        listening = tornado.httpserver.HTTPServer(answer)
        listening.add_sockets(sockets)
        return listening

    listening = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(listening.stop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()


@contextmanager
def node_server() -> Iterator[int]:
    """Node's HTTP server (llhttp), with WHATWG URLs; its port."""
    node = shutil.which("node")
    assert node, "node is not installed"
    with subprocess.Popen([node, str(NODE)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.kill()


@contextmanager
def nginx_server() -> Iterator[int]:
    """nginx, its path decoded and normalised as its locations see it; its port. Skips where it is not installed."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place:
        config = Path(place, "nginx.conf")
        config.write_text(NGINX.read_text().replace("PORT", str(port)))
        with subprocess.Popen([nginx, "-p", place, "-c", str(config), "-e", "stderr"]) as process:
            try:
                deadline = time.monotonic() + PATIENCE
                while not is_listening(port):
                    assert process.poll() is None and time.monotonic() < deadline, "nginx does not start"
                    time.sleep(0.01)
                yield port
            finally:
                process.terminate()


def is_listening(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


SERVERS: Mapping[str, Callable[[], Any]] = {
    "http.server": http_server,
    "uvicorn": uvicorn_server,
    "tornado": tornado_server,
    "node": node_server,
    "nginx": nginx_server,
}


def werkzeug_form(kind: str, body: bytes) -> list[tuple[str, Any]]:
    """What Werkzeug, which Flask is built on, reads of a form: text, or of a file its `filename` and `size`."""
    environ = {
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "REQUEST_METHOD": "POST",
        "wsgi.input": BytesIO(body),
    }
    _, form, files = parse_form_data(environ, silent=False)
    found: list[tuple[str, Any]] = list(form.items(multi=True))
    for name, file in files.items(multi=True):
        found.append((name, {"filename": file.filename, "size": len(file.read())}))
        file.close()
    return found


def pairs(query: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """The parameters of a query as the rules see them, in the order of their names."""
    return sorted((name, value) for name, values in query.items() for value in values)
