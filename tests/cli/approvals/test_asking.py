"""`lockgate approvals request`, asked of a server that answers what a test says."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lockgate.cli.approvals import asking

Run = Callable[..., Any]
WANTED = ("--rule", "support/big-refund", "--target", "crm", "--for", "1h", "--reason", "the quarter's & more")
PLACE = "/.well-known/lockgate/approvals"
ASKED = {"approval_id": "a1/b", "state": "pending", "status_url": "https://elsewhere.example/approvals/a1"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE", 0.0)


def test_it_asks_and_prints_the_id(run: Run, server: Any) -> None:
    server.answer("POST", PLACE, (202, ASKED))
    assert run("request", *WANTED, "--gateway", server.url) == (0, "a1/b\n", "")
    (asked,) = server.asked
    assert asked.headers["Authorization"] == "Bearer approver.token-1"
    assert parse_qs(urlsplit(asked.path).query) == {
        "rule": ["support/big-refund"],
        "target": ["crm"],
        "for": ["1h"],
        "reason": ["the quarter's & more"],
    }
    assert json.loads(run("request", *WANTED, "--gateway", server.url, "--json").out) == ASKED


@pytest.mark.parametrize(
    ("state", "code"), [("approved", 0), ("used", 0), ("denied", 1), ("expired", 1), ("cancelled", 1)]
)
def test_it_waits_until_somebody_has_decided(run: Run, server: Any, state: str, code: int) -> None:
    server.answer("POST", PLACE, (202, ASKED))
    place = f"{PLACE}/a1%2Fb"  # what the gateway calls the place is not gone to
    server.answer("GET", place, ASKED, lambda self: self.hang_up(), ASKED, ASKED | {"state": state})
    ended = run("request", *WANTED, "--gateway", server.url, "--wait")
    assert (ended.code, ended.out) == (code, f"{'Approved' if code == 0 else state.capitalize()}: a1/b\n")
    assert [each.path for each in server.asked[1:]] == [place] * 4


def test_it_gives_up_on_a_gateway_that_is_gone(run: Run, server: Any) -> None:
    server.answer("POST", PLACE, (202, ASKED))
    server.answer("GET", f"{PLACE}/a1%2Fb", lambda self: self.hang_up())
    ended = run("request", *WANTED, "--gateway", server.url, "--wait")
    assert (ended.code, ended.out) == (2, "")
    assert "broke off" in ended.err


def test_what_the_gateway_says_is_told(run: Run, server: Any) -> None:
    server.answer("POST", PLACE, (404, {"title": "no", "detail": "There is no rule x that holds.\x1b[2J"}))
    ended = run("request", *WANTED, "--gateway", server.url)
    assert ended == (2, "", "lockgate: There is no rule x that holds.\\x1b[2J\n")


def test_through_the_proxy_its_url_has_the_token(run: Run, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "OWN_URL", "http://lockgate.invalid")
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//agent:agents.token@"))
    server.answer("POST", "http://lockgate.invalid/approvals", (202, ASKED))
    assert run("request", *WANTED).out == "a1/b\n"
    (asked,) = server.asked
    assert base64.b64decode(asked.headers["Proxy-Authorization"].removeprefix("Basic ")) == b"agent:agents.token"
    assert "Authorization" not in asked.headers


def test_a_proxy_that_does_not_know_the_agent(run: Run, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//agent:agents.token@"))
    server.answer("CONNECT", "lockgate.invalid:443", (407, {}))
    ended = run("request", *WANTED)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "the proxy does not let it through: 407" in ended.err
    assert "the token in HTTPS_PROXY is not taken" in ended.err
    assert "agents.token" not in ended.err


@pytest.mark.parametrize(
    ("proxy", "arguments", "said"),
    [
        pytest.param("", [], "set HTTPS_PROXY", id="no gateway"),
        pytest.param("http://agent:s3cret@[", [], "is no address of a proxy", id="no address"),
        pytest.param("gopher://agent:s3cret@x", [], "is no address of a proxy", id="no proxy"),
        pytest.param("http://127.0.0.1:1", ["--token-file", "x"], "goes with --gateway", id="a token too many"),
        pytest.param("", ["--gateway", "http://gateway.example"], "in the clear", id="in the clear"),
        pytest.param("", ["--for", "soon"], "is no duration", id="no duration"),
        pytest.param("", ["--gateway", "https://127.0.0.1:1", "--ca", "gone.pem"], "gone.pem", id="no CA"),
    ],
)
def test_wrong_use(
    run: Run, server: Any, monkeypatch: pytest.MonkeyPatch, proxy: str, arguments: list[str], said: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    ended = run("request", *WANTED, *arguments)
    assert (ended.code, ended.out, ended.err.count("\n"), server.asked) == (2, "", 1, [])
    assert said in ended.err
    assert "s3cret" not in ended.err


def test_a_ca_of_the_environment(run: Run, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("no PEM")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    ended = run("request", *WANTED, "--gateway", "https://127.0.0.1:1")
    assert (ended.code, "it is not PEM" in ended.err) == (2, True)
