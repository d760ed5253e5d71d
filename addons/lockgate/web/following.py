"""Server-sent events of what changes: to those who may see it, for as long as they may."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.iostream import StreamClosedError

from lockgate.approvals.approval import Approval
from lockgate.approvals.ballot import may_see
from lockgate.approvals.watcher import Watcher
from lockgate.errors import KeysUnavailable, RevocationsUnavailable, TokenRejected
from lockgate.model import Principal
from lockgate.web.handler import Handler
from lockgate.web.problem import Problem
from lockgate.web.services import Services

HEARTBEAT = 15.0  # seconds between two signs of life, and between two looks at who it is
STALLED = 10.0  # seconds that a reader may take none of it


class Following(Handler):
    """Base of the two streams. It ends with the right to see it, and with the connection."""

    def initialize(self, services: Services) -> None:
        super().initialize(services)
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_connection_close(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)

    async def follow(
        self, approver: Principal, again: Callable[[], Awaitable[Principal]], event: Callable[[Approval], bytes]
    ) -> None:
        """Send what changes, as `event` writes it; `again` finds out who it is, as at the beginning.

        Raises Problem where too many follow.
        """
        with self.services.followers.one_more(approver):
            watcher = self.services.desk.watch()
            try:
                self.set_header("Content-Type", "text/event-stream")
                await self._send(b"retry: 2000\n\n")
                await self._changes(watcher, again, event)
            except (StreamClosedError, TimeoutError):
                self._detach()
            except (TokenRejected, KeysUnavailable, RevocationsUnavailable, Problem):
                pass  # who is no longer known sees no more: the stream ends
            finally:
                self.services.desk.unwatch(watcher)

    async def _changes(
        self, watcher: Watcher, again: Callable[[], Awaitable[Principal]], event: Callable[[Approval], bytes]
    ) -> None:
        while not watcher.lost:
            changed = await self._next(watcher)
            if self._gone.done():
                return
            approver = await again()
            if changed is None:
                await self._send(b": still here\n\n")
            elif may_see(changed, approver):
                await self._send(event(changed))
        await self._send(b"event: lost\ndata: {}\n\n")

    async def _next(self, watcher: Watcher) -> Approval | None:
        asked = asyncio.create_task(watcher.next(HEARTBEAT))
        either: list[asyncio.Future[Any]] = [asked, self._gone]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else None
        finally:
            asked.cancel()

    async def _send(self, data: bytes) -> None:
        self.write(data)
        await asyncio.wait_for(self.flush(), STALLED)

    def _detach(self) -> None:
        """Let go of a connection that takes nothing any more."""
        self.on_connection_close()
        self.request.connection.close()  # type: ignore[union-attr]
