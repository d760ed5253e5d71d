"""A listener for one target: identity in `Authorization`, which the gateway's own credential then replaces."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from harness.answers import CRM_TOKEN, CUSTOMER
from harness.expect import leaks, refused
from harness.gateway import Gateway, MakeGateway, free_port, head
from harness.h2 import over
from harness.issuer import Issuer
from harness.rules import CRM
from harness.upstream import RecordingUpstream
from harness.wire import Wire, dial


@pytest.fixture(scope="module")
def listener() -> int:
    return free_port()


@pytest.fixture(scope="module")
def reverse(make_module_gateway: MakeGateway, listener: int) -> Gateway:
    """Reverse mode beside the regular one."""
    modes = ["--mode", "regular", "--mode", f"reverse:https://{CRM}@127.0.0.1:{listener}"]
    return make_module_gateway(options=modes).start()


@pytest.fixture
def wire(reverse: Gateway, listener: int) -> Iterator[Wire]:
    with dial(listener) as wire:
        yield wire


def test_it_is_identified_decided_given_credentials_and_masked(
    wire: Wire, reverse: Gateway, crm: RecordingUpstream, token: str
) -> None:
    seen = crm.watch()
    reply = wire.ask(head("GET", "/v1/json", f"127.0.0.1:{1}", f"Authorization: Bearer {token}"))
    assert reply.status == 200
    assert json.loads(reply.body)["name"] == CUSTOMER["name"]
    assert leaks(reply.body) == []
    (request,) = seen.requests
    assert request.header("host") == CRM
    assert request.header("authorization") == f"Bearer {CRM_TOKEN}"
    assert token.encode() not in seen.plain


def test_each_request_shows_its_own_token(wire: Wire, crm: RecordingUpstream, token: str) -> None:
    assert wire.ask(head("GET", "/v1/json", CRM, f"Authorization: Bearer {token}")).status == 200
    seen = crm.watch()
    problem = refused(wire.ask(head("GET", "/v1/json", CRM)), 401)
    assert "no token" in problem["detail"]
    assert seen.plain == b""


def test_identity_in_the_wrong_header_counts_for_nothing(wire: Wire, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    reply = wire.ask(head("GET", "/v1/json", CRM, f"Proxy-Authorization: Bearer {token}"))
    refused(reply, 401)
    assert reply.headers["www-authenticate"].startswith("Bearer ")
    assert (seen.connections, seen.raw) == (0, b"")


def test_a_denial(wire: Wire, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    refused(wire.ask(head("DELETE", "/v1/json", CRM, f"Authorization: Bearer {token}")), 403)
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.parametrize("target", [f"http://{CRM}/v1/json", f"https://{CRM}/v1/json", "http://evil.example/"])
def test_it_is_no_forward_proxy(wire: Wire, crm: RecordingUpstream, token: str, target: str) -> None:
    seen = crm.watch()
    refused(wire.ask(head("GET", target, CRM, f"Authorization: Bearer {token}")), 400)
    assert (seen.connections, seen.raw) == (0, b"")


def test_no_tunnel_is_opened(wire: Wire, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    reply = wire.ask(head("CONNECT", f"{CRM}:443", CRM, f"Authorization: Bearer {token}"), to="CONNECT")
    refused(reply, 400, 401, 403, 405)
    assert (seen.connections, seen.raw) == (0, b"")


def test_another_principal_on_the_same_connection(wire: Wire, issuer: Issuer, token: str) -> None:
    assert wire.ask(head("GET", "/v1/json", CRM, f"Authorization: Bearer {token}")).status == 200
    other = issuer.token("support", sub="another-agent")
    refused(wire.ask(head("GET", "/v1/json", CRM, f"Authorization: Bearer {other}")), 403)
    assert wire.closed()


def test_the_gateways_own_pages(wire: Wire, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    reply = wire.ask(head("GET", "/.well-known/lockgate/whoami", CRM, f"Authorization: Bearer {token}"))
    assert json.loads(reply.body)["roles"] == ["support"]
    refused(wire.ask(head("GET", "/.well-known/lockgate/x", CRM, f"Authorization: Bearer {token}")), 404)
    refused(wire.ask(head("POST", "/.well-known/lockgate/whoami", CRM, f"Authorization: Bearer {token}")), 405)
    assert (seen.connections, seen.raw) == (0, b"")


def test_they_are_for_the_identified_too(wire: Wire) -> None:
    refused(wire.ask(head("GET", "/.well-known/lockgate/whoami", CRM)), 401)


def test_each_stream_shows_its_own_token(
    reverse: Gateway, listener: int, crm: RecordingUpstream, issuer: Issuer, token: str
) -> None:
    """HTTP/2 on a listener: another principal on the same connection is refused, and so is nobody."""
    mine, none = ("authorization", f"Bearer {token}"), ("x-nothing", "-")
    other = ("authorization", f"Bearer {issuer.token('support', sub='somebody-else')}")
    seen = crm.watch()
    with over(dial(listener), reverse) as client:
        streams = [client.request("GET", "/v1/json", fields) for fields in (none, mine, other, mine)]
        answers = [client.whole(stream) for stream in streams]
    assert [answer.status for answer in answers] == [401, 200, 403, 200]
    assert all(leaks(answer.body) == [] for answer in answers)
    assert [request.header("authorization") for request in seen.requests] == [f"Bearer {CRM_TOKEN}"] * 2
    assert token.encode() not in seen.plain


def test_a_listener_takes_no_connect_over_http_2(
    reverse: Gateway, listener: int, crm: RecordingUpstream, token: str
) -> None:
    seen = crm.watch()
    with over(dial(listener), reverse) as client:
        head = [(":method", "CONNECT"), (":scheme", "https"), (":authority", CRM), (":path", "/")]
        stream = client.whole(client.send([*head, ("authorization", f"Bearer {token}")]))
    assert stream.status == 400
    assert seen.raw == b""
