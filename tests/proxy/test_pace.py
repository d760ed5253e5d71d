"""What waits while an answer is worked on, and what is known of how a connection ended."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.connection import Server
from mitmproxy.proxy.events import ConnectionClosed, HookCompleted
from OpenSSL import SSL

from lockgate.proxy import pace


class Given:
    """A stream reader with something to read, or something wrong."""

    def __init__(self, what: bytes | Exception) -> None:
        self.what = what
        self.reads = 0

    async def read(self, size: int) -> bytes:
        self.reads += 1
        if isinstance(self.what, Exception):
            raise self.what
        return self.what[:size]


@pytest.fixture
def server() -> Server:
    return Server(address=("crm.example", 443))


async def test_nothing_is_read_while_an_answer_is_worked_on(server: Server) -> None:
    inner = Given(b"data")
    reader = pace.Reader(inner, server)
    with pace.paused(server), pace.paused(server):
        reading = asyncio.create_task(reader.read(3))
        for _ in range(3):
            await asyncio.sleep(0)
        assert inner.reads == 0
    assert await reading == b"dat"
    assert not pace.broke_off(server)


async def test_of_two_that_wait_the_second_is_waited_for_too(server: Server) -> None:
    inner = Given(b"data")
    first, second = pace.paused(server), pace.paused(server)
    first.__enter__()
    second.__enter__()
    reading = asyncio.create_task(pace.Reader(inner, server).read(4))
    await asyncio.sleep(0)
    first.__exit__(None, None, None)
    for _ in range(3):
        await asyncio.sleep(0)
    assert inner.reads == 0
    second.__exit__(None, None, None)
    assert await reading == b"data"


async def test_another_connection_is_read_meanwhile(server: Server) -> None:
    with pace.paused(server):
        assert await pace.Reader(Given(b"data"), Server(address=("crm.example", 443))).read(4) == b"data"


async def test_a_reset_is_remembered(server: Server) -> None:
    with pytest.raises(ConnectionResetError):
        await pace.Reader(Given(ConnectionResetError()), server).read(4)
    assert pace.broke_off(server)


@pytest.mark.parametrize(
    ("fault", "passed_on", "broken"),
    [
        pytest.param(SSL.ZeroReturnError(), 0, False, id="closed-properly"),
        pytest.param(SSL.WantReadError(), 1, True, id="cut"),
        pytest.param(SSL.SysCallError(-1, "EOF"), 1, True, id="behind-an-alert"),
        pytest.param(SSL.Error([]), 1, True, id="broken"),
    ],
)
def test_how_tls_ended(server: Server, fault: Exception, passed_on: int, broken: bool) -> None:
    told: list[Any] = []

    def recv(_: int) -> bytes:
        raise fault

    layer = SimpleNamespace(
        conn=server, tls=SimpleNamespace(recv=recv), event_to_child=lambda event: told.append(event) or ()
    )
    assert list(pace.receive_close(layer)) == []
    assert [type(event) for event in told] == [ConnectionClosed] * passed_on
    assert pace.broke_off(server) is broken


@pytest.mark.parametrize("fault", [None, ValueError("no")])
async def test_a_stream_goes_on_once_its_work_is_done(fault: Exception | None) -> None:
    told: list[Any] = []

    async def work() -> None:
        assert told == []
        if fault:
            raise fault

    async def server_event(event: Any) -> None:
        told.append(event)

    hook = pace.Elsewhere(work)
    await asyncio.gather(pace.hook_task(SimpleNamespace(server_event=server_event), hook), return_exceptions=True)
    assert [(type(event), event.command) for event in told] == [(HookCompleted, hook)]
