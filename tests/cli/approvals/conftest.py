"""A gateway's approvals that answer what a test says, and record what they were asked."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from harness.office import BIG, ISSUER, Clock, MemoryStore, desk_of, person
from lockgate.approvals.approval import Approval, Requester, Shown, State
from lockgate.approvals.recent import Recent
from lockgate.approvals.shown import shown_digest
from lockgate.cli.main import main
from lockgate.errors import TokenRejected
from lockgate.model import Approvals as Config
from lockgate.model import Hold, Principal
from lockgate.web.site import Site

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


class Gateway:
    """The gateway's own API with a desk behind it, on an event loop of its own. Tokens are names of persons."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            where = free.getsockname()
        self.url = f"http://127.0.0.1:{where[1]}"
        self.office = desk_of(MemoryStore(), Clock(time.time()))
        config = Config(listen=where, url=self.url)
        self._site = Site(self.office.desk, lambda: config, self.verify, self.recent, self.secret)
        self.do(self._site.start())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def verify(self, token: str, is_loopback: bool) -> Principal:
        if token not in ("fiona", "frida", "mallory"):
            raise TokenRejected("expired")
        return person(token, "support" if token == "mallory" else "finance")

    def recent(self, issuer: str, subject: str) -> list[Recent]:
        return [Recent(time.time(), "deny", "GET", "crm", "/v1/export", None)]

    async def secret(self, source: Any) -> str:
        raise AssertionError("there is none")

    def hold(self, approval_id: str, quorum: int = 1, **different: Any) -> Approval:
        """A request that waits for persons."""
        now, hold = self.office.clock.now, replace(BIG, quorum=quorum)
        shown = Shown("POST", "https://api.crm.example/refunds", (), '{"amount":900}', "json", 14, ("$.card: hash",))
        draft = replace(self.draft(approval_id, now, hold, shown), **different)
        asked: Approval = self.do(
            self.office.desk.ask(replace(draft, digest=shown_digest(draft)), most=9, most_of_one=9)
        )
        return asked

    def draft(self, approval_id: str, now: float, hold: Hold, shown: Shown) -> Approval:
        return Approval(
            id=approval_id,
            revision=1,
            state=State.PENDING,
            asked_at=now,
            expires_at=now + 900,
            requester=Requester(ISSUER, "agent-7", ("support",)),
            fingerprint=f"print-{approval_id}",
            binding="b1",
            digest="",
            generation="g1",
            target="crm",
            action=("POST", "/refunds"),
            holds=(hold,),
            shown=shown,
            grantable=((hold.rule, "gb1"),),
        )

    def close(self) -> None:
        self.do(self._site.close())
        self.do(self.office.desk.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    started = Gateway()
    monkeypatch.setenv("LOCKGATE_URL", started.url)
    monkeypatch.setenv("LOCKGATE_TOKEN", "fiona")
    yield started
    started.close()
