"""The harness itself, against mitmproxy with nothing of ours: what it claims to see, it sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.answers import CUSTOMER, JSON
from harness.gateway import Gateway, MakeGateway, head
from harness.pki import Authority
from harness.rules import CRM, PLAIN
from harness.upstream import RecordingUpstream
from harness.wire import Incomplete, dial, start_tls


@pytest.fixture(scope="module")
def stock(make_module_gateway: MakeGateway) -> Iterator[Gateway]:
    """mitmdump without a script: lets everything through."""
    options = ["--set", "ssl_insecure=true", "--set", "onboarding=false"]
    gateway = make_module_gateway(script=None, options=options, ready="proxy listening at")
    yield gateway.start()
    assert gateway.stop() == 0


def test_upstream_records_tls_connections(crm: RecordingUpstream, authority: Authority) -> None:
    seen = crm.watch()
    with start_tls(dial(crm.port), CRM, str(authority.pem)) as wire:
        reply = wire.ask(head("POST", "/v1/json?a=1", CRM, body=b"hello"))
    assert (reply.status, reply.body) == (200, JSON)
    (request,) = seen.wait_for(1)
    assert (request.method, request.path, request.query, request.body) == ("POST", "/v1/json", "a=1", b"hello")
    assert request.header("host") == CRM
    assert seen.connections == 1
    assert seen.plain.startswith(b"POST /v1/json?a=1 HTTP/1.1\r\n")
    assert seen.raw.startswith(b"\x16")
    assert b"hello" not in seen.raw


def test_upstream_records_bare_connections(plain: RecordingUpstream) -> None:
    seen = plain.watch()
    with dial(plain.port) as wire:
        wire.ask(head("GET", "/", PLAIN))
        assert seen.connections == 1
        assert seen.raw == seen.plain == head("GET", "/", PLAIN)
    with dial(plain.port):
        pass
    with dial(plain.port) as wire:
        wire.ask(head("GET", "/", PLAIN))
    assert seen.connections == 3


def test_clients_go_through_the_gateway(stock: Gateway, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    with stock.client(token) as client:
        reply = client.get(f"https://127.0.0.1:{crm.port}/v1/gzip")
    assert reply.json() == CUSTOMER
    assert [request.path for request in seen.requests] == ["/v1/gzip"]


def test_raw_bytes_go_through_the_gateway(stock: Gateway, plain: RecordingUpstream) -> None:
    seen = plain.watch()
    url = f"http://127.0.0.1:{plain.port}/v1/json"
    answer = stock.raw(head("GET", url, PLAIN, "Connection: close"), timeout=0.5)
    assert answer.endswith(JSON)
    assert seen.requests[0].header("host") == PLAIN


def test_tunnels_carry_one_request_after_another(stock: Gateway, crm: RecordingUpstream, token: str) -> None:
    with stock.tunnel(token, "127.0.0.1", crm.port) as wire:
        for method in ("GET", "HEAD", "GET"):
            reply = wire.ask(head(method, "/v1/chunked", CRM), to=method)
            assert reply.body == (b"" if method == "HEAD" else JSON)


def test_a_reply_that_ends_early_is_incomplete(plain: RecordingUpstream) -> None:
    with dial(plain.port) as wire, pytest.raises(Incomplete) as raised:
        wire.ask(head("GET", "/v1/short-body", PLAIN))
    assert 0 < len(raised.value.received) < len(JSON)


def test_flows_are_read_by_stock_mitmproxy(make_gateway: MakeGateway, plain: RecordingUpstream) -> None:
    gateway = make_gateway(script=None, ready="proxy listening at", options=["-w", "recordings/x.mitm"])
    gateway.recordings.mkdir()
    gateway.start()
    gateway.raw(head("GET", f"http://127.0.0.1:{plain.port}/v1/json", PLAIN, "Connection: close"), timeout=0.5)
    gateway.stop()
    assert [flow.request.path for flow in gateway.flows()] == ["/v1/json"]


def test_a_gateway_that_cannot_start_is_reported(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(script=None, options=["--set", "no_such_option=1", "--mode", "nonsense"])
    with pytest.raises(AssertionError, match="nonsense"):
        gateway.start()
    assert gateway.exit_code == 1


def test_kill9_ends_it_at_once(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(script=None, ready="proxy listening at").start()
    gateway.kill9()
    assert gateway.exit_code == -9
    assert not gateway.listens()
