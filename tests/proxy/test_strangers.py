from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from mitmproxy.connection import Client, ConnectionState

from lockgate.exchange import session
from lockgate.model import Principal
from lockgate.proxy import strangers
from lockgate.proxy.strangers import Strangers


@dataclass
class Handler:
    """As mitmproxy's, of one connection."""

    client: Client
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def close_connection(self, client: Client) -> None:
        assert client is self.client
        client.state = ConnectionState.CLOSED
        self.closed.set()


@pytest.fixture(autouse=True)
def handlers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Handler]:
    """Small numbers, and the connections that mitmproxy has open."""
    found: dict[str, Handler] = {}
    monkeypatch.setattr(strangers, "_handlers", lambda: found)
    monkeypatch.setattr(strangers, "MAX_CONNECTIONS", 8)
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 4)
    monkeypatch.setattr(strangers, "MAX_OF_ADDRESS", 3)
    return found


class Arrivals:
    """Connections one after the other, and what becomes of them."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self.known = Strangers()
        self._handlers = handlers

    def arrive(self, address: str = "203.0.113.7", *, admitted: bool = True) -> Client:
        client = Client(peername=(address, 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
        self._handlers[client.id] = Handler(client)
        assert self.known.admit(client) is admitted
        return client


@pytest.fixture
def arrivals(handlers: dict[str, Handler]) -> Arrivals:
    return Arrivals(handlers)


def identify(client: Client) -> Client:
    session(client).principal = Principal("issuer", "agent", (), 1.0)
    return client


def open_ones(clients: list[Client]) -> list[bool]:
    return [client.connected for client in clients]


async def test_of_one_address_the_oldest_makes_room(arrivals: Arrivals) -> None:
    clients = [arrivals.arrive() for _ in range(5)]
    assert open_ones(clients) == [False, False, True, True, True]


async def test_an_ipv6_network_is_one_address(arrivals: Arrivals) -> None:
    clients = [arrivals.arrive(f"2001:db8::{number}") for number in range(1, 5)]
    assert open_ones(clients) == [False, True, True, True]


async def test_in_all_the_oldest_of_the_busiest_address_makes_room(arrivals: Arrivals) -> None:
    other = arrivals.arrive("198.51.100.1")
    clients = [arrivals.arrive() for _ in range(3)]
    last = arrivals.arrive("192.0.2.1")
    assert open_ones([other, *clients, last]) == [True, False, True, True, True]


async def test_who_is_identified_is_never_ended(arrivals: Arrivals) -> None:
    clients = [identify(arrivals.arrive()) for _ in range(3)]
    strangers_ = [arrivals.arrive() for _ in range(4)]
    assert open_ones(clients) == [True] * 3
    assert open_ones(strangers_) == [False, True, True, True]


async def test_a_full_gateway_ends_strangers_only(arrivals: Arrivals, handlers: dict[str, Handler]) -> None:
    clients = [identify(arrivals.arrive()) for _ in range(7)]
    stranger = arrivals.arrive()
    identify(arrivals.arrive())
    assert not stranger.connected
    del handlers[stranger.id]
    arrivals.arrive(admitted=False)
    assert open_ones(clients) == [True] * 7


async def test_who_says_nothing_is_ended_in_time(
    arrivals: Arrivals, handlers: dict[str, Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "PATIENCE", 0.01)
    known, stranger = identify(arrivals.arrive()), arrivals.arrive()
    async with asyncio.timeout(5):
        await handlers[stranger.id].closed.wait()
    assert known.connected
