"""What the doors of a WebSocket demand, one proof at a time, and what its layer makes of what comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from mitmproxy import options
from mitmproxy import websocket as mitm
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.websocket import WebSocketMessageInjected
from mitmproxy.test import tflow
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import Opcode

from lockgate.errors import RecordingUnavailable, Refused
from lockgate.exchange import Exchange, Message, Session, exchange, session
from lockgate.model import Decision, Limits, Principal, Target, Verdict
from lockgate.proxy import latch, pace
from lockgate.proxy.latch import Shut
from lockgate.proxy.websocket import CROWD, TURN, GatedWebsocket, WsMessageHook, drain_writers
from lockgate.refusals import Refusal

TARGET = Target("crm", "https", "api.crm.example", 443, limits=Limits(request=1000, response=1000))
SAID = Message(True, True, b'{"a":1}')
HEARD = Message(False, True, b'{"b":2}')


def allow(found: Exchange) -> None:
    """What the stages make of a message that may go on."""
    found.decision = Decision(Verdict.ALLOW, "support/say")
    found.unrevoked, found.on_sending = lambda _: None, lambda: None
    found.masked = found.intended = True
    found.passing = found.message


@dataclass
class Case:
    """An open WebSocket, and what came out of it at either end."""

    layer: GatedWebsocket
    opened: Exchange
    decide: Callable[[Exchange], None] = allow
    decided: list[Exchange] = field(default_factory=list)
    agent: Frames = field(default_factory=lambda: Frames(ConnectionType.CLIENT))
    target: Frames = field(default_factory=lambda: Frames(ConnectionType.SERVER))
    closed: list[Any] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)
    turns: int = 0  # given to others
    held: bool = False

    def say(self, event: Event) -> None:
        self.give(events.DataReceived(self.layer.context.client, self.agent.send(event)))

    def tell(self, event: Event) -> None:
        self.give(events.DataReceived(self.layer.context.server, self.target.send(event)))

    def give(self, event: events.Event) -> None:
        waiting = [event]
        while waiting:
            for command in self.layer.handle_event(waiting.pop(0)):
                waiting += self.take(command)

    def take(self, command: commands.Command) -> list[events.Event]:
        if isinstance(command, commands.SendData):
            end = self.agent if command.connection is self.layer.context.client else self.target
            end.receive_data(command.data)
        elif isinstance(command, commands.CloseConnection):
            command.connection.state = ConnectionState.CLOSED
            self.closed.append(command.connection)
        elif isinstance(command, pace.Elsewhere):
            self.turns += 1
            return [events.HookCompleted(command)]
        elif isinstance(command, commands.StartHook):
            self.hooks.append(command.name)
            if isinstance(command, WsMessageHook):
                self.decided.append(exchange(command.flow))
                self.decide(self.decided[-1])
            return [] if self.held else [events.HookCompleted(command)]
        return []

    def at_agent(self) -> list[Event]:
        return list(self.agent.events())

    def at_target(self) -> list[Event]:
        return list(self.target.events())


@pytest.fixture
def case() -> Case:
    flow = tflow.tflow(live=True, resp=True)
    context = Context(flow.client_conn, options.Options())
    context.server = Server(address=("api.crm.example", 443))
    context.server.state = ConnectionState.OPEN
    flow.client_conn.state = ConnectionState.OPEN
    opened = exchange(flow)
    opened.may_keep = lambda _: True
    opened.target, opened.sent = TARGET, True
    opened.principal = Principal("issuer", "agent", ("support",), time.time() + 60)
    opened.recheck = lambda _: None
    layer = GatedWebsocket(context, flow)
    made = Case(layer, opened)
    made.give(events.Start())
    layer.early = False
    return made


def of(case: Case, message: Message) -> Exchange:
    """A message with every proof."""
    found = exchange(case.layer._subject(message))
    found.opened, found.message = case.opened, message
    allow(found)
    return found


@pytest.mark.parametrize("message", [SAID, HEARD], ids=["said", "heard"])
def test_with_every_proof_a_message_is_released_once(case: Case, message: Message) -> None:
    found = of(case, message)
    case.take(case.layer._released(found, message))
    (event,) = case.at_target() if message.from_agent else case.at_agent()
    assert isinstance(event, TextMessage)
    assert event.data.encode() == message.content
    assert found.sent is message.from_agent


UNPROVEN: dict[str, Callable[[Exchange], object]] = {
    "refused": lambda found: setattr(found, "refusal", Refusal(403, "No.")),
    "not-frozen": lambda found: setattr(found, "passing", None),
    "frozen-otherwise": lambda found: setattr(found, "passing", replace(found.passing, content=b"{}")),
    "of-another": lambda found: setattr(found, "opened", replace(found.opened)),
    "undecided": lambda found: setattr(found, "decision", None),
    "denied": lambda found: setattr(found, "decision", Decision(Verdict.DENY)),
    "held": lambda found: setattr(found, "decision", Decision(Verdict.HOLD)),
    "not-masked": lambda found: setattr(found, "masked", False),
    "not-asked-whether-revoked": lambda found: setattr(found, "unrevoked", None),
    "sent": lambda found: setattr(found, "sent", True),
    "opened-by-nobody": lambda found: setattr(found.opened, "principal", None),
    "not-opened": lambda found: setattr(found.opened, "sent", False),
    "opening-refused": lambda found: setattr(found.opened, "refusal", Refusal(403, "No.")),
    "not-looked-at": lambda found: setattr(found.opened, "recheck", None),
}
UNRECORDED: dict[str, Callable[[Exchange], object]] = {
    "no-intent": lambda found: setattr(found, "intended", False),
    "cannot-be-noted": lambda found: setattr(found, "on_sending", None),
    "changed": lambda found: [setattr(found, name, replace(SAID, content=b"{}")) for name in ("message", "passing")],
}


@pytest.mark.parametrize(
    ("message", "spoil"),
    [
        *(
            pytest.param(message, spoil, id=f"{'said' if message.from_agent else 'heard'}-{name}")
            for message in (SAID, HEARD)
            for name, spoil in UNPROVEN.items()
        ),
        *(pytest.param(SAID, spoil, id=name) for name, spoil in UNRECORDED.items()),
    ],
)
def test_without_any_one_proof_nothing_is_released(
    case: Case, message: Message, spoil: Callable[[Exchange], object]
) -> None:
    found = of(case, message)
    spoil(found)
    before = found.sent
    with pytest.raises(Shut):
        case.layer._released(found, message)
    assert found.sent is before


def test_what_may_no_longer_be_sent_is_not(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Exchange) -> None:
        raise Refused(Refusal(403, "Revoked."))

    found = of(case, SAID)
    found.unrevoked = refuse
    with pytest.raises(Refused):
        case.layer._released(found, SAID)
    found = of(case, SAID)
    case.opened.recheck = refuse
    with pytest.raises(Refused):
        case.layer._released(found, SAID)
    case.opened.recheck = lambda _: None
    case.layer.context.server.state = ConnectionState.CAN_WRITE
    with pytest.raises(Refused):
        case.layer._released(found, SAID)
    case.layer.context.server.state = ConnectionState.OPEN
    monkeypatch.setattr(latch, "closed", lambda: True)
    with pytest.raises(Shut):
        case.layer._released(found, SAID)
    assert not found.sent


def test_messages_are_decided_one_behind_the_other(case: Case) -> None:
    case.held = True
    case.say(TextMessage('{"a":1}'))
    case.say(TextMessage('{"a":2}'))
    case.tell(TextMessage('{"b":1}'))
    assert [found.message.content for found in case.decided if found.message] == [b'{"a":1}']
    assert case.at_target() == []


def test_what_waits_is_bounded(case: Case) -> None:
    held = session(case.layer.context.client)
    case.held = True
    for _ in range(CROWD):
        case.tell(TextMessage('{"b":1}'))
    assert held._room is None
    case.tell(TextMessage('{"b":1}'))
    assert held._room is not None
    hook = next(command for command in [case.layer._paused.command] if command)  # type: ignore[union-attr]
    case.held = False
    case.give(events.HookCompleted(hook))
    assert held._room is None
    assert len(case.decided) == CROWD + 1


async def test_nothing_is_read_while_too_much_waits() -> None:
    held = Session()
    await held.uncrowded()
    held.crowd(True)
    waiting = asyncio.create_task(held.uncrowded())
    await asyncio.sleep(0)
    assert not waiting.done()
    held.crowd(True)
    held.crowd(False)
    await waiting
    assert drain_writers.__module__ == "lockgate.proxy.websocket"


def test_a_fault_of_a_door_ends_the_stream_with_a_record(case: Case) -> None:
    def full() -> None:
        raise RecordingUnavailable("disk full")

    def decide(found: Exchange) -> None:
        allow(found)
        found.on_sending = full

    case.decide = decide
    with pytest.raises(RecordingUnavailable):
        case.say(TextMessage("{}"))
    assert case.hooks == ["ws_message", "ws_message_done"]
    assert case.at_target() == []
    assert not case.decided[0].sent


@pytest.mark.parametrize("decide", [lambda _: None, lambda found: setattr(found, "passing", found.message)])
def test_what_no_stage_has_decided_ends_the_stream(case: Case, decide: Callable[[Exchange], None]) -> None:
    case.decide = decide
    with pytest.raises(Shut):
        case.say(TextMessage("{}"))
    assert case.at_target() == []


def test_what_is_injected_goes_nowhere(case: Case) -> None:
    injected = mitm.WebSocketMessage(Opcode.TEXT, True, b"{}", injected=True)
    case.give(WebSocketMessageInjected(case.layer.flow, injected))
    assert (case.decided, case.at_target()) == ([], [])


def test_what_is_killed_in_mitmweb_ends(case: Case) -> None:
    case.layer.flow.kill()
    with pytest.raises(Shut):
        case.give(events.Wakeup(commands.RequestWakeup(1)))


def test_what_came_before_it_was_open_ends_the_stream(case: Case) -> None:
    case.layer.early = True
    with pytest.raises(Shut):
        case.say(Ping())
    case.tell(TextMessage("{}"))
    assert len(case.at_agent()) == 1


@pytest.mark.parametrize("from_agent", [True, False])
def test_what_is_too_large_is_not_kept(case: Case, from_agent: bool) -> None:
    (case.say if from_agent else case.tell)(TextMessage("a" * 1001))
    assert case.decided == []
    assert case.hooks == ["ws_message_done", "websocket_end"]
    (closed,) = case.at_agent()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1009


def test_what_is_kept_of_the_agents_messages_is_asked_for_and_let_go(case: Case) -> None:
    kept: list[int] = []

    def may_keep(size: int) -> bool:
        kept.append(size)
        return sum(kept) <= 10

    case.opened.may_keep = may_keep
    case.say(TextMessage("12345", message_finished=False))
    case.say(TextMessage("67890"))
    case.say(TextMessage("1234567890"))
    assert kept == [5, 5, -10, 10, -10]
    case.tell(TextMessage("x" * 11))  # the target's has a limit of its own
    assert kept == [5, 5, -10, 10, -10]
    assert [len(found.message.content) for found in case.decided if found.message] == [10, 10, 11]
    case.say(TextMessage("x" * 11))
    assert len(case.decided) == 3
    (heard, closed) = case.at_agent()
    assert isinstance(heard, TextMessage)
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1008


@pytest.mark.parametrize("event", [Ping(b""), TextMessage("x"), TextMessage("", message_finished=False)], ids=repr)
@pytest.mark.parametrize("from_agent", [True, False])
@pytest.mark.parametrize(("count", "turns"), [(TURN - 1, 0), (TURN, 1), (3 * TURN + 1, 3)])
def test_others_have_their_turn_amid_many_frames(
    case: Case, event: Event, from_agent: bool, count: int, turns: int
) -> None:
    end, connection = (
        (case.agent, case.layer.context.client) if from_agent else (case.target, case.layer.context.server)
    )
    case.give(events.DataReceived(connection, b"".join(end.send(event) for _ in range(count))))
    assert case.turns == turns


def test_a_message_is_whole(case: Case) -> None:
    case.say(TextMessage('{"a', message_finished=False))
    case.say(Ping(b"x"))
    case.say(TextMessage("", message_finished=False))
    assert case.decided == []
    case.say(TextMessage('":1}'))
    (event,) = case.at_target()
    assert isinstance(event, TextMessage)
    assert (event.data, event.message_finished) == ('{"a":1}', True)
    assert [type(each) for each in case.at_agent()] == [Pong]


def test_binary(case: Case) -> None:
    case.tell(BytesMessage(b"\xff"))
    (event,) = case.at_agent()
    assert isinstance(event, BytesMessage)
    assert case.decided[0].message == Message(False, False, b"\xff")


def deny(found: Exchange) -> None:
    found.decision = Decision(Verdict.DENY)
    found.refusal = Refusal(403, "No rule allows this.", rule="support/no")


def test_what_is_denied_of_the_agents_closes(case: Case) -> None:
    case.decide = deny
    case.say(TextMessage("{}"))
    (closed,) = case.at_agent()
    assert isinstance(closed, CloseConnection)
    assert (closed.code, closed.reason) == (1008, "support/no: No rule allows this.")
    assert [event.code for event in case.at_target() if isinstance(event, CloseConnection)] == [1001]
    assert case.closed == [case.layer.context.server]  # what it says yet is for nothing, but it is let go
    case.say(closed.response())
    assert case.closed == [case.layer.context.server, case.layer.context.client]


def test_what_is_denied_of_the_targets_is_dropped(case: Case) -> None:
    case.decide = deny
    case.tell(TextMessage("{}"))
    assert (case.at_agent(), case.closed) == ([], [])


def test_it_is_looked_at_while_nothing_is_sent(case: Case) -> None:
    case.opened.principal = replace(case.opened.principal, expires_at=1.0) if case.opened.principal else None
    case.give(events.Wakeup(commands.RequestWakeup(1)))
    (closed,) = case.at_agent()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1008
    case.give(events.Wakeup(commands.RequestWakeup(1)))  # an agent that does not answer is not waited for
    assert case.closed == [case.layer.context.server, case.layer.context.client]


@pytest.mark.parametrize(
    ("from_agent", "code", "passed"), [(True, 1000, 1000), (True, 3999, 3999), (False, 1013, 1013), (False, 1005, 1005)]
)
def test_a_close_goes_on_without_its_reason(case: Case, from_agent: bool, code: int, passed: int) -> None:
    event = CloseConnection(code, "because" if code != 1005 else None)
    if code == 1005:
        event = CloseConnection(code=None)  # type: ignore[arg-type]
    (case.say if from_agent else case.tell)(event)
    (other,) = case.at_target() if from_agent else case.at_agent()
    assert isinstance(other, CloseConnection)
    assert (other.code, other.reason or "") == (passed, "")
    assert case.hooks == ["websocket_end"]
    data = case.layer.flow.websocket
    assert data is not None
    assert (data.close_code, data.closed_by_client) == (passed, from_agent)


@pytest.mark.parametrize(("from_agent", "passed"), [(True, 1001), (False, 1011)])
def test_an_end_that_is_lost_ends_the_other(case: Case, from_agent: bool, passed: int) -> None:
    lost = case.layer.context.client if from_agent else case.layer.context.server
    lost.state = ConnectionState.CAN_WRITE
    case.give(events.ConnectionClosed(lost))
    (other,) = case.at_target() if from_agent else case.at_agent()
    assert isinstance(other, CloseConnection)
    assert other.code == passed
    assert case.layer.context.server in case.closed
