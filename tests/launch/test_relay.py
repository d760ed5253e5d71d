"""The relay between an agent's process and the gateway: a gateway of the test's own sees what comes through it."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from lockgate.errors import SecretUnavailable
from lockgate.launch import relay as module
from lockgate.launch.relay import Relay, Token

PASSWORD = "only-this-relay"
SHOWN = b"Proxy-Authorization: Basic " + b64encode(f"agent:{PASSWORD}".encode())
CONNECT = b"CONNECT api.crm.example:443 HTTP/1.1\r\nHost: api.crm.example:443\r\n"
ESTABLISHED = b"HTTP/1.1 200 OK\r\n\r\n"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FakeGateway:
    """Takes heads, answers each CONNECT, and returns what comes in the tunnel in capitals."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ESTABLISHED)
        while data := await reader.read(1024):
            writer.write(data.upper())
        writer.close()


Open = Callable[[Callable[[], Awaitable[Token]]], Awaitable[tuple[Streams, FakeGateway, Relay]]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    closing: list[Callable[[], Awaitable[None]]] = []

    async def make(token: Callable[[], Awaitable[Token]]) -> tuple[Streams, FakeGateway, Relay]:
        gateway = FakeGateway()
        server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
        relay = Relay(server.sockets[0].getsockname()[:2], token, PASSWORD)
        port = await relay.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def close() -> None:
            writer.close()
            await relay.close()
            server.close()

        closing.append(close)
        return (reader, writer), gateway, relay

    yield make
    for close in closing:
        await close()


def lasting(value: str = "TOKEN", seconds: float = 3600.0) -> Callable[[], Awaitable[Token]]:
    async def token() -> Token:
        return Token(value, time.time() + seconds)

    return token


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_a_tunnel_gets_the_token_in_place_of_the_password(opened: Open) -> None:
    (reader, writer), gateway, _ = await opened(lasting())
    writer.write(CONNECT + SHOWN + b"\r\n\r\n")
    assert await head_of(reader) == ESTABLISHED
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"HELLO"
    assert gateway.heads == [CONNECT + b"Proxy-Authorization: Bearer TOKEN\r\n\r\n"]


async def test_the_end_of_one_side_reaches_the_other(opened: Open) -> None:
    (reader, writer), _, _ = await opened(lasting())
    writer.write(CONNECT + SHOWN + b"\r\n\r\nlast words")
    writer.write_eof()
    assert await reader.read() == ESTABLISHED + b"LAST WORDS"


async def test_a_plain_request_is_the_only_one_of_its_connection(opened: Open) -> None:
    (reader, writer), gateway, _ = await opened(lasting())
    writer.write(
        b"GET http://wiki.example/ HTTP/1.1\r\nHost: wiki.example\r\nConnection: keep-alive\r\n" + SHOWN + b"\r\n\r\n"
    )
    await head_of(reader)
    assert gateway.heads == [
        (
            b"GET http://wiki.example/ HTTP/1.1\r\nHost: wiki.example\r\n"
            b"Proxy-Authorization: Bearer TOKEN\r\nConnection: close\r\n\r\n"
        )
    ]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"Proxy-Authorization: Basic " + b64encode(b"agent:guess") + b"\r\n", id="another"),
        pytest.param(SHOWN + b"\r\n" + SHOWN + b"\r\n", id="two"),
        pytest.param(SHOWN[:-1] + b"\r\n", id="a part of it"),
    ],
)
async def test_only_the_agents_process_may_use_it(opened: Open, fields: bytes) -> None:
    (reader, writer), gateway, _ = await opened(lasting())
    writer.write(CONNECT + fields + b"\r\n")
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 407 ")
    assert gateway.heads == []


async def test_strangers_are_few_and_lock_nobody_out(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STRANGERS", 3)
    (reader, writer), gateway, _ = await opened(lasting())
    writer.write(CONNECT + SHOWN + b"\r\n\r\n")
    await head_of(reader)
    address = writer.get_extra_info("peername")
    strangers = []
    for _ in range(6):
        strangers.append(await asyncio.open_connection(*address))
        strangers[-1][1].write(b"CONNECT half")
    async with asyncio.timeout(5):
        for of_stranger, _ in strangers[:3]:
            with suppress(ConnectionResetError):
                assert await of_stranger.read() == b""
    assert not any(of_stranger.at_eof() for of_stranger, _ in strangers[3:])

    agent = await asyncio.open_connection(*address)
    agent[1].write(CONNECT + SHOWN + b"\r\n\r\n")
    assert await head_of(agent[0]) == ESTABLISHED
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"STILL HERE"
    assert len(gateway.heads) == 2
    for _, to_relay in (*strangers, agent):
        to_relay.close()


async def test_a_head_that_does_not_come_ends_its_connection(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAD_TIME", 0.05)
    (reader, writer), gateway, _ = await opened(lasting())
    writer.write(CONNECT + SHOWN + b"\r\n")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    assert gateway.heads == []


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\r\n\r\n", id="TLS"),
        pytest.param(b"GET / HTTP/1.1 x\r\n\r\n", id="four words"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * module.MAX_HEAD + b"\r\n\r\n", id="too long"),
    ],
)
async def test_what_is_no_request_is_refused(opened: Open, sent: bytes) -> None:
    (reader, writer), gateway, _ = await opened(lasting())
    writer.write(sent)
    assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
    assert gateway.heads == []


async def test_without_a_token_nothing_goes_to_the_gateway(opened: Open) -> None:
    async def none() -> Token:
        raise SecretUnavailable("the issuer answers 500")

    (reader, writer), gateway, relay = await opened(none)
    said: list[str] = []
    relay.report = said.append
    writer.write(CONNECT + SHOWN + b"\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert "Tell the operator" in json.loads(body)["detail"]
    assert said == ["No token: the issuer answers 500."]
    assert gateway.heads == []


async def test_an_idle_tunnel_ends_before_its_token(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET", 0.05)
    monkeypatch.setattr(module, "LOOK", 0.01)
    (reader, writer), _, _ = await opened(lasting(seconds=0.2))
    writer.write(CONNECT + SHOWN + b"\r\n\r\n")
    assert await reader.read() == ESTABLISHED


async def test_a_tunnel_that_waits_for_an_answer_outlives_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET", 0.01)
    monkeypatch.setattr(module, "LOOK", 0.01)
    asked = module.Traffic(gateway_last=False, at=time.monotonic())
    watch = asyncio.create_task(module.idle_at_end(asked, time.time() - 1))
    done, _ = await asyncio.wait([watch], timeout=0.1)
    assert not done
    asked.gateway_last = True  # the answer has come
    await asyncio.wait_for(watch, 5)


async def test_what_is_open_is_cut_when_it_closes(opened: Open) -> None:
    (reader, writer), _, relay = await opened(lasting())
    writer.write(CONNECT + SHOWN + b"\r\n\r\n")
    await head_of(reader)
    await relay.close()
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        assert reader.at_eof() or reader.exception()


def test_a_token_is_not_printed() -> None:
    assert "TOKEN" not in repr(Token("TOKEN", 0.0))
