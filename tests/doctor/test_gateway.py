"""The running gateway, of which a server plays one that is not what it should be. A real one is in tests/e2e."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lockgate.doctor.gateway import examined, stranger


@asynccontextmanager
async def answering(head: str) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()[:2]
    (found,) = await examined(address, "", None, ())
    assert found.level == "wrong"
    assert "nothing listens" in found.detail


@pytest.mark.parametrize(
    ("head", "level"),
    [
        pytest.param("407 Proxy Authentication Required", "ok", id="refused"),
        pytest.param("200 OK", "wrong", id="let through"),
        pytest.param("502 Bad Gateway", "wrong", id="sent on"),
    ],
)
async def test_a_stranger_must_be_refused(head: str, level: str) -> None:
    async with answering(head) as port:
        assert (await stranger(f"http://127.0.0.1:{port}")).level == level


async def test_without_a_token_it_says_what_it_did_not_try() -> None:
    async with answering("407 Proxy Authentication Required") as port:
        found = await examined(("127.0.0.1", port), "", None, ())
    assert [finding.level for finding in found] == ["ok", "note"]
    assert "--role" in found[1].remedy
