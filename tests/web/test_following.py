from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import pytest

from harness.office import BIG
from harness.scene import Scene
from lockgate.approvals import watcher
from lockgate.web import following
from lockgate.web.followers import MOST_OF_ONE

Client = Callable[..., Awaitable[httpx.AsyncClient]]
EVENTS = "/api/approvals/events"


async def blocks(reply: httpx.Response) -> AsyncIterator[str]:
    """The stream's events and comments."""
    text = ""
    async for chunk in reply.aiter_text():
        text += chunk
        while "\n\n" in text:
            block, text = text.split("\n\n", 1)
            yield block


@pytest.fixture
def follow(api: Client, stack: AsyncExitStack) -> Callable[..., Awaitable[AsyncIterator[str]]]:
    """Follows what changes, from now on."""

    async def follow(token: str = "fiona.finance") -> AsyncIterator[str]:
        reply = await stack.enter_async_context((await api(token)).stream("GET", EVENTS))
        assert reply.headers["content-type"] == "text/event-stream"
        found = blocks(reply)
        assert await anext(found) == "retry: 2000"
        return found

    return follow


Follow = Callable[..., Awaitable[AsyncIterator[str]]]


async def test_tells_what_changes(scene: Scene, follow: Follow) -> None:
    events = await follow()
    held = await scene.hold()
    name, data = (await anext(events)).split("\n")
    assert name == "event: approval"
    assert json.loads(data.removeprefix("data: "))["id"] == held.id
    await scene.office.desk.cancel(held.id, "gone")
    assert '"state": "cancelled"' in await anext(events)


async def test_tells_nobody_what_is_not_theirs(scene: Scene, follow: Follow) -> None:
    events = await follow()
    await scene.hold("held-1", holds=(replace(BIG, approvers=("sales",)),))
    await scene.hold("held-2")
    assert '"id": "held-2"' in await anext(events)


async def test_beats(scene: Scene, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "HEARTBEAT", 0.02)
    events = await follow()
    assert [await anext(events) for _ in range(3)] == [": still here"] * 3
    assert len(scene.people.asked) >= 4, "who it is was not looked at again"


@pytest.mark.parametrize("how", ["rejected", "down", "blind"])
async def test_ends_with_the_right_to_see_it(
    scene: Scene, follow: Follow, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(following, "HEARTBEAT", 0.02)
    events = await follow()
    if how == "rejected":
        scene.people.rejected.add("fiona.finance")
    else:
        setattr(scene.people, how, True)
    left = [block async for block in events]
    assert set(left) <= {": still here"}


async def test_nothing_is_told_after_a_revocation(scene: Scene, follow: Follow) -> None:
    events = await follow()
    scene.people.rejected.add("fiona.finance")
    await scene.hold()
    assert [block async for block in events] == []


async def test_who_falls_behind_is_told(scene: Scene, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "MOST", 1)
    events = await follow()
    verify, release = scene.people.verify, asyncio.Event()

    async def slow(token: str, here: bool) -> object:
        await release.wait()
        return await verify(token, here)

    monkeypatch.setattr(scene.site._services, "verify", slow)
    for number in range(4):
        await scene.hold(f"held-{number}")
    release.set()
    assert [block async for block in events][-1] == "event: lost\ndata: {}"


async def test_too_many(api: Client, follow: Follow) -> None:
    kept = [await follow() for _ in range(MOST_OF_ONE)]
    reply = await (await api()).get(EVENTS)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "10")
    assert reply.headers["content-type"] == "application/problem+json"
    assert len(kept) == MOST_OF_ONE


async def test_who_hangs_up_is_let_go_at_once(scene: Scene, api: Client) -> None:
    services = scene.site._services
    client = await api()
    async with client.stream("GET", EVENTS):
        assert services.followers._by_approver.total() == 1
    async with asyncio.timeout(5.0):
        while services.followers._by_approver:  # noqa: ASYNC110 - it is about the time that passes
            await asyncio.sleep(0.01)
    assert not scene.office.desk._watchers


async def test_the_page_is_told_less(scene: Scene, browser: Client) -> None:
    client = await browser()
    async with client.stream("GET", "/events") as reply:
        events = blocks(reply)
        await anext(events)
        await scene.hold()
        assert await anext(events) == 'event: changed\ndata: {"id": "held-1", "state": "pending"}'
        scene.site._services.sessions.end(client.cookies["lockgate"])
        await scene.hold("held-2")
        assert [block async for block in events] == []


async def test_who_takes_nothing_is_let_go(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "STALLED", 0.1)
    services = scene.site._services
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.setblocking(False)
        await asyncio.get_running_loop().sock_connect(stalled, ("127.0.0.1", scene.port))
        head = f"GET {EVENTS} HTTP/1.1\r\nHost: {scene.host}\r\nAuthorization: Bearer fiona.finance\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(stalled, head.encode())
        async with asyncio.timeout(10.0):
            while not services.followers._by_approver:  # noqa: ASYNC110 - until it follows
                await asyncio.sleep(0.01)
            for number in range(40):
                await scene.hold(f"held-{number}", reason="x" * 200_000)
            while services.followers._by_approver:  # noqa: ASYNC110 - it is about the time that passes
                await asyncio.sleep(0.01)
    assert not scene.office.desk._watchers


async def test_a_fault_on_the_way_ends_it(
    scene: Scene, follow: Follow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events = await follow()

    async def fails(*_: object) -> None:
        raise ValueError("the-secret")

    monkeypatch.setattr(scene.site._services, "verify", fails)
    await scene.hold()
    assert [block async for block in events] == []
    assert "ValueError at" in caplog.text and "the-secret" not in caplog.text
    assert not scene.office.desk._watchers
