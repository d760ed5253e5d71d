"""Work on an answer beside the event loop: what waits for it is the one stream, and its target is not read meanwhile.

Also how a connection has ended: mitmproxy tells its layers that it has, and keeps to itself that it broke off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events
from OpenSSL import SSL

from lockgate.proxy.internals import server, tls_layers

_paused: WeakKeyDictionary[Connection, list[asyncio.Event]] = WeakKeyDictionary()
_broken: WeakSet[Connection] = WeakSet()


@dataclass(eq=False)
class Elsewhere(commands.StartHook):
    """Asks for `work` to be done; the stream that asks goes on once it is. No hook that an addon can have."""

    work: Callable[[], Coroutine[Any, Any, None]]
    name = ""


@contextmanager
def paused(connection: Connection) -> Iterator[None]:
    """Read nothing from a connection meanwhile, but what may be on its way already."""
    over = asyncio.Event()
    _paused.setdefault(connection, []).append(over)  # over HTTP/2 more than one stream may be waited for
    try:
        yield
    finally:
        over.set()
        _paused[connection].remove(over)


def broke_off(connection: Connection) -> bool:
    """Whether a connection has ended without its peer having said so: reset, or its TLS not closed (RFC 8446, 6.1)."""
    return connection in _broken


class Reader:
    """What a connection is read by."""

    def __init__(self, reader: Any, connection: Connection) -> None:
        self._reader = reader
        self._connection = connection

    async def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end. Raises OSError where it breaks off."""
        while pauses := _paused.get(self._connection):
            await pauses[0].wait()
        try:
            data: bytes = await self._reader.read(size)
        except OSError:
            _broken.add(self._connection)
            raise
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


adding_hook_task = server.ConnectionHandler.hook_task


async def hook_task(self: Any, hook: commands.StartHook) -> None:
    """In place of mitmproxy's, with work that no addon is asked about."""
    if not isinstance(hook, Elsewhere):
        await adding_hook_task(self, hook)
        return
    try:
        await hook.work()
    finally:
        await self.server_event(events.HookCompleted(hook))


def receive_close(self: Any) -> Generator[commands.Command, Any, None]:
    """In place of mitmproxy's, which takes a fatal alert for a close that it has told of already: TLS 1.3 refuses a
    client's certificate with one after the handshake, and the request would wait for ever.
    """
    try:
        self.tls.recv(1)  # everything that came has been read
    except SSL.ZeroReturnError:
        return  # it was closed properly, and what is above knows
    except SSL.Error:
        _broken.add(self.conn)
    yield from self.event_to_child(events.ConnectionClosed(self.conn))


def install() -> None:
    """Replace how mitmproxy runs a stream's hooks, and how it takes the end of TLS."""
    server.ConnectionHandler.hook_task = hook_task  # type: ignore[method-assign]
    tls_layers.TLSLayer.receive_close = receive_close  # type: ignore[method-assign]
