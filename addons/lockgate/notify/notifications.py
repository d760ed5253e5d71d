"""Delivers notices beside everything else: tried again for a while, dropped where there are too many."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

from lockgate.errors import NotDelivered, SecretUnavailable
from lockgate.model import CommandNotifier, MailNotifier, Notifier, SecretSource, SlackNotifier, WebhookNotifier
from lockgate.notify import command, mail, slack, webhook
from lockgate.notify.notice import Notice

WITHIN = 10.0  # seconds for one delivery
PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds before it is tried again, a little more or less
MOST = 500  # deliveries under way
AT_ONCE = 4

log = logging.getLogger(__name__)


class Notifications:
    """For one event loop."""

    def __init__(
        self,
        secret: Callable[[SecretSource], Awaitable[str]],
        *,
        pauses: Sequence[float] = PAUSES,
        within: float = WITHIN,
    ) -> None:
        """`secret` reads one, and raises SecretUnavailable."""
        self._secret = secret
        self._pauses = pauses
        self._within = within
        self._under_way: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._dropped = 0

    def send(self, notifiers: Sequence[Notifier], notice: Notice) -> None:
        """Tell everybody who wants to know of such a thing. Never waits, never fails."""
        for notifier in notifiers:
            if notice.happening not in notifier.on:
                continue
            if len(self._under_way) >= MOST:
                self._dropped += 1
                if self._dropped == 1:
                    log.error("Notices are dropped: %d are under way already.", MOST)
                continue
            task = asyncio.get_running_loop().create_task(self._deliver(notifier, notice), name="lockgate notice")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def close(self, within: float) -> None:
        """Wait for what is under way, for so many seconds; what is not done then is let go."""
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=within)
        for task in list(self._under_way):
            task.cancel()

    async def _deliver(self, notifier: Notifier, notice: Notice) -> None:
        for pause in (*self._pauses, None):
            try:
                async with self._turns:
                    await self._once(notifier, notice)
            except (NotDelivered, SecretUnavailable) as error:
                if pause is None or (isinstance(error, NotDelivered) and not error.again):
                    log.error("Nobody was told by %s of approval %s: %s.", name(notifier), notice.approval_id, error)  # noqa: TRY400
                    return
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is only about telling somebody
                log.error("Nobody was told by %s: %s.", name(notifier), type(fault).__name__)  # noqa: TRY400
                return
            else:
                self._dropped = 0
                return
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - it keeps no secret

    async def _once(self, notifier: Notifier, notice: Notice) -> None:
        """Raises NotDelivered, SecretUnavailable."""
        ends_at = asyncio.get_running_loop().time() + self._within
        if isinstance(notifier, WebhookNotifier):
            secret = await self._secret(notifier.secret)
            await webhook.deliver(notifier, notice, secret, ends_at, time.time())
        elif isinstance(notifier, SlackNotifier):
            await slack.deliver(notice, await self._secret(notifier.url), ends_at)
        elif isinstance(notifier, MailNotifier):
            password = await self._secret(notifier.password) if notifier.password else ""
            await mail.deliver(notifier, notice, password, self._within)
        else:
            await command.deliver(notifier, notice, self._within)


def name(notifier: Notifier) -> str:
    """Which it is, for an operator; of a URL the host at most."""
    if isinstance(notifier, WebhookNotifier):
        return f"the webhook at {notifier.url.split('/')[2]}"
    if isinstance(notifier, MailNotifier):
        return f"mail by {notifier.host}"
    return f"the command {notifier.command[0]}" if isinstance(notifier, CommandNotifier) else "Slack"
