"""Whoever opens connections to hold the server up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.gateway import free_port
from harness.scene import Scene
from lockgate.errors import SetupError
from lockgate.model import Approvals
from lockgate.web import server
from lockgate.web.server import serve

MakeScene = Callable[..., Awaitable[Scene]]


async def dial(scene: Scene) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", scene.port)


async def answer(scene: Scene, sent: bytes) -> bytes:
    """All that comes for it, until the end."""
    reader, writer = await dial(scene)
    try:
        writer.write(sent)
        async with asyncio.timeout(5.0):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_connections_of_one_address(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_OF_ONE", 3)
    opened = [await dial(scene) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert await answer(scene, b"GET /sign-in HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    for _, writer in opened:
        writer.close()
    await asyncio.sleep(0.05)
    async with scene.browser() as client:
        assert (await client.get("/sign-in")).status_code == 200


async def test_connections_in_all(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST", 2)
    opened = [await dial(scene) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert await answer(scene, b"GET /sign-in HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    for _, writer in opened:
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", id="half-a-head"),
        pytest.param(b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab", id="half-a-body"),
    ],
)
async def test_slow_ones_are_let_go(make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(server, "IDLE", 0.2)
    monkeypatch.setattr(server, "BODY", 0.2)
    assert await answer(await make_scene(), sent) == b""


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n", id="large-head"),
        pytest.param(b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", id="large-body"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two-hosts"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no-host"),
        pytest.param(b"\x16\x03\x01\x00\x05hello\r\n\r\n", id="tls"),
    ],
)
async def test_what_is_no_request(scene: Scene, sent: bytes) -> None:
    got = await answer(scene, sent)
    assert not got or got.startswith((b"HTTP/1.1 400", b"HTTP/1.1 421")), got
    async with scene.browser() as client:
        assert (await client.get("/sign-in")).status_code == 200


def test_nowhere() -> None:
    with pytest.raises(SetupError, match=r"approvals\.listen"):
        serve(None, Approvals())  # type: ignore[arg-type]


async def test_an_address_in_use(scene: Scene) -> None:
    with pytest.raises(SetupError, match=r"approvals\.listen: 127\.0\.0\.1:\d+ cannot be used: Address already in use"):
        serve(None, scene.config)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        pytest.param(None, "No such file or directory", id="missing"),
        pytest.param("no PEM", "no certificate with its key", id="no-pem"),
    ],
)
async def test_certificates_that_cannot_be_used(tmp_path: Path, certificate: str | None, expected: str) -> None:
    files = (tmp_path / "a.pem", tmp_path / "a.key")
    if certificate is not None:
        for file in files:
            file.write_text(certificate)
    with pytest.raises(SetupError, match=expected):
        serve(None, Approvals(listen=("127.0.0.1", free_port()), tls=files))  # type: ignore[arg-type]
