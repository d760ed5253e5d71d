from __future__ import annotations

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.commands import OpenConnection

from lockgate.exchange import Vetted, session
from lockgate.model import Target
from lockgate.proxy import reach
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
NEVER = ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "239.1.2.3", "ff02::1", "255.255.255.255", "240.0.0.1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert reach.may_dial(address, 443, target(private=False))
    assert reach.may_dial(address, 443, target(private=True))


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_a_private_target(address: str) -> None:
    assert not reach.may_dial(address, 443, target(private=False))
    assert reach.may_dial(address, 443, target(private=True))


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


@pytest.mark.parametrize("fault", [None, OSError, asyncio.CancelledError])
async def test_a_connection_is_vetted_until_it_is_closed(
    monkeypatch: pytest.MonkeyPatch, fault: type[BaseException] | None
) -> None:
    during: list[set[str]] = []

    async def open_connection(handler: Any, command: OpenConnection) -> None:
        session(client).vetted[server.id] = Vetted(wanted, frozenset())
        during.append(set(session(client).vetted))
        if fault:
            raise fault

    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
    server, wanted = Server(address=("api.example", 443)), target(private=False)
    server.tls = True
    session(client).dials["api.example", 443] = wanted
    session(client).vetted["another"] = Vetted(wanted, frozenset())
    monkeypatch.setattr(proxy_server.ConnectionHandler, "open_connection", None)
    reach.install(open_connection)
    opened: Any = proxy_server.ConnectionHandler.open_connection
    with pytest.raises(fault) if fault else nullcontext():
        await opened(SimpleNamespace(client=client), OpenConnection(server))
    assert during == [{"another", server.id}]
    assert set(session(client).vetted) == {"another"}
