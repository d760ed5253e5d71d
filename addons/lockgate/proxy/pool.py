"""Which connection to a target a request goes over: one that was made for just that, and is free."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from mitmproxy.connection import Connection, Server
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers.http import GetHttpConnectionCompleted

from lockgate.exchange import Dialled, Session
from lockgate.proxy import http2
from lockgate.proxy.internals import GetHttpConnection, Http2Client, HttpLayer, http1

Commands = Generator[commands.Command, Any, None]


@dataclass(eq=False, kw_only=True)
class Dial(GetHttpConnection):
    """Asks for a connection to a target: one of another target is not used for it, be it to the same address."""

    dialled: Dialled
    session: Session

    def connection_spec_matches(self, connection: Connection) -> bool:
        return self._dialled(connection) == self.dialled and super().connection_spec_matches(connection)

    def is_outdated(self, connection: Connection) -> bool:
        """Whether a connection to the same address is for any other target, or for this one as its entry or its
        certificate was before.
        """
        same = isinstance(connection, Server) and connection.address == self.address
        return same and self._dialled(connection) not in (None, self.dialled)

    def _dialled(self, connection: Connection) -> Dialled | None:
        """What a connection is for. One that is not yet made is waited for where several requests may share it."""
        vetted = self.session.vetted.get(connection.id)
        if vetted is not None:
            return vetted.dialled
        dialled = self.session.dials.get(connection.id)
        return dialled if dialled and (dialled.target.http2 or dialled.target.grpc) else None


class Pool(HttpLayer):
    """mitmproxy's HttpLayer, which for an agent that speaks HTTP/2 would open a connection for each request."""

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> Commands:
        assert isinstance(event, Dial)
        for connection in [one for one in self.connections if event.is_outdated(one) and self._is_idle(one)]:
            event.session.vetted.pop(connection.id)
            yield commands.CloseConnection(connection)
        free = next(filter(self._is_idle, filter(event.connection_spec_matches, self.connections)), None)
        if free is None or not reuse:
            for command in super().get_connection(event, reuse=reuse):
                if isinstance(command, commands.OpenConnection):
                    event.session.dials[command.connection.id] = event.dialled
                yield command
            return
        stream = self.command_sources.pop(event)
        yield from self.event_to_child(stream, GetHttpConnectionCompleted(event, (free, None)))

    def _is_idle(self, connection: Connection) -> bool:
        """Whether it is open, and nothing is under way on it."""
        if connection in self.waiting_for_establishment or not connection.connected:
            return False
        client = self.connections[connection].context.layers[-1]
        if isinstance(client, Http2Client):
            assert isinstance(client, http2.BoundedHttp2Client)
            return not client.is_busy
        return isinstance(client, http1.Http1Client) and client.stream_id is None
