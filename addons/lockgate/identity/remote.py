"""Issuers' keys that are fetched: held, fetched anew while they are used, and given up when they are too old.

A fetch is never repeated for each request that could do with one: at most one is under way for an issuer, and the next
has to wait, so that neither tokens with made-up keys nor an issuer that is down make the gateway slow, or a nuisance.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from lockgate.errors import KeysUnavailable, KeysWithdrawn
from lockgate.identity.jwks import KeySet
from lockgate.identity.oidc import Published, fetch_keys

REFRESH = 300.0  # seconds: keys of this age are fetched anew beside the requests that use them
UNASKED = 600.0  # seconds: if their issuer was not even asked for so long, requests wait until it has been
COOL_DOWN = 30.0  # seconds from a fetch to the next for a key that was not in it
RETRY = 10.0  # seconds from a failed fetch to the next

Fetch = Callable[[Published], Awaitable[KeySet]]

log = logging.getLogger(__name__)


class KeyCache:
    """What one issuer published when it was last asked. For one event loop; may be made in any thread.

    `clock` gives seconds that only go forward.
    """

    def __init__(self, where: Published, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._where = where
        self._fetch = fetch
        self._clock = clock
        self._held: KeySet | None = None
        self._held_since = 0.0
        self._asked_at = 0.0  # when the last fetch that is over was begun
        self._due_at = 0.0  # when the next fetch may begin
        self._task: asyncio.Task[None] | None = None
        self._problem = ""
        self._told_at = 0.0

    def keys(self, max_age: float) -> KeySet:
        """What is held, if it is younger than `max_age` seconds. Raises KeysUnavailable."""
        now = self._clock()
        if self._held is None or now - self._held_since >= max_age:
            raise KeysUnavailable(self._problem or f"{self._where.issuer}: its keys have not been fetched yet")
        if now - self._asked_at >= UNASKED:
            raise KeysUnavailable(f"{self._where.issuer}: its keys have not been fetched for long")
        if now - self._held_since >= REFRESH:
            self._begin()
        return self._held

    def warm(self) -> None:
        """Begin to fetch, where nothing fresh is held."""
        if self._held is None or self._clock() - self._held_since >= REFRESH:
            self._begin()

    async def renew(self) -> bool:
        """Fetch, or wait for the fetch that is under way; False, at once, where the last one was too short ago."""
        task = self._begin()
        if task is None:
            return False
        await asyncio.wait([task])  # who waits may be cancelled; the others still wait
        return True

    def _begin(self) -> asyncio.Task[None] | None:
        """The fetch that is under way, begun now where there was none and one is due."""
        if self._task is None and self._clock() >= self._due_at:
            self._task = asyncio.create_task(self._refresh(), name="lockgate keys")
        return self._task

    async def _refresh(self) -> None:
        began = self._clock()
        self._due_at = began + COOL_DOWN
        try:
            self._held, self._held_since = await self._fetch(self._where), began
        except KeysUnavailable as error:
            if isinstance(error, KeysWithdrawn):
                self._held = None
            self._failed(str(error))
        except Exception as fault:  # noqa: BLE001 - whatever it is: nothing was fetched
            self._failed(f"{self._where.issuer}: fault while its keys were fetched ({type(fault).__name__})")
        else:
            if self._problem:
                log.info("The keys of %s are fetched again.", self._where.issuer)
            self._problem = ""
        finally:
            self._task, self._asked_at = None, began

    def _failed(self, problem: str) -> None:
        """Say so: once for each problem, and again now and then."""
        now = self._clock()
        self._due_at = now + RETRY
        if problem != self._problem or now - self._told_at >= REFRESH:
            self._told_at = now
            held = "none are held" if self._held is None else f"those of {now - self._held_since:.0f} s ago are held"
            log.warning("The keys of %s cannot be fetched, %s: %s.", self._where.issuer, held, problem)
        self._problem = problem


@dataclass(frozen=True, slots=True)
class RemoteKeys:
    """The keys in `cache`, as one generation of the rules has it: usable until they are `max_age` seconds old."""

    cache: KeyCache
    max_age: float

    def keys(self) -> KeySet:
        """Raises KeysUnavailable."""
        return self.cache.keys(self.max_age)


class KeyCaches:
    """Every issuer's cache, kept for as long as a generation of the rules uses it: a reload loses no keys."""

    def __init__(self, fetch: Fetch = fetch_keys, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._caches: WeakValueDictionary[Published, KeyCache] = WeakValueDictionary()

    def of(self, where: Published) -> KeyCache:
        return self._caches.setdefault(where, KeyCache(where, self._fetch, self._clock))
