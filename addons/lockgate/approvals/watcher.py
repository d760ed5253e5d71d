"""Somebody who follows what changes, as it changes."""

from __future__ import annotations

import asyncio

from lockgate.approvals.approval import Approval

MOST = 1000  # changes that wait, before everything has to be looked at again


class Watcher:
    """One that falls behind is `lost`: it has to look at everything there is."""

    def __init__(self) -> None:
        self.lost = False
        self._queue: asyncio.Queue[Approval] = asyncio.Queue(MOST)

    def put(self, approval: Approval) -> None:
        try:
            self._queue.put_nowait(approval)
        except asyncio.QueueFull:
            self.lost = True

    async def next(self, within: float) -> Approval | None:
        """The next that changed, as it is then; None where none does within so many seconds."""
        try:
            return await asyncio.wait_for(self._queue.get(), within)
        except TimeoutError:
            return None
