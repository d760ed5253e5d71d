from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lockgate.errors import SecretUnavailable
from lockgate.model import CommandNotifier, SecretSource, SlackNotifier, WebhookNotifier
from lockgate.notify import notifications
from lockgate.notify.notice import Notice
from lockgate.notify.notifications import Notifications

SOURCE = SecretSource("env", "HOOK")


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
    assert f"127.0.0.1:{hook.port}" in caplog.text
    assert "s3cret" not in caplog.text


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
    assert "by Slack of approval a1: env:HOOK is not set" in caplog.text


async def test_too_many_are_dropped(
    notice: Notice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifications, "MOST", 3)
    told = Notifications(secret, pauses=())
    slow = CommandNotifier(("/bin/sleep", "30"))
    for _ in range(10):
        told.send([slow], notice)
    assert len(told._under_way) == 3
    assert caplog.text.count("dropped") == 1
    await told.close(0.1)
    await asyncio.sleep(0.1)
    assert not told._under_way
