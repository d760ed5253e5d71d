"""Connections of which nobody knows whose they are: few at a time, and not for long."""

from __future__ import annotations

import asyncio

from mitmproxy import ctx
from mitmproxy.connection import Client

from lockgate.exchange import session

MAX_STRANGERS = 256  # connections at a time that have not been identified
PATIENCE = 30.0  # seconds until one must be


class Strangers:
    """Keeps account of unidentified connections, and ends those that stay so."""

    def __init__(self) -> None:
        self._waiting: dict[str, Client] = {}

    def admit(self, client: Client) -> bool:
        """Whether one more connection is taken; if so, it has `PATIENCE` to say who it is."""
        if len(self._waiting) >= MAX_STRANGERS:
            self._waiting = {key: one for key, one in self._waiting.items() if _is_stranger(one)}
            if len(self._waiting) >= MAX_STRANGERS:
                return False
        self._waiting[client.id] = client
        asyncio.get_running_loop().call_later(PATIENCE, self._end, client)
        return True

    def _end(self, client: Client) -> None:
        self._waiting.pop(client.id, None)
        handler = ctx.master.addons.get("proxyserver").connections.get(client.id)
        if handler is not None and _is_stranger(client):
            handler.close_connection(client)


def _is_stranger(client: Client) -> bool:
    return client.connected and session(client).principal is None
