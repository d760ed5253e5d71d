"""Somewhere that notices go to, and notices of requests whose every text an attacker chose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from harness.pki import Authority
from harness.upstream import Answer, RecordingUpstream
from lockgate.approvals.approval import Approval, Requester, Shown, State, Vote
from lockgate.model import Hold
from lockgate.notices import notice_of
from lockgate.notify.notice import Notice

HOSTILE = {
    "header": "x\r\nBcc: evil@evil.example\r\n\r\nhello",
    "line": "x\n.\nMAIL FROM:<evil@evil.example>",
    "bidi": "\u202eevil\u202c\u2066",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "mention": "<!channel> <!here> <@U0123> @here @everyone",
    "link": "<https://evil.example|https://approvals.example>",
    "format": "*bold* _x_ ~y~ `code` ```block``` > quoted :tada:",
    "escaped": "&lt;!channel&gt;",
    "html": "<script>alert(1)</script><img src=https://evil.example/x>",
    "encoded-word": "=?utf-8?b?QmNjOiBldmls?=",
    "separators": "a\u2028b\u2029c\x85d\x0be\x00f",
    "surrogate": "a\ud800b",
    "blank": "\u3164\u200b\ufeff",
    "long": "y" * 100_000,
    "long-escaped": "<" * 100_000,
}


@dataclass
class Hook:
    """`answers` are the statuses to come, 200 after them; `got` is each request's headers and body."""

    port: int = 0
    retry_after: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.got.append((dict(self.headers), body))
            status = found.answers.pop(0) if found.answers else 200
            self.send_response(status)
            if found.retry_after:
                self.send_header("retry-after", found.retry_after)
            if status == 302:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def notice() -> Notice:
    return Notice(
        happening="asked",
        approval_id="a1",
        link="https://approvals.example/approvals/a1",
        requester="agent-7",
        rule="support/big",
        action="POST crm /refunds",
        reason="Refunds above 500 need finance.",
        expires_at="2030-01-01T00:00:00+00:00",
    )


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile(request: pytest.FixtureRequest) -> Notice:
    """As the gateway makes it, of a request and a decision whose every text is hostile."""
    text = request.param
    approval = Approval(
        id="a1",
        revision=1,
        state=State.DENIED,
        asked_at=0.0,
        expires_at=900.0,
        requester=Requester("iss", text),
        fingerprint="f",
        binding="b",
        digest="d",
        generation="g",
        target="crm",
        action=("POST", f"/{text}"),
        holds=(Hold("support/big", "d", "Refunds above 500 need finance."),),
        shown=Shown("POST", f"https://crm.example/?{text}", (("x-key", text),), text, "text"),
        votes=(Vote("deny", "iss", text, (), 1.0, "page", "127.0.0.1", "d", text),),
    )
    return notice_of("denied", approval, "https://approvals.example")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[[Answer], RecordingUpstream]]:
    """Serves on loopback with TLS, under a certificate of `authority` for localhost."""
    servers: list[RecordingUpstream] = []

    def serve(answer: Answer) -> RecordingUpstream:
        servers.append(RecordingUpstream(answer, authority.server_context("localhost")))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()
