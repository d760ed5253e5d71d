"""Values that are fetched, used for a while and fetched anew: one fetch at a time for each, however many wait for it.

In the last minute of a value's life (or the second half of a shorter one) it is fetched anew beside the requests that
still get it, so that none of them waits, and a fetch that fails has time to succeed. Once it has ended, requests wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable

from lockgate.errors import SecretUnavailable
from lockgate.model import Sensitive

MARGIN = 60.0  # seconds before the end of a value's life
RETRY = 10.0  # seconds from a failed fetch to the next

log = logging.getLogger(__name__)


class Fetched(Sensitive):
    """A secret, for how many seconds from now it may be used, and which others it was obtained with."""

    __slots__ = ("beside", "lifetime", "value")

    def __init__(self, value: str, lifetime: float, beside: tuple[str, ...] = ()) -> None:
        self.value = value
        self.lifetime = lifetime
        self.beside = beside


class Cache:
    """For one event loop. `clock` gives seconds that only go forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[Hashable, Entry] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Awaitable[Fetched]]) -> Fetched:
        """The value of `key`, from `fetch` where none is held. The text of `key` stands for it in messages.

        Raises SecretUnavailable, for the next seconds without another fetch, where the last has failed.
        """
        now = self._clock()
        entry = self._entries.get(key)
        if entry is None:
            self._entries = {known: each for known, each in self._entries.items() if not each.is_over(now)}
            entry = self._entries[key] = Entry()
        if entry.is_due(now):
            entry.task = asyncio.create_task(self._refresh(entry, str(key), fetch), name="lockgate secret")
        if entry.held is not None and now < entry.ends_at:
            return entry.held
        if entry.task is not None:
            await asyncio.shield(entry.task)  # who waits may go away; the others still wait
        if entry.problem or entry.held is None:
            raise SecretUnavailable(entry.problem)
        return entry.held

    async def _refresh(self, entry: Entry, label: str, fetch: Callable[[], Awaitable[Fetched]]) -> None:
        try:
            fetched = await fetch()
        except SecretUnavailable as error:
            self._failed(entry, str(error))
        except Exception as fault:  # noqa: BLE001 - whatever it is, there is no value; its text might quote one
            self._failed(entry, f"{label}: fault while it was fetched ({type(fault).__name__})")
        else:
            now = self._clock()
            entry.held, entry.problem = fetched, ""
            entry.ends_at = now + fetched.lifetime
            entry.due_at = entry.ends_at - min(MARGIN, fetched.lifetime / 2)
        finally:
            entry.task = None

    def _failed(self, entry: Entry, problem: str) -> None:
        now = self._clock()
        entry.problem, entry.due_at = problem, now + RETRY
        if now < entry.ends_at:
            log.warning("%s; what was fetched before serves for another %.0f s.", problem, entry.ends_at - now)
        else:
            entry.held = None


class Entry:
    """What is held for one key, when it is to be fetched again and when it ends; why the last fetch failed."""

    __slots__ = ("due_at", "ends_at", "held", "problem", "task")

    def __init__(self) -> None:
        self.held: Fetched | None = None
        self.due_at = self.ends_at = 0.0
        self.problem = ""
        self.task: asyncio.Task[None] | None = None

    def is_due(self, now: float) -> bool:
        return self.task is None and now >= self.due_at

    def is_over(self, now: float) -> bool:
        return self.task is None and now >= max(self.ends_at, self.due_at)
