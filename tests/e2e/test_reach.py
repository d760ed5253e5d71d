"""What may be reached, and how: anything else ends in a readable refusal, and no byte goes anywhere.

Odd destinations, lines and heads stand in the evasion corpus.
"""

from __future__ import annotations

import contextlib
import ssl

import pytest

from harness.expect import leaks, refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.rules import CRM, PLAIN, rules
from harness.upstream import RecordingUpstream, Watch
from harness.wire import Reply, Wire, start_tls


@pytest.fixture
def untouched(crm: RecordingUpstream, plain: RecordingUpstream):
    """Neither target is as much as connected to."""
    watches: list[Watch] = [crm.watch(), plain.watch()]
    yield
    assert [(seen.connections, seen.raw) for seen in watches] == [(0, b""), (0, b"")]


def answer_or_close(wire: Wire) -> Reply | None:
    """A refusal, or the end of the connection."""
    reply = wire.reply_or_end()
    assert reply is None or reply.status >= 400, reply
    return reply


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("host", "port"),
    [
        pytest.param("unknown.example", 443, id="unknown-host"),
        pytest.param(CRM, 8443, id="another-port"),
        pytest.param(PLAIN, 443, id="https-of-an-http-target"),
        pytest.param(f"www.{CRM}", 443, id="subdomain"),
        pytest.param(f"{CRM}.evil.example", 443, id="suffix"),
        pytest.param("127.0.0.1", 443, id="address"),
        pytest.param("mitm.it", 443, id="onboarding"),
    ],
)
def test_unknown_target_is_refused_readably(gateway: Gateway, token: str, host: str, port: int) -> None:
    wire, reply = gateway.connect(token, host, port)
    assert reply.status == 200  # so that what follows is readable
    with start_tls(wire, host, str(gateway.ca)) as inside:
        name = host if port == 443 else f"{host}:{port}"
        problem = refused(inside.ask(head("GET", "/v1/json", name)), 403)
        assert host in problem["detail"]


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("sni", [pytest.param(PLAIN, id="another-target"), pytest.param("evil.example", id="stranger")])
def test_tls_name_must_be_that_of_the_connect(gateway: Gateway, token: str, sni: str) -> None:
    wire, reply = gateway.connect(token)
    assert reply.status == 200
    with contextlib.suppress(ssl.SSLError), start_tls(wire, sni, str(gateway.ca)) as inside:
        inside.send(head("GET", "/v1/json", CRM))
        answer_or_close(inside)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("offered", "taken"),
    [(("h2", "http/1.1"), "h2"), (("http/1.1", "h2"), "http/1.1"), (("h3", "spdy/3"), None), (("http/1.0",), None)],
)
def test_of_the_protocols_offered_two_are_taken(
    gateway: Gateway, token: str, offered: tuple[str, ...], taken: str | None
) -> None:
    wire, _ = gateway.connect(token)
    with start_tls(wire, CRM, str(gateway.ca), offered) as inside:
        assert isinstance(inside.socket, ssl.SSLSocket)
        assert inside.socket.selected_alpn_protocol() == taken


@pytest.mark.usefixtures("untouched")
def test_connect_alone_opens_nothing(gateway: Gateway, token: str) -> None:
    with gateway.tunnel(token):
        pass
    wire, reply = gateway.connect(token)
    with wire:
        assert reply.status == 200


def test_private_addresses_need_to_be_permitted(
    make_gateway: MakeGateway, crm: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer, token: str
) -> None:
    gateway = make_gateway(rules(crm.port, plain.port, issuer.jwks, private=False)).start()
    seen, seen_plain = crm.watch(), plain.watch()
    refused(gateway.ask("GET", "/v1/json", token), 403, 502)
    with gateway.dial() as wire:
        refused(wire.ask(head("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(token))), 403, 502)
    assert (seen.connections, seen_plain.connections) == (0, 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_own_port_is_never_reached(
    make_gateway: MakeGateway,
    crm: RecordingUpstream,
    plain: RecordingUpstream,
    issuer: Issuer,
    token: str,
    address: str,
) -> None:
    gateway = make_gateway()
    gateway.write_rules(rules(crm.port, gateway.port, issuer.jwks))
    targets = gateway.rules / "targets.yaml"
    targets.write_text(targets.read_text().replace(f"127.0.0.1:{gateway.port}", f"{address}:{gateway.port}"))
    gateway.start()
    with gateway.dial() as wire:
        refused(wire.ask(head("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(token))), 403, 502)


def test_reserved_name_answers_by_itself(gateway: Gateway, token: str) -> None:
    reply = gateway.ask("GET", "/whoami", token, host="lockgate.invalid")
    assert reply.status == 200
    assert b"agent-7" in reply.body
    assert leaks(reply.body) == []


def test_the_gateways_ca_can_be_fetched(gateway: Gateway, token: str) -> None:
    assert gateway.ask("GET", "/ca.pem", token, host="lockgate.invalid").body == gateway.ca.read_bytes()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/whoami", 405), ("GET", "/", 404), ("GET", "/x", 404)]
)
def test_what_the_gateway_does_not_have(gateway: Gateway, token: str, method: str, path: str, status: int) -> None:
    refused(gateway.ask(method, path, token, host="lockgate.invalid"), status)
