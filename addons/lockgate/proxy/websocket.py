"""WebSocket (RFC 6455): each message is kept back, decided, recorded, and only then released, one behind the other.

mitmproxy's own layer forwards a message whose hook raised; its option stays off, and this layer stands in its place.
What is between two hops ends here: pings, pongs, the reasons of close frames, how a message was cut into frames.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mitmproxy import http
from mitmproxy import websocket as mitm
from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.websocket import WebsocketEndHook
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState as State
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason, Opcode

from lockgate.actions.websocket import close_reason
from lockgate.errors import Refused
from lockgate.exchange import Exchange, Message, exchange, session
from lockgate.model import Verdict
from lockgate.proxy import latch, pace
from lockgate.proxy.internals import server
from lockgate.proxy.latch import Shut
from lockgate.refusals import Refusal

Commands = Generator[commands.Command, Any, None]

LOOK = 1.0  # seconds from one look at whether the WebSocket may stay open to the next, and for which a close is awaited
CROWD = 8  # reads of up to 64 KiB that wait for a decision; with more, nothing more is read
TURN = 32  # frames that are read before others have their turn: 64 KiB may be 10,000 of them
EARLY = "Something was sent before the WebSocket was open."
EXPIRED = Refusal(401, "The caller is not identified: expired.")
TOO_LARGE = Refusal(413, "A message is larger than the target's limit.", "Send less at once.")
TOO_MUCH = Refusal(429, "The caller sends too much at once.", "Wait for messages to be decided.")
GONE = Refusal(502, "The target has closed the WebSocket.")
FAULTY = "A message was kept by the gateway."

log = logging.getLogger(__name__)


@dataclass
class WsMessageHook(StartHook):
    """A message has come whole. What its exchange holds when this is over is what the door asks for."""

    flow: http.HTTPFlow


@dataclass
class WsMessageDoneHook(StartHook):
    """A message has been released, or will not be."""

    flow: http.HTTPFlow


@dataclass(eq=False)
class Side:
    """One of the two ends: its frames, and the message that is on its way."""

    connection: Connection
    frames: Frames
    limit: int  # bytes of a message that it may send
    content: bytearray = field(default_factory=bytearray)

    @property
    def is_open(self) -> bool:
        """Whether a message or a close frame may still go there."""
        return self.connection.connected and self.frames.state in (
            State.OPEN,
            State.REMOTE_CLOSING,
        )


class GatedWebsocket(layer.Layer):
    """Both ends of a WebSocket, and the doors between them.

    Whatever raises in it ends the stream; `GatedStream` sees to that.
    """

    def __init__(self, context: Context, flow: http.HTTPFlow) -> None:
        super().__init__(context)
        self.flow = flow
        self.early = True  # until the agent can know that it is open
        self._opened = exchange(flow)
        self._over = False
        target = self._opened.target
        if target is None:
            raise Shut("nobody knows where it leads")
        limits = target.limits
        self._agent = Side(context.client, Frames(ConnectionType.SERVER), limits.request)
        self._target = Side(context.server, Frames(ConnectionType.CLIENT), limits.response)

    def handle_event(self, event: events.Event) -> Commands:
        try:
            yield from super().handle_event(event)
        finally:
            session(self.context.client).crowd(bool(self._paused) and len(self._paused_event_queue) >= CROWD)

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Start):
            self.flow.websocket = mitm.WebSocketData()
            yield commands.RequestWakeup(LOOK)
        elif isinstance(event, events.Wakeup):
            yield from self._look()
        elif isinstance(event, events.DataReceived):
            take = self._linger if self._over else self._received
            yield from take(self._side(event.connection), event.data)
        elif isinstance(event, events.ConnectionClosed):
            yield from self._lost(self._side(event.connection))
        # Anything else is for nothing: a message that mitmweb would inject has no caller.

    def _side(self, connection: Connection) -> Side:
        return self._agent if connection is self.context.client else self._target

    # What comes in

    def _received(self, side: Side, data: bytes) -> Commands:
        if self.early and side is self._agent:
            raise Shut(EARLY)
        side.frames.receive_data(data)
        for number, event in enumerate(side.frames.events(), start=1):
            if isinstance(event, (TextMessage, BytesMessage)):
                yield from self._gather(side, event)
            elif isinstance(event, Ping):
                yield commands.SendData(side.connection, side.frames.send(event.response()))
            elif isinstance(event, CloseConnection):
                yield from self._closing(side, event)
            if self._over:
                return
            if number % TURN == 0:
                yield pace.Elsewhere(partial(asyncio.sleep, 0))

    def _gather(self, side: Side, part: TextMessage | BytesMessage) -> Commands:
        data = part.data.encode() if isinstance(part, TextMessage) else part.data
        side.content += data
        refusal = TOO_LARGE if len(side.content) > side.limit else None
        if refusal is None and not self._may_keep(side, len(data)):
            refusal = TOO_MUCH
        if refusal is not None:
            side.content.clear()
            yield from self._decide(side, Message(side is self._agent, isinstance(part, TextMessage), b""), refusal)
        elif part.message_finished:
            content, side.content = bytes(side.content), bytearray()
            yield from self._decide(side, Message(side is self._agent, isinstance(part, TextMessage), content))
            self._may_keep(side, -len(content))

    def _may_keep(self, side: Side, size: int) -> bool:
        """Whether so many bytes more of messages may be kept; fewer, where they are let go. A target's have a limit of
        their own, an agent's count with the bodies of its other requests.
        """
        keep = self._opened.may_keep
        return side is self._target or (keep is not None and keep(size))

    def _decide(self, side: Side, message: Message, refusal: Refusal | None = None) -> Commands:
        """Have one message decided and recorded, and release it where it may be."""
        subject = self._subject(message)
        found = exchange(subject)
        found.opened, found.message, found.refusal = self._opened, message, refusal
        found.identity_values = self._opened.identity_values
        fault = None
        if refusal is None:
            yield WsMessageHook(subject)
        if found.refusal is None:
            try:
                yield self._released(found, message)
                assert subject.websocket is not None
                subject.websocket.messages[0].dropped = False
            except Refused as refused:
                found.refusal = refused.refusal
            except Exception as error:  # of the door, or of mitmproxy's own
                fault = error
                found.refusal = Refusal(502, FAULTY)
        yield WsMessageDoneHook(subject)
        if fault is not None:
            raise fault
        if found.refusal is not None and not _is_only_dropped(found, message):
            yield from self._refuse(found.refusal)

    def _subject(self, message: Message) -> http.HTTPFlow:
        """A flow for one message. It shows nothing of it yet."""
        subject = http.HTTPFlow(self.flow.client_conn, self.flow.server_conn, live=True)
        subject.request = self.flow.request.copy()
        subject.response = self.flow.response.copy() if self.flow.response else None
        opcode = Opcode.TEXT if message.is_text else Opcode.BINARY
        shown = mitm.WebSocketMessage(opcode, message.from_agent, b"", dropped=True)
        subject.websocket = mitm.WebSocketData([shown])
        return subject

    # What goes out: the doors

    def _released(self, found: Exchange, message: Message) -> commands.SendData:
        """The frame of a message that was allowed, recorded where it goes to the target, masked where it comes from it.

        Raises:
            Shut: any proof is missing.
            Refused: the WebSocket may not stay open, or the other end is gone.
        """
        self._require_standing()
        passing = found.passing
        if found.refusal or passing is None or passing is not found.message or found.opened is not self._opened:
            raise Shut("a message that was not decided")
        if found.decision is None or found.decision.verdict is not Verdict.ALLOW or not found.masked:
            raise Shut("a message that was not allowed")
        if found.sent or found.unrevoked is None:
            raise Shut("a message is released once")
        found.unrevoked(found)
        side = self._target if message.from_agent else self._agent
        if not side.is_open:
            raise Refused(GONE)
        if message.from_agent:
            if passing is not message or not found.intended or found.on_sending is None:
                raise Shut("a message that was not recorded")
            found.on_sending()
            found.sent = True
        content = passing.content
        frame = TextMessage(content.decode()) if passing.is_text else BytesMessage(content)
        return commands.SendData(side.connection, side.frames.send(frame))

    def _require_standing(self) -> None:
        """Raise Shut or Refused unless the WebSocket would be opened again by now (law 7)."""
        opened = self._opened
        if latch.closed():
            raise Shut("the gateway is stopping")
        if self.flow.error is not None:
            raise Shut("somebody has killed it in mitmweb")
        if not opened.sent or opened.refusal or opened.recheck is None or opened.principal is None:
            raise Shut("what opened the WebSocket was not allowed")
        if opened.principal.expires_at <= time.time():
            raise Refused(EXPIRED)
        opened.recheck(opened)

    # How it ends

    def _look(self) -> Commands:
        """Whether it may stay open, where nothing is sent or received that would ask."""
        if self._over:
            yield commands.CloseConnection(self._agent.connection)
            return
        try:
            self._require_standing()
        except Refused as refused:
            yield from self._refuse(refused.refusal)
        else:
            yield commands.RequestWakeup(LOOK)

    def _refuse(self, refusal: Refusal) -> Commands:
        """Close, and say why: a client cannot be told otherwise."""
        code = CloseReason.POLICY_VIOLATION if refusal.status < 500 else CloseReason.INTERNAL_ERROR
        code = CloseReason.MESSAGE_TOO_BIG if refusal.status == 413 else code
        text = f"{refusal.rule}: {refusal.detail}" if refusal.rule else refusal.detail
        yield from self._end(None, int(code), close_reason(text), int(CloseReason.GOING_AWAY))

    def _closing(self, side: Side, event: CloseConnection) -> Commands:
        """The code is passed on, the reason is not: nobody has decided on it."""
        if side.frames.state is State.OPEN:  # it did not close: what it sent cannot be read
            yield from self._failed(side, event.code)
        else:
            yield from self._end(side, event.code, "", event.code)

    def _lost(self, side: Side) -> Commands:
        if self._over:
            if side is self._agent:
                yield commands.CloseConnection(side.connection)
        else:
            yield from self._failed(side, int(CloseReason.ABNORMAL_CLOSURE))

    def _failed(self, side: Side, code: int) -> Commands:
        if side is self._agent:
            yield from self._end(side, code, "", int(CloseReason.GOING_AWAY))
        else:
            yield from self._end(side, int(CloseReason.INTERNAL_ERROR), "The target broke off.", code)

    def _end(self, by: Side | None, to_agent: int, reason: str, to_target: int) -> Commands:
        """Say goodbye on both sides. `by` is who began, None where it is the gateway."""
        self._over = True
        for side in (self._agent, self._target):
            side.content.clear()
        if self._target.is_open:
            yield commands.SendData(self._target.connection, self._target.frames.send(CloseConnection(to_target)))
        yield commands.CloseConnection(self._target.connection)
        awaited = self._agent.is_open and self._agent.frames.state is State.OPEN
        if self._agent.is_open:
            farewell = CloseConnection(to_agent, reason or None)
            yield commands.SendData(self._agent.connection, self._agent.frames.send(farewell))
        if awaited:  # to close with something unread would lose what was said last
            yield commands.RequestWakeup(LOOK)
        else:
            yield commands.CloseConnection(self._agent.connection)
        assert self.flow.websocket is not None
        self.flow.websocket.timestamp_end = time.time()
        self.flow.websocket.closed_by_client = by is self._agent
        self.flow.websocket.close_code = to_target if by is self._target else to_agent
        self.flow.websocket.close_reason = reason
        yield WebsocketEndHook(self.flow)
        self.flow.live = False

    def _linger(self, side: Side, data: bytes) -> Commands:
        """Wait for the agent's close frame; all else that it sends is for nothing."""
        if side is not self._agent or side.frames.state is not State.LOCAL_CLOSING:
            return
        side.frames.receive_data(data)
        if any(isinstance(event, CloseConnection) for event in side.frames.events()):
            yield commands.CloseConnection(side.connection)


def _is_only_dropped(found: Exchange, message: Message) -> bool:
    """Whether no rule lets a message of the target's through, and that is all: the agent could not help it."""
    denied = found.decision is not None and found.decision.verdict is Verdict.DENY
    return not message.from_agent and denied and found.refusal is not None and found.refusal.status == 403


undrained = server.ConnectionHandler.drain_writers


async def drain_writers(self: Any) -> None:
    """In place of mitmproxy's: while too much waits for a decision, nothing more is read either."""
    await undrained(self)
    await session(self.client).uncrowded()


def install() -> None:
    """Have connections wait for the decisions on their messages."""
    server.ConnectionHandler.drain_writers = drain_writers  # type: ignore[method-assign]
