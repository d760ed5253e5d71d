"""Connections that do not say who they are, and callers that cannot: they end after a while, and keep nobody out."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from harness.expect import eventually
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.rules import CRM
from harness.upstream import RecordingUpstream
from harness.wire import Wire
from lockgate.proxy.strangers import MAX_OF_ADDRESS

FEW = "import lockgate.stages.identify as i\ni.FAILURES_AT_ONCE, i.FAILURES_A_SECOND = 20, 1\n"
# The product's own patience is half a minute.
IMPATIENT = "import lockgate.proxy.strangers as s\ns.PATIENCE = 1.0\ns.MAX_STRANGERS = s.MAX_OF_ADDRESS = 20\n"
HALF_A_HEAD = f"CONNECT {CRM}:443 HTTP/1.1\r\nHost: {CRM}".encode()


@pytest.fixture(scope="module")
def visited(make_module_gateway: MakeGateway) -> Iterator[Gateway]:
    gateway = make_module_gateway().start()
    yield gateway
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.output


def test_idle_strangers_are_few_and_go(
    make_gateway: MakeGateway, crm: RecordingUpstream, token: str, script_with: Callable[[str], Path]
) -> None:
    gateway = make_gateway(script=script_with(IMPATIENT)).start()
    with gateway.tunnel(token) as wire, contextlib.ExitStack() as stack:
        seen = crm.watch()
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
        # Who is identified is not disturbed.
        assert wire.ask(b"GET /v1/json HTTP/1.1\r\nHost: api.crm.example\r\n\r\n").status == 200
        eventually(lambda: _asks(gateway, token), "places are free again")
        assert wire.ask(b"GET /v1/json HTTP/1.1\r\nHost: api.crm.example\r\n\r\n").status == 200
        assert len(seen.requests) >= 2
        slow = stack.enter_context(gateway.dial())
        slow.send(HALF_A_HEAD)
        assert slow.rest(5) == b""
    assert gateway.stop() == 0


def _asks(gateway: Gateway, token: str) -> bool:
    try:
        with gateway.client(token) as client:
            return client.get(f"https://{CRM}/v1/json").status_code == 200
    except httpx.HTTPError:
        return False


def test_strangers_at_an_agents_address_do_not_keep_it_out(visited: Gateway, token: str) -> None:
    """However many there are, and whether or not it has connections by then."""
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_OF_ADDRESS + 100):
            stranger = stack.enter_context(socket.create_connection(("127.0.0.1", visited.port)))
            with contextlib.suppress(OSError):
                stranger.sendall(HALF_A_HEAD)
        assert visited.ask("GET", "/v1/json", token).status == 200


def test_an_agent_opens_many_connections_at_once(visited: Gateway, token: str) -> None:
    request = head("CONNECT", f"{CRM}:443", f"{CRM}:443", *identity(token))
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(_dial(visited))) for _ in range(200)]
        for wire in wires:
            wire.send(request)
        assert Counter(wire.reply(to="CONNECT").status for wire in wires) == {200: 200}


def _dial(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=10)


def test_neither_other_tokens_nor_claimed_addresses_get_more_attempts(
    make_gateway: MakeGateway,
    crm: RecordingUpstream,
    token: str,
    issuer: Issuer,
    script_with: Callable[[str], Path],
) -> None:
    """And who is known goes on behind the same address, with new connections and under new rules."""
    gateway = make_gateway(script=script_with(FEW)).start()
    assert gateway.ask("GET", "/v1/json", token).status == 200
    seen = crm.watch()
    signed = issuer.strangers_token("support").rpartition(".")[0]
    statuses: Counter[int] = Counter()
    for number in range(200):
        address = f"198.51.100.{number % 250}"
        fields = (f"X-Forwarded-For: {address}", f"Forwarded: for={address}", f"X-Real-IP: {address}")
        wire, reply = gateway.connect(f"{signed}.{number:0>342}", CRM, 443, *fields)
        wire.close()
        statuses[reply.status] += 1
    assert statuses.keys() == {407, 429}
    assert statuses[429] > 100
    assert gateway.ask("GET", "/v1/json", token).status == 200
    gateway.write_rules({"roles/new.yaml": "role: new\nrules: []\n"})
    eventually(lambda: gateway.records(path="/events/reload"), "the rules are others")
    assert gateway.ask("GET", "/v1/json", token).status == 200
    assert len(seen.requests) == 2
