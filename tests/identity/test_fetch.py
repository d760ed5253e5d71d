from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.answers import message
from harness.pki import Authority
from harness.upstream import Answer, Connection, RecordingUpstream, Seen
from lockgate.errors import KeysUnavailable
from lockgate.identity import fetch

JSON = ("content-type", "application/json")
Serve = Callable[..., RecordingUpstream]
Get = Callable[..., bytes]


@pytest.fixture
def ca(authority: Authority) -> Path:
    return authority.pem


async def get(server: RecordingUpstream, ca: Path | None, *, within: float = 5.0, host: str = "localhost") -> bytes:
    return await fetch.get(f"https://{host}:{server.port}/keys", ca, asyncio.get_running_loop().time() + within)


def says(body: bytes, status: str = "200 OK", *fields: tuple[str, str]) -> Answer:
    return lambda connection, seen: connection.send(message(status, [JSON, *fields], body))


async def test_a_document(serve: Serve, ca: Path) -> None:
    server = serve(says(b'{"a": 1}'))
    assert await get(server, ca) == b'{"a": 1}'
    (seen,) = server.requests
    assert (seen.method, seen.target, seen.body) == ("GET", "/keys", b"")
    assert seen.header("accept-encoding") == "identity"
    assert seen.header("authorization") is None
    assert seen.header("cookie") is None


async def test_as_large_as_it_may_be(serve: Serve, ca: Path) -> None:
    assert len(await get(serve(says(b"x" * fetch.MAX_DOCUMENT)), ca)) == fetch.MAX_DOCUMENT


async def test_nothing_is_taken_from_the_environment(
    serve: Serve, ca: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = serve(says(b"{}"), tls=False)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{elsewhere.port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine localhost login a password hunter2\n")
    server = serve(says(b"{}"))
    assert await get(server, ca) == b"{}"
    assert server.requests[0].header("authorization") is None
    with pytest.raises(KeysUnavailable, match="certificate does not verify"):
        await get(server, None)
    assert elsewhere.connections == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Moved", "308 Moved"])
async def test_no_redirect_is_followed(serve: Serve, ca: Path, status: str) -> None:
    elsewhere = serve(says(b"{}"))
    server = serve(says(b"{}", status, ("location", f"https://localhost:{elsewhere.port}/")))
    with pytest.raises(KeysUnavailable, match=f"answers {status[:3]}$"):
        await get(server, ca)
    assert elsewhere.connections == []


def reset(connection: Connection, seen: Seen) -> None:
    connection.reset()


def nonsense(connection: Connection, seen: Seen) -> None:
    connection.send(b"SSH-2.0-hunter2\r\n")
    connection.close()


def short(connection: Connection, seen: Seen) -> None:
    connection.send(message("200 OK", [("content-length", "100")], b"hunter2", length=False))
    connection.close()


def endless(connection: Connection, seen: Seen) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.send(b"hunter2 " * 8192)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param(reset, "broke off", id="reset"),
        pytest.param(nonsense, "broke off", id="no-http"),
        pytest.param(short, "broke off", id="cut-short"),
        pytest.param(says(b"x" * (fetch.MAX_DOCUMENT + 1)), "larger than 1048576 bytes", id="large"),
        pytest.param(endless, "larger than 1048576 bytes", id="endless"),
        pytest.param(
            says(gzip.compress(b"hunter2" * 10**6), "200 OK", ("content-encoding", "gzip")), "encoded", id="encoded"
        ),
        pytest.param(says(b"hunter2", "404 hunter2"), "answers 404", id="not-found"),
        pytest.param(says(b"hunter2", "500 hunter2"), "answers 500", id="error"),
        pytest.param(says(b"", "204 No Content"), "answers 204", id="nothing"),
    ],
)
async def test_refused_without_what_was_said(serve: Serve, ca: Path, answer: Answer, problem: str) -> None:
    server = serve(answer)
    with pytest.raises(KeysUnavailable, match=problem) as caught:
        await get(server, ca)
    assert str(caught.value).startswith(f"https://localhost:{server.port}/keys: ")
    assert "hunter" not in repr(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def drip(connection: Connection, seen: Seen) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.send(b"x")
        time.sleep(0.02)


def drip_head(connection: Connection, seen: Seen) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.send(b"x: y\r\n")
        time.sleep(0.02)


@pytest.mark.parametrize(
    "answer", [pytest.param(drip, id="drip"), pytest.param(drip_head, id="head"), pytest.param(None, id="silent")]
)
async def test_all_of_it_is_bounded(serve: Serve, ca: Path, answer: Answer | None) -> None:
    server = serve(answer or (lambda connection, seen: time.sleep(1)))
    started = time.monotonic()
    with pytest.raises(KeysUnavailable, match="no whole answer in time"):
        await get(server, ca, within=0.3)
    assert time.monotonic() - started < 0.8


async def test_no_time_left(serve: Serve, ca: Path) -> None:
    server = serve(says(b"{}"))
    with pytest.raises(KeysUnavailable, match="in time"):
        await get(server, ca, within=-1.0)
    assert server.requests == []


async def test_nobody_there(serve: Serve, ca: Path) -> None:
    server = serve(reset)
    server.close()
    with pytest.raises(KeysUnavailable, match="cannot be connected to"):
        await get(server, ca)


async def test_no_tls_where_it_is_needed(ca: Path) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(KeysUnavailable, match="does not speak TLS"):
            await fetch.get(f"https://localhost:{port}/keys", ca, asyncio.get_running_loop().time() + 5)


async def test_a_certificate_of_another_name(serve: Serve, ca: Path) -> None:
    server = serve(reset)
    with pytest.raises(KeysUnavailable, match="certificate does not verify"):
        await get(server, ca, host="127.0.0.1")
    assert server.requests == []


@pytest.mark.parametrize(
    ("content", "why"), [pytest.param(None, "No such file", id="none"), pytest.param("junk", "not PEM", id="junk")]
)
async def test_a_ca_that_cannot_be_used(tmp_path: Path, content: str | None, why: str) -> None:
    ca = tmp_path / "ca.pem"
    if content:
        ca.write_text(content)
    with pytest.raises(KeysUnavailable, match=f"its ca {ca} cannot be used: .*{why}"):
        await fetch.get("https://localhost:1/", ca, asyncio.get_running_loop().time() + 5)
