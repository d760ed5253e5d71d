"""A client connection stays in step: each request gets its own answer, whatever became of the one before it."""

from __future__ import annotations

import contextlib
import json

import pytest

from harness.answers import CUSTOMER, JSON
from harness.expect import leaks, refused
from harness.gateway import Gateway, head, identity
from harness.rules import CRM, PLAIN
from harness.upstream import RecordingUpstream
from harness.wire import Incomplete, Wire


def echoed(wire: Wire, mark: str) -> bool:
    """Whether the next request on the connection gets its own answer."""
    reply = wire.ask(head("GET", f"/open/echo?mark={mark}", CRM))
    return reply.status == 200 and json.loads(reply.body)["target"] == f"/open/echo?mark={mark}"


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        pytest.param("HEAD", "/nowhere", (403,), id="head-refused"),
        pytest.param("HEAD", "/v1/json", (200,), id="head-allowed"),
        pytest.param("HEAD", "/v1/html-500", (500, 502), id="head-target-error"),
        pytest.param("HEAD", "/v1/close-before", (502,), id="head-target-fault"),
        pytest.param("GET", "/nowhere", (403,), id="get-refused"),
        pytest.param("DELETE", "/v1/json", (403,), id="delete-refused"),
        pytest.param("GET", "/v1/204", (204,), id="no-content"),
        pytest.param("GET", "/v1/304", (304,), id="not-modified"),
        pytest.param("GET", "/v1/chunked", (200,), id="chunked"),
        pytest.param("GET", "/v1/until-close", (200,), id="until-close"),
        pytest.param("HEAD", "/v1/chunked", (200,), id="head-chunked"),
        pytest.param("HEAD", "/v1/gzip", (200,), id="head-gzip"),
    ],
)
def test_next_request_gets_its_own_answer(
    gateway: Gateway, token: str, method: str, path: str, statuses: tuple[int, ...]
) -> None:
    with gateway.tunnel(token) as wire:
        reply = wire.ask(head(method, path, CRM), to=method)
        assert reply.status in statuses
        if method == "HEAD":
            assert reply.body == b""
        if reply.headers.get("connection") == "close":
            assert wire.closed()
            return
        assert echoed(wire, "next")


def test_refusal_of_head_says_how_long_it_would_be(gateway: Gateway, token: str) -> None:
    with gateway.tunnel(token) as wire:
        reply = wire.ask(head("HEAD", "/nowhere", CRM), to="HEAD")
    assert reply.status == 403
    assert reply.headers["content-type"] == "application/problem+json"
    assert int(reply.headers["content-length"]) > 0


def test_refused_request_with_a_body_leaves_the_connection_in_step(
    gateway: Gateway, crm: RecordingUpstream, token: str
) -> None:
    """The body of a refused request must not be read as the next request."""
    smuggled = head("GET", "/open/json", CRM)
    with gateway.tunnel(token) as wire:
        seen = crm.watch()
        reply = wire.ask(head("POST", "/nowhere", CRM, "Content-Type: application/json", body=smuggled))
        refused(reply, 403)
        assert seen.raw == b""
        with contextlib.suppress(Incomplete):
            assert echoed(wire, "after-body")
    assert [request.path for request in seen.requests] in ([], ["/open/echo"])


def test_pipelined_requests_are_answered_in_order(gateway: Gateway, token: str) -> None:
    with gateway.tunnel(token) as wire:
        wire.send(
            head("GET", "/open/echo?mark=1", CRM) + head("GET", "/nowhere", CRM) + head("GET", "/open/echo?mark=3", CRM)
        )
        assert json.loads(wire.reply().body)["target"].endswith("mark=1")
        refused(wire.reply(), 403)
        assert json.loads(wire.reply().body)["target"].endswith("mark=3")


def test_plain_requests_on_one_connection(gateway: Gateway, token: str) -> None:
    with gateway.dial() as wire:
        for method in ("GET", "HEAD", "GET"):
            reply = wire.ask(head(method, f"http://{PLAIN}/v1/json", PLAIN, *identity(token)), to=method)
            assert reply.status == 200
            assert leaks(reply.body) == []


def test_many_requests_on_one_tunnel(gateway: Gateway, token: str) -> None:
    with gateway.tunnel(token) as wire:
        assert all(echoed(wire, str(number)) for number in range(20))


def test_ordinary_client_reuses_its_connection(gateway: Gateway, token: str) -> None:
    with gateway.client(token) as client:
        for path in ("/v1/json", "/nowhere", "/v1/gzip", "/v1/chunked"):
            reply = client.get(f"https://{CRM}{path}")
            assert reply.status_code == (403 if path == "/nowhere" else 200)
            assert leaks(reply.content) == []
        assert client.get(f"https://{CRM}/open/json").json() == CUSTOMER
        assert client.get(f"https://{CRM}/open/json").content == JSON


def test_large_upload_and_expect_continue(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    body = json.dumps({"text": "x" * 600_000}).encode()
    seen = crm.watch()
    with gateway.tunnel(token) as wire:
        request = head("POST", "/open/json", CRM, "Content-Type: application/json", "Expect: 100-continue", body=body)
        lines, _, _ = request.partition(b"\r\n\r\n")
        wire.send(lines + b"\r\n\r\n")
        assert wire.reply().status == 100
        assert wire.ask(body).status == 200
    assert seen.requests[0].body == body


def test_body_over_the_limit_is_refused(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    with gateway.tunnel(token) as wire:
        refused(wire.ask(head("POST", "/v1/json", CRM, body=b"x" * 2 * 1024 * 1024)), 413)
    with gateway.tunnel(token) as wire:
        chunks = (b"10000\r\n" + b"x" * 0x10000 + b"\r\n") * 32 + b"0\r\n\r\n"
        refused(wire.ask(head("POST", "/v1/json", CRM, "Transfer-Encoding: chunked") + chunks), 413)
    assert (seen.connections, seen.raw) == (0, b"")
