from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.options import Options
from mitmproxy.proxy.commands import OpenConnection
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import TlsData
from OpenSSL import SSL

from lockgate.credentials.client_cert import ClientCertificate
from lockgate.exchange import Dialled, Vetted, session
from lockgate.model import Target, TargetTls
from lockgate.proxy import handshake, reach
from lockgate.proxy.internals import server as proxy_server

OWN = {8080}


@pytest.fixture(autouse=True)
def this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """It listens on 8080, and has 127.0.0.1, ::1 and 203.0.113.9."""
    monkeypatch.setattr(reach, "own_ports", lambda: OWN)
    monkeypatch.setattr(reach, "is_own", lambda address: address in {"127.0.0.1", "::1", "203.0.113.9"})


def target(*, private: bool) -> Target:
    return Target("t", "https", "api.example", 443, private=private)


PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.7",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "::1",
    "fe80::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.7",
    "64:ff9b::a00:7",
    "2002:a00:7::1",
]
RESERVED = ["::127.0.0.1", "::7f00:1", "fec0::1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "5f00::1"]
NEVER = ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "239.1.2.3", "ff02::1", "255.255.255.255", "240.0.0.1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert reach.may_dial(address, 443, target(private=False))
    assert reach.may_dial(address, 443, target(private=True))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_a_private_target(address: str) -> None:
    assert not reach.may_dial(address, 443, target(private=False))
    assert reach.may_dial(address, 443, target(private=True))


@pytest.mark.parametrize("address", RESERVED)
def test_addresses_that_are_not_public_are_not_dialled_as_such(address: str) -> None:
    """Python calls them global: some lead to an IPv4 address that is private."""
    assert not reach.may_dial(address, 443, target(private=False))


@pytest.mark.parametrize("address", NEVER)
def test_what_is_nobodys_address_is_never_dialled(address: str) -> None:
    assert not reach.may_dial(address, 443, target(private=False))
    assert not reach.may_dial(address, 443, target(private=True))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "203.0.113.9", "::ffff:127.0.0.1"])
def test_the_gateways_own_ports_are_never_dialled(address: str) -> None:
    assert not reach.may_dial(address, 8080, target(private=True))


async def test_an_unknown_name_has_no_address() -> None:
    assert await reach.resolve("no-such-host.invalid", 443) == frozenset()


async def test_every_address_of_a_name_counts() -> None:
    assert "127.0.0.1" in await reach.resolve("localhost", 443)


def test_an_address_of_this_machine_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert reach.is_own("127.0.0.1")
    assert not reach.is_own("192.0.2.1")


# TLS with a target


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """With what each context was made."""
    found: list[tuple[Any, ...]] = []

    def make_context(*arguments: Any) -> SSL.Context:
        found.append(arguments)
        if arguments[0].ca == Path("/gone.pem"):
            raise ValueError("/gone.pem has no certificates")
        return SSL.Context(SSL.TLS_CLIENT_METHOD)

    monkeypatch.setattr(handshake, "make_context", make_context)
    options = SimpleNamespace(ssl_verify_upstream_trusted_ca="/trusted.pem")
    monkeypatch.setattr(reach.ctx, "options", options, raising=False)
    return found


CERTIFICATE = ClientCertificate("api-mtls", [], ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize(
    ("scheme", "tls", "certificate", "own"),
    [
        pytest.param("https", TargetTls(), None, False, id="as-any-other"),
        pytest.param("https", TargetTls(server_name="b.internal"), None, False, id="another-name"),
        pytest.param("https", TargetTls(ca=Path("/ca.pem")), None, True, id="its-own-ca"),
        pytest.param("https", TargetTls(min_version="1.3"), None, True, id="newer"),
        pytest.param("https", TargetTls(client_cert="api-mtls"), CERTIFICATE, True, id="mutual"),
        pytest.param("http", TargetTls(), None, False, id="http"),
    ],
)
async def test_what_tls_begins_with(
    made: list[tuple[Any, ...]], scheme: Any, tls: TargetTls, certificate: ClientCertificate | None, own: bool
) -> None:
    wanted = Target("t", scheme, "api.example", 443, tls=tls)
    context = await reach.begin_tls(Dialled(wanted, certificate))
    assert made == ([(tls, certificate, "/trusted.pem")] if own else [])
    assert (context is not None) is own


def connection(wanted: Target) -> tuple[Client, Server]:
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
    server = Server(address=("203.0.113.1", 443))
    server.tls = True
    session(client).dials[server.id] = Dialled(wanted)
    return client, server


async def test_where_tls_cannot_begin_nothing_is_dialled(
    made: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reach, "may_dial", lambda *_: True)
    client, server = connection(replace(target(private=True), tls=TargetTls(ca=Path("/gone.pem"))))
    await reach.Reach().server_connect(ServerConnectionHookData(server=server, client=client))
    assert server.error == reach.REFUSED
    assert session(client).vetted == {}
    assert [record.getMessage() for record in caplog.records] == ["Target t: /gone.pem has no certificates."]


# Which addresses are dialled, and which one answers

HIGH, LOW = "93.184.215.14", "127.0.0.1"  # public, and this machine


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, frozenset[str]]:
    """What each host resolves to."""
    found: dict[str, frozenset[str]] = {}

    async def resolve(host: str, port: int) -> frozenset[str]:
        return found.get(host, frozenset())

    monkeypatch.setattr(reach, "resolve", resolve)
    return found


@pytest.mark.parametrize(
    ("answers", "private", "vetted"),
    [
        pytest.param({HIGH}, False, True, id="public"),
        pytest.param({HIGH, LOW}, False, False, id="public-and-private"),
        pytest.param({LOW}, False, False, id="private"),
        pytest.param({HIGH, "::ffff:127.0.0.1"}, False, False, id="public-and-mapped"),
        pytest.param({HIGH, "0.0.0.0"}, True, False, id="public-and-none"),
        pytest.param({HIGH, LOW}, True, True, id="a-private-target"),
        pytest.param(set(), True, False, id="none"),
    ],
)
async def test_every_answer_of_a_name_is_vetted(
    names: dict[str, frozenset[str]], answers: set[str], private: bool, vetted: bool
) -> None:
    names["203.0.113.1"] = frozenset(answers)
    client, server = connection(target(private=private))
    await reach.Reach().server_connect(ServerConnectionHookData(server=server, client=client))
    assert (server.error is None) is vetted
    assert [each.addresses for each in session(client).vetted.values()] == ([answers] if vetted else [])
    assert server.address == ("203.0.113.1", 443)  # the name stays: the pool goes by it


@pytest.mark.parametrize(
    ("peer", "kept"),
    [
        pytest.param((HIGH, 443), True, id="vetted"),
        pytest.param((LOW, 443), False, id="rebound"),
        pytest.param(("::ffff:93.184.215.14", 443, 0, 0), False, id="another-spelling"),
        pytest.param(None, False, id="unknown"),
    ],
)
async def test_an_address_that_was_not_vetted_gets_no_byte(
    names: dict[str, frozenset[str]], monkeypatch: pytest.MonkeyPatch, peer: Any, kept: bool
) -> None:
    """The name was vetted, and then resolved otherwise when it was dialled."""
    aborted: list[Server] = []
    monkeypatch.setattr(reach, "abort", lambda _, server: aborted.append(server))
    names["203.0.113.1"] = frozenset({HIGH})
    client, server = connection(target(private=False))
    data = ServerConnectionHookData(server=server, client=client)
    await reach.Reach().server_connect(data)
    server.peername = peer
    reach.Reach().server_connected(data)
    assert aborted == ([] if kept else [server])


def started(client: Client, server: Server) -> TlsData:
    return TlsData(server, Context(client, Options()))


@pytest.mark.parametrize("name", [None, "b.internal"])
def test_the_targets_own_name_is_verified(name: str | None) -> None:
    wanted = replace(target(private=False), tls=TargetTls(server_name=name))
    client, server = connection(wanted)
    server.sni, client.sni = "agents.example", "agents.example"
    session(client).vetted[server.id] = Vetted(Dialled(wanted), frozenset())
    start = started(client, server)
    reach.Reach().tls_start_server(start)
    assert server.sni == (name or "api.example")
    assert start.ssl_conn is None  # mitmproxy's own


def test_tls_begins_with_what_was_made_for_the_connection() -> None:
    wanted = target(private=False)
    client, server = connection(wanted)
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    session(client).vetted[server.id] = Vetted(Dialled(wanted), frozenset(), context)
    start = started(client, server)
    reach.Reach().tls_start_server(start)
    assert start.ssl_conn is not None
    assert start.ssl_conn.get_context() is context
    assert start.ssl_conn.get_servername() == b"api.example"


def test_tls_does_not_begin_on_a_connection_that_was_not_vetted() -> None:
    client, server = connection(target(private=False))
    with pytest.raises(KeyError):
        reach.Reach().tls_start_server(started(client, server))


# How long a connection counts


@pytest.mark.parametrize("fault", [None, OSError, asyncio.CancelledError])
async def test_a_connection_is_vetted_until_it_is_closed(
    monkeypatch: pytest.MonkeyPatch, fault: type[BaseException] | None
) -> None:
    during: list[set[str]] = []

    async def open_connection(handler: Any, command: OpenConnection) -> None:
        session(client).vetted[server.id] = Vetted(Dialled(wanted), frozenset())
        during.append(set(session(client).vetted))
        if fault:
            raise fault

    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
    server, wanted = Server(address=("api.example", 443)), target(private=False)
    server.tls = True
    session(client).dials[server.id] = Dialled(wanted)
    session(client).vetted["another"] = Vetted(Dialled(wanted), frozenset())
    monkeypatch.setattr(proxy_server.ConnectionHandler, "open_connection", None)
    reach.install(open_connection)
    opened: Any = proxy_server.ConnectionHandler.open_connection
    with pytest.raises(fault) if fault else nullcontext():
        await opened(SimpleNamespace(client=client, max_conns={}), OpenConnection(server))
    assert during == [{"another", server.id}]
    assert set(session(client).vetted) == {"another"}
