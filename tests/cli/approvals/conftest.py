"""A gateway's approvals that answer what a test says, and record what they were asked."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from lockgate.cli.main import main

TOKEN = "approver.token-1"
ID, OTHER = "7fQx2kAbCdEf01", "7fQx2kZZZZZZ02"


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


class Approvals(ThreadingHTTPServer):
    """Answers by method and path: what is listed there, in turn, the last one ever after."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Asked] = []
        self.answers: dict[tuple[str, str], list[Any]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, method: str, path: str, *answers: Any) -> None:
        """Each a document, a (status, document), or a function that is given the handler."""
        self.answers[method, path] = list(answers)

    def bodies(self, method: str) -> list[Any]:
        return [json.loads(each.body) for each in self.asked if each.method == method]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is nothing to report."""


class Handler(BaseHTTPRequestHandler):
    server: Approvals
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
        answers = self.server.answers.get((self.command, self.path.partition("?")[0]), [no_page])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer(self)
            return
        status, document = answer if isinstance(answer, tuple) else (200, answer)
        self.give(status, json.dumps(document).encode())

    do_POST = do_DELETE = do_CONNECT = do_GET  # noqa: N815 - http.server's names

    def give(self, status: int, body: bytes, kind: str | None = None, **headers: str) -> None:
        self.send_response(status)
        problem = "application/problem+json" if status >= 400 else "application/json"
        self.send_header("Content-Type", kind or problem)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args: Any) -> None:
        """Nothing of it in the tests' output."""


def no_page(handler: Handler) -> None:
    handler.give(404, b"<html>no such page</html>", "text/html")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Approvals]:
    """It is where LOCKGATE_URL says, and nothing else of the environment counts."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    with Approvals() as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("LOCKGATE_URL", started.url)
        monkeypatch.setenv("LOCKGATE_TOKEN", TOKEN)
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs `lockgate approvals ...`, on a terminal where a test says so."""

    def ran(*arguments: object, tty: bool = False) -> Ended:
        with monkeypatch.context() as patched:
            for stream in (sys.stdin, sys.stdout):
                patched.setattr(stream, "isatty", lambda: tty, raising=False)
            code = main(["approvals", *map(str, arguments)])
        return Ended(code, *capsys.readouterr())

    return ran


def instant(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@pytest.fixture
def brief() -> dict[str, Any]:
    """An approval as it is listed."""
    return {
        "id": ID,
        "state": "pending",
        "asked_at": instant(-130),
        "expires_at": instant(770),
        "requester": {"issuer": "https://login.example", "subject": "support-agent", "roles": ["support"]},
        "target": "crm",
        "verb": "POST",
        "resource": "/v1/refunds",
        "rules": ["support/big-refund"],
        "reason": "",
        "ahead": 0.0,
        "votes": 1,
    }


@pytest.fixture
def whole(brief: dict[str, Any]) -> dict[str, Any]:
    """The same as it is shown."""
    found = deepcopy(brief)
    found["requester"]["behind"] = ["ben"]
    return found | {
        "holds": [
            {
                "rule": "support/big-refund",
                "reason": "Refunds above 500 need finance.",
                "approvers": ["finance"],
                "quorum": 2,
                "approved_by": ["eve"],
                "require_reason": True,
                "max_grant": 3600,
            }
        ],
        "request": {
            "method": "POST",
            "url": "https://api.crm.example/v1/refunds",
            "headers": [["content-type", "application/json"]],
            "body": '{"amount": 900,\n "note": "\u202eevil"}',
            "body_is": "json",
            "body_size": 34,
        },
        "masks": ["$.card: hash"],
        "credential": "crm-token",
        "generation": "3f9c",
        "joined": 1,
        "votes": [
            {
                "decision": "approve",
                "issuer": "https://login.example",
                "subject": "eve",
                "at": instant(-20),
                "via": "api",
                "reason": "fine",
                "grant": 600,
            }
        ],
        "recent": [
            {
                "at": instant(-900),
                "verdict": "deny",
                "verb": "GET",
                "target": "crm",
                "resource": "/v1/export",
                "rule": "support/no-bulk-export",
            }
        ],
        "digest": "ab12",
        "outcome": "",
        "you": {"may_decide": True, "why_not": ""},
        "grants": 3600,
    }


@pytest.fixture
def held(server: Approvals, brief: dict[str, Any], whole: dict[str, Any]) -> Approvals:
    """One is held."""
    server.answer("GET", "/api/approvals", {"approvals": [brief]})
    server.answer("GET", f"/api/approvals/{ID}", whole)
    return server
