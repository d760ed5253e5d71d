"""Delivers notices beside everything else: tried again for a while, dropped where there are too many."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from lockgate.errors import NotDelivered, SecretUnavailable
from lockgate.model import CommandNotifier, MailNotifier, Notifier, SecretSource, SlackNotifier, WebhookNotifier
from lockgate.notify import command, mail, slack, webhook
from lockgate.notify.notice import Notice

WITHIN = 10.0  # seconds for one delivery
PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds before it is tried again, a little more or less
LONGEST_PAUSE = 300.0  # seconds that a server may ask for: what comes later than that helps nobody
MOST = 500  # notices under way, to one notifier
AT_ONCE = 4  # deliveries, to one notifier
LET_GO = 1.0  # seconds at the end, for commands to be killed and connections to be cut

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lane:
    """What is under way to one notifier: one that is dead or slow holds up no other."""

    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    dropped: int = 0


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
        self._lanes: dict[Notifier, Lane] = {}
        self._closed = False

    def send(self, notifiers: Sequence[Notifier], notice: Notice) -> None:
        """Tell everybody who wants to know of such a thing. Never waits, never fails; tells nobody once closed."""
        for notifier in notifiers:
            if notice.happening in notifier.on and not self._closed:
                self._begin(notifier, notice)

    async def close(self, within: float) -> None:
        """Wait for what is under way, for so many seconds; what is not done then is let go."""
        self._closed = True
        under_way = [task for lane in self._lanes.values() for task in lane.tasks]
        if not under_way:
            return
        _, left = await asyncio.wait(under_way, timeout=within)
        if left:
            log.warning("The gateway ends: %d notices are not delivered.", len(left))
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=LET_GO)

    def _begin(self, notifier: Notifier, notice: Notice) -> None:
        lane = self._lanes.setdefault(notifier, Lane())
        if len(lane.tasks) >= MOST:
            if not lane.dropped:
                log.error("Notices by %s are dropped: %d are under way already.", name(notifier), MOST)
            lane.dropped += 1
            return
        task = asyncio.create_task(self._deliver(notifier, notice, lane.turns), name="lockgate notice")
        lane.tasks.add(task)
        task.add_done_callback(partial(self._ended, notifier))

    def _ended(self, notifier: Notifier, task: asyncio.Task[None]) -> None:
        lane = self._lanes[notifier]
        lane.tasks.discard(task)
        if not lane.tasks:
            del self._lanes[notifier]
            if lane.dropped:
                log.error("Notices by %s: %d were dropped.", name(notifier), lane.dropped)

    async def _deliver(self, notifier: Notifier, notice: Notice, turns: asyncio.Semaphore) -> None:
        for pause in (*self._pauses, None):
            try:
                async with turns:
                    await self._once(notifier, notice)
            except (NotDelivered, SecretUnavailable) as error:
                wait = until_next(error, pause)
                if wait is None:
                    log.error("Nobody was told by %s of approval %s: %s.", name(notifier), notice.approval_id, error)  # noqa: TRY400
                    return
                await asyncio.sleep(wait)
            except Exception as fault:  # noqa: BLE001 - whatever it is, it is only about telling somebody
                kind = type(fault).__name__
                log.error("Nobody was told by %s of approval %s: %s.", name(notifier), notice.approval_id, kind)  # noqa: TRY400
                return
            else:
                return

    async def _once(self, notifier: Notifier, notice: Notice) -> None:
        """Raises NotDelivered, SecretUnavailable."""
        ends_at = asyncio.get_running_loop().time() + self._within
        if isinstance(notifier, WebhookNotifier):
            secret = await self._secret(notifier.secret)
            await webhook.deliver(notifier, notice, secret, ends_at, time.time())
        elif isinstance(notifier, SlackNotifier):
            await slack.deliver(notice, await self._secret(notifier.url), ends_at, time.time())
        elif isinstance(notifier, MailNotifier):
            password = await self._secret(notifier.password) if notifier.password else ""
            await mail.deliver(notifier, notice, password, self._within)
        else:
            await command.deliver(notifier, notice, self._within)


def until_next(error: NotDelivered | SecretUnavailable, pause: float | None) -> float | None:
    """The seconds to wait before it is tried again, after `pause` as a rule; None where it is not."""
    after = error.after if isinstance(error, NotDelivered) else 0.0
    if pause is None or after > LONGEST_PAUSE or (isinstance(error, NotDelivered) and not error.again):
        return None
    return max(pause * random.uniform(0.8, 1.2), after)  # noqa: S311 - it keeps no secret


def name(notifier: Notifier) -> str:
    """Which it is, for an operator; of a URL the host at most."""
    if isinstance(notifier, WebhookNotifier):
        return f"the webhook at {urlsplit(notifier.url).netloc}"
    if isinstance(notifier, MailNotifier):
        return f"mail by {notifier.host}"
    return f"the command {notifier.command[0]}" if isinstance(notifier, CommandNotifier) else "Slack"
