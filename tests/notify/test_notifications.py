from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import NotDelivered, SecretUnavailable
from lockgate.model import CommandNotifier, MailNotifier, Notifier, SecretSource, SlackNotifier, WebhookNotifier
from lockgate.notify import notifications
from lockgate.notify.notice import Notice
from lockgate.notify.notifications import Notifications, name, until_next

SOURCE = SecretSource("env", "HOOK")
SLOW = CommandNotifier(("/bin/sleep", "30"))


async def secret(source: SecretSource) -> str:
    return "a-secret-of-the-hook"


async def test_it_is_tried_again(hook: Any, notice: Notice) -> None:
    hook.answers += [500, 429, 200]
    told = Notifications(secret, pauses=(0.01, 0.01, 0.01))
    told.send([WebhookNotifier(hook.url, SOURCE)], notice)
    await told.close(5)
    assert len(hook.got) == 3


async def test_it_is_not_tried_for_ever(hook: Any, notice: Notice, caplog: pytest.LogCaptureFixture) -> None:
    hook.answers += [500] * 10
    told = Notifications(secret, pauses=(0.01, 0.01))
    told.send([WebhookNotifier(f"{hook.url}?key=s3cret", SOURCE)], notice)
    await told.close(5)
    assert len(hook.got) == 3
    (line,) = caplog.messages
    assert f"127.0.0.1:{hook.port} of approval a1: it answered 500" in line
    assert "s3cret" not in line


@pytest.mark.parametrize(
    ("error", "pause", "least"),
    [
        pytest.param(NotDelivered("x"), 10.0, 8.0, id="as-a-rule"),
        pytest.param(NotDelivered("x", after=60.0), 10.0, 60.0, id="asked-to-wait"),
        pytest.param(SecretUnavailable("x"), 10.0, 8.0, id="no-secret-yet"),
        pytest.param(NotDelivered("x"), None, None, id="the-last-time"),
        pytest.param(NotDelivered("x", again=False), 10.0, None, id="for-good"),
        pytest.param(NotDelivered("x", after=86400.0), 10.0, None, id="asked-to-wait-for-too-long"),
    ],
)
def test_when_it_is_tried_again(
    error: NotDelivered | SecretUnavailable, pause: float | None, least: float | None
) -> None:
    wait = until_next(error, pause)
    assert (wait is None) == (least is None)
    if wait is not None and least is not None:
        assert least <= wait <= max(least, 12.0)


async def test_only_what_was_asked_for_is_told(hook: Any, notice: Notice) -> None:
    told = Notifications(secret, pauses=())
    notifiers = [WebhookNotifier(hook.url, SOURCE), WebhookNotifier(hook.url, SOURCE, on=("denied", "expired"))]
    told.send(notifiers, notice)
    told.send(notifiers, replace(notice, happening="denied"))
    told.send(notifiers, replace(notice, happening="cancelled"))
    await told.close(5)
    assert sorted(b"denied" in body for _, body in hook.got) == [False, True]


async def test_a_secret_cannot_be_had(hook: Any, notice: Notice, caplog: pytest.LogCaptureFixture) -> None:
    async def unavailable(source: SecretSource) -> str:
        raise SecretUnavailable("env:HOOK is not set")

    told = Notifications(unavailable, pauses=(0.01,))
    told.send([SlackNotifier(SOURCE)], notice)
    await told.close(5)
    assert hook.got == []
    assert caplog.messages == ["Nobody was told by Slack of approval a1: env:HOOK is not set."]


async def test_a_fault_is_one_line(hook: Any, notice: Notice, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(source: SecretSource) -> str:
        raise RuntimeError("s3cret")

    told = Notifications(broken)
    told.send([SlackNotifier(SOURCE)], notice)
    await told.close(5)
    assert caplog.messages == ["Nobody was told by Slack of approval a1: RuntimeError."]


async def test_too_many_are_dropped(
    notice: Notice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifications, "MOST", 3)
    told = Notifications(secret, pauses=())
    for _ in range(10):
        told.send([SLOW], notice)
    await told.close(0.1)
    assert caplog.messages == [
        "Notices by the command /bin/sleep are dropped: 3 are under way already.",
        "The gateway ends: 3 notices are not delivered.",
        "Notices by the command /bin/sleep: 7 were dropped.",
    ]


@asynccontextmanager
async def talkative() -> AsyncIterator[int]:
    """Listens, and answers a byte now and then, for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"2")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda port: WebhookNotifier(f"http://127.0.0.1:{port}/", SOURCE), id="webhook"),
        pytest.param(lambda port: MailNotifier("127.0.0.1", port, "a@b.example", ("c@d.example",), "none"), id="mail"),
        pytest.param(lambda port: SLOW, id="command"),
    ],
)
async def test_one_that_is_slow_holds_up_no_other(hook: Any, notice: Notice, made: Callable[[int], Notifier]) -> None:
    told = Notifications(secret, pauses=())
    async with talkative() as port:
        started = time.monotonic()
        for _ in range(notifications.AT_ONCE):
            told.send([made(port)], notice)
        told.send([WebhookNotifier(hook.url, SOURCE)], notice)
        while not hook.got:  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.01)
        assert time.monotonic() - started < notifications.WITHIN / 2
        await told.close(0)


async def test_what_is_under_way_ends_with_the_gateway(notice: Notice, tmp_path: Path) -> None:
    """A command and what it has started, and a connection of whose thread the end would wait."""
    told = Notifications(secret, within=60.0)
    pids = tmp_path / "pids"
    script = (
        "import os, sys, time; os.fork(); print(os.getpid(), file=open(sys.argv[1], 'a'), flush=True); time.sleep(60)"
    )
    async with talkative() as port:
        told.send([CommandNotifier((sys.executable, "-c", script, str(pids)))], notice)
        told.send([MailNotifier("127.0.0.1", port, "a@b.example", ("c@d.example",), "none")], notice)
        while not pids.exists() or len(pids.read_text().split()) < 2:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.01)
        started = time.monotonic()
        await told.close(0.1)
        await asyncio.get_running_loop().shutdown_default_executor()
        assert time.monotonic() - started < 10.0
    async with asyncio.timeout(5):  # what is killed takes its moment
        while any(runs(pid) for pid in map(int, pids.read_text().split())):  # noqa: ASYNC110 - other processes'
            await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    """A dead one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_after_the_end_nobody_is_told(hook: Any, notice: Notice) -> None:
    told = Notifications(secret)
    await told.close(1)
    told.send([WebhookNotifier(hook.url, SOURCE)], notice)
    await told.close(1)
    assert hook.got == []


@pytest.mark.parametrize(
    ("notifier", "called"),
    [
        pytest.param(WebhookNotifier("https://h.example/s3cret", SOURCE), "the webhook at h.example", id="path"),
        pytest.param(WebhookNotifier("https://h.example?s3cret", SOURCE), "the webhook at h.example", id="query"),
        pytest.param(
            WebhookNotifier("https://h.example:9#s3cret", SOURCE), "the webhook at h.example:9", id="fragment"
        ),
        pytest.param(SlackNotifier(SOURCE), "Slack", id="slack"),
        pytest.param(MailNotifier("m.example", 25, "a@b", ("c@d",)), "mail by m.example", id="mail"),
        pytest.param(CommandNotifier(("/bin/page", "s3cret")), "the command /bin/page", id="command"),
    ],
)
def test_names(notifier: Notifier, called: str) -> None:
    assert name(notifier) == called
