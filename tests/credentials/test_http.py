from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest

from harness.answers import message
from lockgate.credentials import http
from lockgate.credentials.http import ask
from lockgate.errors import SecretUnavailable

JSON = ("content-type", "application/json")


@pytest.fixture
def ca(authority) -> Path:
    return authority.pem


async def test_a_form_and_its_answer(serve, ca):
    server = serve(lambda connection, seen: connection.send(message("200 OK", [JSON], b'{"a": 1}')))
    url = f"https://localhost:{server.port}/token"
    reply = await ask("POST", url, headers={"X-One": "1"}, form={"a b": "c&d", "e": "é"}, ca=ca)
    assert (reply.status, reply.content_type, reply.body) == (200, "application/json", b'{"a": 1}')
    (seen,) = server.requests
    assert (seen.method, seen.target, seen.body) == ("POST", "/token", b"a+b=c%26d&e=%C3%A9")
    assert seen.header("x-one") == "1"
    assert seen.header("content-type") == "application/x-www-form-urlencoded"
    assert seen.header("accept-encoding") == "identity"
    assert seen.header("cookie") is None


async def test_a_reply_prints_nothing(serve, ca):
    server = serve(lambda connection, seen: connection.send(message("200 OK", [JSON], b"hunter2")))
    assert "hunter2" not in repr(await ask("GET", f"https://localhost:{server.port}/", headers={}, ca=ca))


async def test_nothing_is_taken_from_the_environment(serve, ca, monkeypatch, tmp_path):
    elsewhere = serve(lambda connection, seen: connection.send(message("200 OK", [JSON], b"{}")), tls=False)
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{elsewhere.port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine localhost login a password hunter2\n")
    server = serve(lambda connection, seen: connection.send(message("200 OK", [JSON], b"{}")))
    assert (await ask("GET", f"https://localhost:{server.port}/", headers={}, ca=ca)).status == 200
    assert server.requests[0].header("authorization") is None
    with pytest.raises(SecretUnavailable, match="certificate does not verify"):
        await ask("GET", f"https://localhost:{server.port}/", headers={})
    assert elsewhere.connections == []


async def test_no_redirect_is_followed(serve, ca):
    elsewhere = serve(lambda connection, seen: connection.send(message("200 OK", [JSON], b"{}")))
    location = ("location", f"https://localhost:{elsewhere.port}/")
    server = serve(lambda connection, seen: connection.send(message("307 Temporary Redirect", [location])))
    reply = await ask("POST", f"https://localhost:{server.port}/", headers={}, form={"secret": "x"}, ca=ca)
    assert reply.status == 307
    assert elsewhere.connections == []


def reset(connection, seen):
    connection.reset()


def nonsense(connection, seen):
    connection.send(b"SSH-2.0-hunter2\r\n")
    connection.close()


def large(connection, seen):
    connection.send(message("200 OK", [JSON], b"x" * (http.MAX_ANSWER + 1)))


def encoded(connection, seen):
    connection.send(message("200 OK", [JSON, ("content-encoding", "gzip")], gzip.compress(b"hunter2" * 10**6)))


def short(connection, seen):
    connection.send(message("200 OK", [("content-length", "100")], b"hunter2", length=False))
    connection.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(reset, "broke off", id="reset"),
        pytest.param(nonsense, "broke off", id="no-http"),
        pytest.param(short, "broke off", id="cut-short"),
        pytest.param(large, "larger than", id="large"),
        pytest.param(encoded, "encoded", id="encoded"),
    ],
)
async def test_refused_without_what_was_said(serve, ca, answer, message):
    server = serve(answer)
    with pytest.raises(SecretUnavailable, match=message) as caught:
        await ask("GET", f"https://localhost:{server.port}/hunter3", headers={"X-Token": "hunter4"}, ca=ca)
    assert "hunter" not in repr(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def drip(connection, seen):
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(100):
        connection.send(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [pytest.param(drip, id="drip"), pytest.param(lambda *_: time.sleep(2), id="silent")])
async def test_all_of_it_is_bounded(serve, ca, monkeypatch, answer):
    monkeypatch.setattr(http, "TIMEOUT", 0.5)
    server = serve(answer)
    started = time.monotonic()
    with pytest.raises(SecretUnavailable, match="no whole answer in time"):
        await ask("GET", f"https://localhost:{server.port}/", headers={}, ca=ca)
    assert time.monotonic() - started < 1.5


async def test_nobody_there(serve, ca):
    server = serve(reset)
    server.close()
    with pytest.raises(SecretUnavailable, match="cannot be connected to"):
        await ask("GET", f"https://localhost:{server.port}/", headers={}, ca=ca)


async def test_a_certificate_of_another_name(serve, ca):
    server = serve(reset)
    with pytest.raises(SecretUnavailable, match="certificate does not verify"):
        await ask("GET", f"https://127.0.0.1:{server.port}/", headers={}, ca=ca)
    assert server.requests == []


async def test_no_tls_where_it_is_needed(serve, ca, monkeypatch):
    monkeypatch.setattr(http, "TIMEOUT", 0.5)
    server = serve(reset, tls=False)
    with pytest.raises(SecretUnavailable, match="no whole answer"):
        await ask("GET", f"https://localhost:{server.port}/", headers={"X-Token": "hunter4"}, ca=ca)
    assert b"hunter4" not in b"".join(connection.raw for connection in server.connections)


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_ca_that_cannot_be_used(tmp_path, content):
    ca = tmp_path / "ca.pem"
    if content:
        ca.write_text(content)
    with pytest.raises(SecretUnavailable, match=f"its ca {ca} cannot be used"):
        await ask("GET", "https://localhost:1/", headers={}, ca=ca)
