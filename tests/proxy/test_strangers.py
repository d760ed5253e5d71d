from __future__ import annotations

import pytest
from mitmproxy.connection import Client, ConnectionState

from lockgate.exchange import session
from lockgate.model import Principal
from lockgate.proxy import strangers
from lockgate.proxy.strangers import Strangers


def client() -> Client:
    return Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 2)


async def test_only_so_many_at_a_time() -> None:
    known, waiting = Strangers(), [client() for _ in range(3)]
    assert [known.admit(one) for one in waiting] == [True, True, False]


async def test_who_is_identified_makes_room() -> None:
    known, waiting = Strangers(), [client() for _ in range(3)]
    assert known.admit(waiting[0])
    assert known.admit(waiting[1])
    session(waiting[0]).principal = Principal("issuer", "agent", (), 1.0)
    assert known.admit(waiting[2])


async def test_who_has_left_makes_room() -> None:
    known, waiting = Strangers(), [client() for _ in range(3)]
    assert known.admit(waiting[0])
    assert known.admit(waiting[1])
    waiting[1].state = ConnectionState.CLOSED
    assert known.admit(waiting[2])
