"""Writes to the store beside the event loop: what gathers while the disk is busy goes to it at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lockgate.approvals.store import Change, Rows, Store
from lockgate.errors import StoreUnavailable

SETTLES = 0.02  # seconds without another change until the store settles what it has
NOT_WRITTEN = "the approvals' store cannot be written"

log = logging.getLogger(__name__)


class Writer:
    """For one event loop. After a fault nothing more is taken until `load` has been asked for."""

    def __init__(self, store: Store, taken: Callable[[Change], None]) -> None:
        """`taken` is called on the loop with each change that is durable, in their order."""
        self._store = store
        self._taken = taken
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lockgate-approvals")
        self._queue: list[tuple[Change, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._settling: asyncio.TimerHandle | None = None
        self.broken = False

    async def write(self, change: Change) -> bool:
        """Whether a change was taken, once it is durable. Raises StoreUnavailable."""
        if self.broken:
            raise StoreUnavailable(NOT_WRITTEN)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._queue.append((change, future))
        if self._writing is None or self._writing.done():
            self._writing = loop.create_task(self._write(), name="lockgate approvals")
        return await future

    async def load(self) -> Rows:
        """All that there is, read anew. Raises StoreUnavailable."""
        rows = await asyncio.get_running_loop().run_in_executor(self._thread, self._store.load)
        self.broken = False
        return rows

    async def close(self) -> None:
        """Wait for what is being written, and let go of the store."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._settling is not None:
            self._settling.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        if self._settling is not None:
            self._settling.cancel()
        while self._queue:
            batch, self._queue = self._queue, []
            try:
                taken = await loop.run_in_executor(self._thread, self._store.apply, [change for change, _ in batch])
            except Exception as fault:  # noqa: BLE001 - whatever it is, nothing more is taken
                self._break(batch, fault)
                return
            for (change, future), is_taken in zip(batch, taken, strict=True):
                if is_taken:
                    self._taken(change)
                if not future.done():
                    future.set_result(is_taken)
        self._settling = loop.call_later(SETTLES, self._begin_settling)

    def _begin_settling(self) -> None:
        self._writing = asyncio.get_running_loop().create_task(self._settle(), name="lockgate approvals")

    async def _settle(self) -> None:
        """Beside what anybody waits for; what was asked for meanwhile is written then."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.settle)
        except Exception as fault:  # noqa: BLE001 - whatever it is, nothing more is taken
            self._break([], fault)
        if self._queue:
            await self._write()

    def _break(self, batch: list[tuple[Change, asyncio.Future[bool]]], fault: Exception) -> None:
        """Nothing more is taken until all has been read anew."""
        self.broken = True
        log.error("Approvals cannot be kept: %s.", said(fault))
        batch, self._queue = [*batch, *self._queue], []
        resolve(batch, StoreUnavailable(NOT_WRITTEN))


def resolve(batch: list[tuple[Change, asyncio.Future[bool]]], fault: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(fault)


def said(fault: Exception) -> str:
    """Of a fault that is not the store's own, its kind: what it says may quote a request."""
    return str(fault) if isinstance(fault, StoreUnavailable) else type(fault).__name__
