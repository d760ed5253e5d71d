from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any

import pytest

from lockgate.errors import NotDelivered
from lockgate.model import SecretSource, WebhookNotifier
from lockgate.notify import webhook
from lockgate.notify.notice import Notice

SECRET = "a-secret-of-the-hook"


def notifier(url: str) -> WebhookNotifier:
    return WebhookNotifier(url, SecretSource("env", "HOOK_SECRET"))


async def deliver(url: str, notice: Notice) -> None:
    ends_at = asyncio.get_running_loop().time() + 5
    await webhook.deliver(notifier(url), notice, SECRET, ends_at, 1_700_000_000.9)


async def test_it_is_signed(hook: Any, notice: Notice) -> None:
    await deliver(hook.url, notice)
    ((headers, body),) = hook.got
    assert json.loads(body) == notice.document()
    fields = dict(part.split("=") for part in headers["Lockgate-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), fields["t"].encode() + b"." + body, "sha256").hexdigest()
    assert (fields["t"], fields["v1"]) == ("1700000000", expected)
    assert SECRET not in repr(headers) + body.decode()


@pytest.mark.parametrize(
    ("status", "again"),
    [(500, True), (503, True), (429, True), (408, True), (400, False), (404, False), (302, False)],
)
async def test_it_is_not_taken(hook: Any, notice: Notice, status: int, again: bool) -> None:
    hook.answers.append(status)
    with pytest.raises(NotDelivered, match=str(status)) as failed:
        await deliver(hook.url, notice)
    assert failed.value.again is again
    assert len(hook.got) == 1  # no redirect is followed


async def test_nobody_is_there(hook: Any, notice: Notice) -> None:
    with pytest.raises(NotDelivered) as failed:
        await deliver("http://127.0.0.1:9/secret-path", notice)
    assert failed.value.again
    assert "secret-path" not in str(failed.value)
