"""What may be wrong on the way to the gateway: each is one line, and the token goes nowhere else."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from harness.pki import Authority
from lockgate.cli.approvals import client
from lockgate.cli.approvals.client import Client, Lost, bearer, origin

Run = Callable[..., Any]
TOKEN = "approver.token-1"


def fails(run: Run, *said: str) -> None:
    ended = run("list")
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert TOKEN not in ended.err
    for each in said:
        assert each in ended.err


def test_a_token_that_is_not_taken(run: Run, server: Any) -> None:
    detail = "The token is not taken: expired. Send an approver's token: Authorization: Bearer TOKEN."
    server.answer("GET", "/api/approvals", (401, {"title": "Unauthorized", "detail": detail}))
    fails(run, ": The token is not taken: expired; get a new one", "LOCKGATE_TOKEN")


def test_no_gateway(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LOCKGATE_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        monkeypatch.setenv("LOCKGATE_TOKEN", TOKEN)
        fails(run, "cannot be connected to; is the gateway running?")


def test_no_tls(run: Run, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_URL", server.url.replace("http:", "https:"))
    fails(run, "does not speak TLS")


def test_its_certificate_has_to_verify(run: Run, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    ours, other = Authority(tmp_path), Authority(tmp_path / "other")
    server.socket = ours.server_context("localhost").wrap_socket(server.socket, server_side=True)
    server.answer("GET", "/api/approvals", {"approvals": []})
    monkeypatch.setenv("LOCKGATE_URL", server.url.replace("http://127.0.0.1", "https://localhost"))
    fails(run, "its certificate does not verify; name the CA with --ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(other.pem))
    fails(run, "its certificate does not verify")
    assert run("list", "--ca", ours.pem).code == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.pem))
    assert run("list").code == 0
    monkeypatch.setenv("LOCKGATE_URL", server.url.replace("http:", "https:"))  # another name than the certificate's
    fails(run, "its certificate does not verify")
    assert len(server.asked) == 2


def test_a_redirect_is_not_followed(run: Run, server: Any) -> None:
    server.answer("GET", "/api/approvals", lambda self: self.give(302, b"", Location=f"{server.url}/elsewhere"))
    fails(run, "redirects")
    assert [each.path for each in server.asked] == ["/api/approvals?state=pending"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"<html>hello</html>", "not the gateway's approvals", id="no JSON"),
        pytest.param(b"", "not the gateway's approvals", id="nothing"),
        pytest.param(b"[" * 100_000, "not the gateway's approvals", id="deep"),
        pytest.param(b'{"approvals": [], "approvals": []}', "not the gateway's approvals", id="twice"),
        pytest.param(b"[]", "not as it should be", id="a list"),
        pytest.param(b'{"approvals": {"id": "x"}}', "not as it should be", id="no list"),
        pytest.param(b'{"approvals": ["x"]}', "not as it should be", id="no objects"),
        pytest.param(b'{"approvals": [{"id": "x"}]}', "not as it should be", id="half an approval"),
    ],
)
def test_an_answer_that_is_none(run: Run, server: Any, body: bytes, said: str) -> None:
    server.answer("GET", "/api/approvals", lambda self: self.give(200, body))
    fails(run, said)


def test_something_else_answers(run: Run, server: Any) -> None:
    fails(run, "not the gateway's approvals", "LOCKGATE_URL")


def test_an_answer_that_is_too_large(run: Run, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LARGEST", 1000)
    server.answer("GET", "/api/approvals", {"approvals": [], "more": "x" * 2000})
    fails(run, "larger than 1000 bytes")


def test_what_is_wrong_is_told_in_a_line(run: Run, server: Any) -> None:
    server.answer("GET", "/api/approvals", (500, {"detail": "x\n" * 10_000}))
    fails(run, "x\\x0ax", "…")


def test_an_answer_that_comes_drop_by_drop(run: Run, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WITHIN", 0.2)

    def drip(self: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b" ")
            time.sleep(0.02)

    server.answer("GET", "/api/approvals", drip)
    fails(run, "no whole answer within")


def test_silence(run: Run, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SILENCE", 0.1)
    server.answer("GET", "/api/approvals", lambda self: time.sleep(0.5))
    fails(run, "no answer in time")


def test_the_environment_s_proxy_sees_nothing(run: Run, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer("GET", "/api/approvals", {"approvals": []})
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert run("list").code == 0


def test_a_stream_that_ends_is_lost(server: Any) -> None:
    server.answer("GET", "/e", lambda self: self.give(200, b": hello\n\ndata: 1\n\n", "text/event-stream"))
    found = []
    with (
        Client(server.url, TOKEN, None, else_see="") as asking,
        pytest.raises(Lost, match="ended"),
        asking.events("/e") as events,
    ):
        found.extend(each.data for each in events)
    with Client(server.url, TOKEN, None, else_see="") as asking, asking.events("/e") as events:
        assert [next(events).data, next(events).data] == [None, "1"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("127.0.0.1:8765", id="no scheme"),
        pytest.param("ftp://127.0.0.1", id="another scheme"),
        pytest.param("http://", id="no host"),
        pytest.param("http://127.0.0.1:99999", id="no port"),
        pytest.param("https://ada:secret@gateway.example", id="a password"),
        pytest.param("https://gateway.example/api", id="a path"),
        pytest.param("https://gateway.example?x", id="a query"),
        pytest.param("https://gate way.example", id="a space"),
        pytest.param("https://gateway\u202e.example", id="bidi"),
        pytest.param("http://gateway.example", id="in the clear"),
        pytest.param("http://127.0.0.1.example", id="not this machine"),
    ],
)
def test_no_address_of_a_gateway(url: str) -> None:
    with pytest.raises(click.UsageError) as told:
        origin(url, "LOCKGATE_URL")
    assert "LOCKGATE_URL" in str(told.value)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://Gateway.example/", "https://gateway.example"),
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("http://[::1]:8765/", "http://[::1]:8765"),
        ("http://localhost:1", "http://localhost:1"),
    ],
)
def test_an_address_of_a_gateway(url: str, found: str) -> None:
    assert origin(url, "LOCKGATE_URL") == found


def test_a_token_comes_from_its_file_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_TOKEN", "one")
    (tmp_path / "token").write_text("two\n")
    assert (bearer(None), bearer(tmp_path / "token")) == ("one", "two")


@pytest.mark.parametrize(
    "content",
    [pytest.param("", id="nothing"), pytest.param("sec ret\nmore", id="lines"), pytest.param("sécret", id="no ASCII")],
)
def test_what_is_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setenv("LOCKGATE_TOKEN", content)
    (tmp_path / "token").write_text(content)
    for where in (None, tmp_path / "token", tmp_path / "gone"):
        with pytest.raises(click.UsageError) as told:
            bearer(where)
        assert "ret" not in str(told.value)


def test_documents_are_harmless_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    client.dump({"x": "\x1b\x9b\u202e"})
    out = capsys.readouterr().out
    assert out.isascii() and "\x1b" not in out
    assert json.loads(out) == {"x": "\x1b\x9b\u202e"}
