"""Connections of which nobody knows whose they are: so many at a time, and not for long.

One too many takes the place of the oldest. An agent says at once who it is, so that whoever opens connections and says
nothing loses his own: refusing the newest would keep out everybody at his address, and everybody else in the end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mitmproxy import ctx
from mitmproxy.connection import Client

from lockgate.exchange import session
from lockgate.limits import group

MAX_CONNECTIONS = 8192  # at a time, whoever's they are
MAX_STRANGERS = 1024  # that have not been identified
MAX_OF_ADDRESS = 512  # the same from one address; many agents may be behind it, and open many connections at once
PATIENCE = 30.0  # seconds until one must be


class Strangers:
    """Keeps account of unidentified connections, and ends those that stay so."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Client, asyncio.TimerHandle]] = {}  # by address, the oldest first
        self._count = 0

    def admit(self, client: Client) -> bool:
        """Whether one more connection is taken; if so, it has `PATIENCE` to say who it is."""
        address = group(client.peername[0])
        if len(self._waiting.get(address, ())) >= MAX_OF_ADDRESS:
            self._end_oldest(address)
        elif self._count >= MAX_STRANGERS:
            self._end_oldest(self._busiest())
        if len(_handlers()) > MAX_CONNECTIONS and not self._make_room():
            return False
        timer = asyncio.get_running_loop().call_later(PATIENCE, self._end, client, address)
        self._waiting.setdefault(address, {})[client] = timer
        self._count += 1
        return True

    def _make_room(self) -> bool:
        """End one that is unidentified; False where every connection is somebody's."""
        while self._count:
            if self._end_oldest(self._busiest()):
                return True
        return False

    def _busiest(self) -> str:
        return max(self._waiting, key=lambda address: len(self._waiting[address]))

    def _end_oldest(self, address: str) -> bool:
        return self._end(next(iter(self._waiting[address])), address)

    def _end(self, client: Client, address: str) -> bool:
        """Count a connection no longer, and end it where nobody knows whose it is; whether that was so."""
        self._waiting[address].pop(client).cancel()
        self._count -= 1
        if not self._waiting[address]:
            del self._waiting[address]
        handler = _handlers().get(client.id)
        if handler is None or not client.connected or session(client).principal is not None:
            return False
        handler.close_connection(client)
        return True


def _handlers() -> dict[str, Any]:
    """mitmproxy's open connections, by the client's id."""
    handlers: dict[str, Any] = ctx.master.addons.get("proxyserver").connections
    return handlers
