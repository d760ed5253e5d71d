"""WebSockets: every message decided, recorded and masked by itself; whatever else is tried, nothing gets through."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import RemoteProtocolError, generate_accept_token

from harness.answers import CRM_TOKEN, SSN
from harness.expect import eventually, refused
from harness.gateway import ROOT, Gateway, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM, PLAIN, rules
from harness.upstream import Connection, RecordingUpstream, Seen, Watch
from harness.wire import Incomplete, Reply, Wire
from lockgate.chain import stages
from lockgate.runtime import Runtime

KEY = b64encode(bytes(range(16))).decode()
HANDSHAKE = (
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "Sec-WebSocket-Protocol: chat, superchat",
)

ROLE = """\
role: support
rules:
  - id: read
    allow: GET crm|plain /{what}
    mask: {$..ssn: redact}

  - id: open
    allow: ws crm|plain /chat/{room}
    mask: {$..ssn: redact}

  - id: say
    allow: send crm|plain /chat/{room}
    when: body.type == "say"
    redact_request: [$.secret]

  - id: shout
    hold: send crm|plain /chat/{room}
    when: body.type == "shout"

  - id: silence
    deny: send crm|plain /chat/{room}
    when: body.type == "swear"
    reason: Mind your language.

  - id: hear
    allow: receive crm|plain /chat/{room}
    when: body.type != "private"
    mask: {$.email: drop}

  - id: echo
    allow: [ws echoing /, send echoing /, receive echoing /]
    mask: {$.ssn: redact}

  - id: files
    allow: [ws crm|plain /files, send-binary crm|plain /files, receive-binary crm|plain /files]
"""


class Room:
    """The target: opens every WebSocket, keeps what it hears, and says what it is told."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.connection: Connection | None = None
        self.frames = Frames(ConnectionType.SERVER)
        self.opened = threading.Event()
        self.closed = threading.Event()
        self.answer: Callable[[Seen], bytes] = switching

    def __call__(self, connection: Connection, seen: Seen) -> None:
        self.heard, self.frames = [], Frames(ConnectionType.SERVER)
        self.connection = connection
        self.closed.clear()
        answer = self.answer(seen)
        connection.send(answer)
        if b" 101 " not in answer:
            return
        self.opened.set()
        if connection.buffer:
            self.hear(connection.buffer)
        while data := connection.receive():
            self.hear(data)
        connection.close()
        self.closed.set()

    def hear(self, data: bytes) -> None:
        with suppress(Exception):
            self.frames.receive_data(data)
            self.heard += self.frames.events()

    def say(self, document: Any) -> None:
        self.send(TextMessage(json.dumps(document)))

    def send(self, event: Event) -> None:
        self.write(self.frames.send(event))

    def write(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.send(data)

    @property
    def texts(self) -> list[str]:
        return [event.data for event in list(self.heard) if isinstance(event, TextMessage)]

    @property
    def codes(self) -> list[tuple[int, str | None]]:
        """Of close frames: code and reason."""
        return [(event.code, event.reason) for event in list(self.heard) if isinstance(event, CloseConnection)]


def switching(seen: Seen, *fields: str, accept: str = "") -> bytes:
    key = dict(seen.headers).get("sec-websocket-key", "")
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Accept: {accept or generate_accept_token(key.encode()).decode()}",
        f"X-Secret: {SSN}",
        f"Set-Cookie: session={CRM_TOKEN}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, payload: bytes, *, fin: bool = True, first: int = 0, masked: bool = True) -> bytes:
    """One frame as bytes, right or wrong; `first` are further bits of its first byte."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
    mask = 0x80 if masked else 0
    return bytes([opcode | first | (0x80 if fin else 0), length[0] | mask]) + length[1:] + bytes(4 * masked) + payload


SAY = b'{"type":"say"}'
HIDDEN = b'{"type":"news","hidden":"%b"}' % SSN.encode()


def after_head(seen: Watch) -> int:
    """How many bytes the target got behind the heads of requests."""
    return len(seen.plain.rpartition(b"\r\n\r\n")[2])


class Agent:
    """A client on a bare socket."""

    def __init__(self, wire: Wire, reply: Reply | None = None) -> None:
        self.wire = wire
        self.reply = reply
        self.wire.socket.settimeout(5)
        self.frames = Frames(ConnectionType.CLIENT)
        self.events: list[Event] = []

    def say(self, document: Any) -> None:
        self.send(TextMessage(json.dumps(document)))

    def send(self, event: Event) -> None:
        self.wire.send(self.frames.send(event))

    def next(self) -> Event:
        while not self.events:
            self.frames.receive_data(self.wire.some())
            self.events += self.frames.events()
        return self.events.pop(0)

    def closed(self) -> CloseConnection:
        """The close frame; whatever came before it is an error."""
        event = self.next()
        assert isinstance(event, CloseConnection), event
        return event


Dial = Callable[..., Agent]
Answering = Callable[[Callable[[Seen], bytes]], None]


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


@pytest.fixture(scope="module")
def tls_target(authority: Authority, room: Room) -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream(room, authority.server_context(CRM))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def target(room: Room) -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream(room)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def echoing() -> Iterator[int]:
    """The port of a server as people use it, which says again what it hears."""

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(echo, "127.0.0.1", 0, subprotocols=["superchat"], compression="deflate") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def files(tls_target: RecordingUpstream, target: RecordingUpstream, echoing: int, issuer: Issuer) -> dict[str, str]:
    extra = f"  echoing: {{url: 'http://echo.example', connect: '127.0.0.1:{echoing}', private: true}}\n"
    return {**rules(tls_target.port, target.port, issuer.jwks, extra=extra), "roles/support.yaml": ROLE}


@pytest.fixture(scope="module")
def proxy(make_module_gateway: MakeGateway, files: dict[str, str]) -> Iterator[Gateway]:
    gateway = make_module_gateway(files, script=ROOT / "tests" / "e2e" / "faulty_main.py").start()
    yield gateway
    assert gateway.stop() == 0
    assert "crashed" not in gateway.output
    assert "Traceback" not in gateway.output


@pytest.fixture
def seen(target: RecordingUpstream) -> Watch:
    return target.watch()


@pytest.fixture
def seen_inside(tls_target: RecordingUpstream) -> Watch:
    return tls_target.watch()


@pytest.fixture
def wire(proxy: Gateway, token: str) -> Iterator[Wire]:
    """A connection to the proxy, on which `asked` is sent."""
    with proxy.dial() as dialled:
        yield dialled


def asked(token: str, path: str, *fields: str, method: str = "GET") -> bytes:
    """A request of the target without TLS: most of what is tried here is the same with it, and costs more."""
    return head(method, f"http://{PLAIN}{path}", PLAIN, *identity(token), *fields)


@pytest.fixture
def dial(proxy: Gateway, token: str, room: Room) -> Iterator[Dial]:
    wires = []

    def make(path: str = "/chat/one", token: str = token, *fields: str, tls: bool = False) -> Agent:
        wire = proxy.tunnel(token) if tls else proxy.dial()
        wires.append(wire)
        request = head("GET", path, CRM, *HANDSHAKE) if tls else asked(token, path, *HANDSHAKE, *fields)
        reply = wire.ask(request)
        assert reply.status == 101, reply
        assert room.opened.wait(5)
        room.opened.clear()
        return Agent(wire, reply)

    room.answer = switching
    yield make
    for wire in wires:
        wire.close()


def test_messages_go_both_ways(dial: Dial, room: Room, proxy: Gateway, seen_inside: Watch) -> None:
    agent = dial("/chat/both", tls=True)
    agent.say({"type": "say", "text": "hello", "secret": "hush"})
    eventually(lambda: room.texts, "the target hears it")
    assert [json.loads(text) for text in room.texts] == [{"type": "say", "text": "hello", "secret": "hush"}]
    room.say({"type": "news", "ssn": SSN, "email": "a@b.example", "echo": CRM_TOKEN})
    event = agent.next()
    assert isinstance(event, TextMessage)
    assert json.loads(event.data) == {"type": "news", "ssn": "[redacted]", "echo": "[redacted]"}
    agent.send(CloseConnection(4001, "a word nobody decided on"))
    assert agent.closed().code == 4001
    assert room.closed.wait(5)
    assert room.codes == [(4001, "")]
    assert b"nobody" not in seen_inside.plain

    said, heard, opened = proxy.records(3, path="/chat/both")
    assert said["actions"] == [["send", "crm", "/chat/both"]]
    assert (said["sent"], said["decision"]["rule"], said["opened_by"]) == (True, "support/say", opened["request_id"])
    assert said["flow"].websocket.messages[0].content == b'{"type":"say","text":"hello","secret":"[redacted]"}'
    assert heard["actions"] == [["receive", "crm", "/chat/both"]]
    assert (heard["sent"], heard["masks"], heard["scrubbed"]) == (False, {"$..ssn": 1, "$.email": 1}, 1)
    assert heard["flow"].websocket.messages[0].content == b'{"type":"news","ssn":"[redacted]","echo":"[redacted]"}'
    assert not heard["flow"].websocket.messages[0].dropped
    assert (opened["actions"], opened["injected"]) == ([["ws", "crm", "/chat/both"]], ["crm-token"])
    closed = opened["flow"].websocket
    assert (closed.messages, closed.close_code, closed.closed_by_client) == ([], 4001, True)


def test_the_handshake_as_the_target_gets_it(dial: Dial, seen_inside: Watch) -> None:
    agent = dial("/chat/head", tls=True)
    (request,) = seen_inside.wait_for(1)
    fields = dict(request.headers)
    assert len(fields) == len(request.headers)
    assert (fields["connection"], fields["upgrade"]) == ("Upgrade", "websocket")
    assert (fields["sec-websocket-key"], fields["sec-websocket-version"]) == (KEY, "13")
    assert fields["sec-websocket-protocol"] == "chat, superchat"
    assert fields["authorization"] == f"Bearer {CRM_TOKEN}"
    assert "sec-websocket-extensions" not in fields
    assert agent.reply.headers == {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-accept": generate_accept_token(KEY.encode()).decode(),
    }


REFUSED_MESSAGES = {
    "denied": (TextMessage('{"type":"swear"}'), 1008, "support/silence: Mind your language."),
    "no-rule": (TextMessage('{"type":"sing"}'), 1008, "No rule allows this send."),
    "held": (TextMessage('{"type":"shout"}'), 1011, "support/shout: "),
    "no-such-field": (TextMessage('{"kind":"say"}'), 1008, ""),
    "no-json": (TextMessage("say"), 1008, "A message is read as JSON"),
    "two-keys": (TextMessage('{"type":"say","type":"swear"}'), 1008, "A message is read as JSON"),
    "empty": (TextMessage(""), 1008, "A message is read as JSON"),
    "binary": (BytesMessage(b'{"type":"say"}'), 1008, "No rule allows this send-binary."),
    "too-large": (TextMessage('{"type":"say","text":"' + "a" * 1024 * 1024 + '"}'), 1009, "A message is larger"),
}


@pytest.mark.parametrize(
    ("event", "code", "reason"), [pytest.param(*case, id=name) for name, case in REFUSED_MESSAGES.items()]
)
def test_what_is_not_allowed_is_not_sent(
    dial: Dial, room: Room, proxy: Gateway, seen: Watch, event: Event, code: int, reason: str
) -> None:
    before = len(proxy.records(path="/chat/no"))
    agent = dial("/chat/no")
    agent.send(event)
    agent.send(TextMessage('{"type":"say","text":"after"}'))
    closed = agent.closed()
    assert (closed.code, (closed.reason or "")[: len(reason)]) == (code, reason)
    assert room.closed.wait(5)
    assert (room.texts, room.codes) == ([], [(1001, "")])
    assert after_head(seen) == len(Frames(ConnectionType.CLIENT).send(CloseConnection(1001)))
    kept = proxy.records(before + 2, path="/chat/no")[before:]
    assert [(one["sent"], bool(one["refusal"])) for one in kept] == [(False, True), (True, False)]
    assert kept[0]["flow"].websocket.messages[0].dropped


def test_the_callers_token_is_not_sent(dial: Dial, room: Room, seen: Watch, proxy: Gateway, token: str) -> None:
    agent = dial("/chat/token", token)
    agent.say({"type": "say", "text": token})
    assert agent.closed().code == 1008
    assert room.closed.wait(5)
    assert token.encode() not in seen.plain
    assert room.texts == []
    assert all(token.encode() not in content for content in proxy.traces().values())


def test_what_may_not_be_received_is_dropped(dial: Dial, room: Room, proxy: Gateway) -> None:
    agent = dial("/chat/quiet")
    room.say({"type": "private", "ssn": SSN, "text": "unheard"})
    room.send(BytesMessage(b"unheard"))
    room.say({"type": "news"})
    event = agent.next()
    assert isinstance(event, TextMessage)
    assert event.data == '{"type":"news"}'
    dropped = [one["flow"].websocket.messages[0] for one in proxy.records(3, path="/chat/quiet")[:2]]
    assert [(one.content, one.dropped) for one in dropped] == [(b"", True), (b"", True)]
    assert all(b"unheard" not in content for content in proxy.traces().values())


def test_what_cannot_be_masked_closes(dial: Dial, room: Room) -> None:
    agent = dial("/chat/mask")
    room.send(TextMessage(f"ssn {SSN}"))
    assert agent.closed().code == 1008
    assert SSN.encode() not in agent.wire.received


def test_binary_where_a_rule_names_it(dial: Dial, room: Room) -> None:
    agent = dial("/files", tls=True)
    agent.send(BytesMessage(b"\x00\xff" * 1000))
    eventually(lambda: [event for event in room.heard if isinstance(event, BytesMessage)], "the target gets it")
    room.send(BytesMessage(b"\x01" + CRM_TOKEN.encode()))
    event = agent.next()
    assert isinstance(event, BytesMessage)
    assert event.data == b"\x01[redacted]"


def test_pings_end_at_the_gateway(dial: Dial, room: Room, seen: Watch) -> None:
    agent = dial("/chat/ping")
    agent.send(Ping(b"payload"))
    event = agent.next()
    assert isinstance(event, Pong)
    assert event.payload == b"payload"
    room.send(Ping(b"other"))
    eventually(lambda: [event for event in room.heard if isinstance(event, Pong)], "the target is answered")
    agent.send(Pong(b"unasked"))
    agent.say({"type": "say"})
    eventually(lambda: room.texts, "the target hears the message")
    assert not [event for event in room.heard if isinstance(event, Ping)]
    assert len([event for event in room.heard if isinstance(event, Pong)]) == 1


def test_a_message_of_many_fragments_is_one(dial: Dial, room: Room) -> None:
    agent = dial("/chat/many")
    text = json.dumps({"type": "say", "text": "é" * 2500}, ensure_ascii=False).encode()
    between = frame(9, b"") + frame(0, b"", fin=False)
    pieces = [text[at : at + 1] for at in range(len(text))]
    sent = [frame(0 if at else 1, piece, fin=at == len(pieces) - 1) for at, piece in enumerate(pieces)]
    agent.wire.send(b"".join([*sent[:99], between, *sent[99:]]))
    assert isinstance(agent.next(), Pong)
    eventually(lambda: room.texts, "the target hears it")
    assert room.texts == [text.decode()]


ATTACKS = {
    "control-in-fragments": frame(9, b"a", fin=False) + frame(0, b"b"),
    "long-control": frame(9, b"a" * 126),
    "reserved-bit": frame(1, SAY, first=0x10),
    "compressed": frame(1, b"\xaaV*\xa9,HU\xb2RP*N\xacT\xaa\x05\x00", first=0x40),
    "reserved-opcode": frame(3, SAY),
    "reserved-control": frame(0xB, b""),
    "not-masked": frame(1, SAY, masked=False),
    "not-utf8": frame(1, b'{"type":"say","text":"\xff"}'),
    "half-a-character": frame(1, b'{"type":"say","text":"\xc3'),
    "surrogate": frame(1, b'{"type":"say","text":"\xed\xa0\x80"}'),
    "continues-nothing": frame(0, SAY),
    "message-in-a-message": frame(1, b'{"type":', fin=False) + frame(1, SAY),
    "length-not-minimal": b"\x81\xfe\x00\x10" + bytes(4) + SAY,
    "length-negative": b"\x81\xff\xff" + bytes(7) + bytes(4) + SAY,
    "http-behind": head("GET", "/v1/json", CRM),
    "close-of-one-byte": frame(8, b"a"),
    "close-with-a-code-of-nobody": frame(8, struct.pack("!H", 1005)),
    "after-a-close": frame(8, struct.pack("!H", 1000)) + frame(1, SAY),
    "a-newline-before": b"\r\n" + frame(0xD, SAY),
}


@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in ATTACKS.items()])
def test_what_is_no_message_is_not_sent(dial: Dial, room: Room, seen: Watch, sent: bytes) -> None:
    agent = dial("/chat/attack")
    agent.wire.send(sent)
    agent.wire.send(frame(1, SAY))
    assert room.closed.wait(5)
    assert after_head(seen) <= 8  # a close frame with a code
    assert room.texts == []
    with suppress(Incomplete, RemoteProtocolError):
        assert isinstance(agent.next(), CloseConnection)


TARGETS = {
    "masked": frame(1, HIDDEN),
    "reserved-bit": frame(1, HIDDEN, first=0x40, masked=False),
    "reserved-opcode": frame(4, HIDDEN, masked=False),
    "not-utf8": frame(1, b"\xff" + HIDDEN, masked=False),
    "control-in-fragments": frame(9, HIDDEN[:100], fin=False, masked=False),
    "after-a-close": frame(8, b"", masked=False) + frame(1, HIDDEN, masked=False),
    "reason": frame(8, struct.pack("!H", 1000) + SSN.encode(), masked=False),
    "http": b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n" + SSN.encode(),
    "ping": frame(9, SSN.encode(), masked=False) + frame(8, b"", masked=False),
    "half": frame(1, HIDDEN, masked=False)[:-1],
}


@pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in TARGETS.items()])
def test_what_a_target_says_otherwise_is_not_passed_on(dial: Dial, room: Room, sent: bytes) -> None:
    agent = dial("/chat/target")
    before = len(agent.wire.received)
    room.write(sent)
    assert room.connection is not None
    with contextlib.suppress(OSError):  # it may be closed already
        room.connection.socket.shutdown(socket.SHUT_RDWR)
    assert agent.closed().code in (1000, 1005, 1011)
    agent.send(CloseConnection(1000))
    agent.wire.closed(5)
    assert SSN.encode() not in agent.wire.received
    assert len(agent.wire.received) - before <= 40


HANDSHAKES = {
    "two-upgrades": (("Upgrade: websocket", "Upgrade: h2c"), 403),
    "a-list-of-upgrades": (("Upgrade: websocket, h2c",), 403),
    "h2c": (("Upgrade: h2c",), 403),
    "h2c-settings": (("Upgrade: websocket", "HTTP2-Settings: AAMAAABkAAQAAP__"), 403),
    "no-key": (("Upgrade: websocket", "Sec-WebSocket-Version: 13"), 400),
    "short-key": (("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA"), 400),
    "two-keys": ((*HANDSHAKE[1:], f"Sec-WebSocket-Key: {KEY}"), 400),
    "other-version": (("Upgrade: websocket", "Sec-WebSocket-Version: 8", f"Sec-WebSocket-Key: {KEY}"), 400),
    "two-versions": ((*HANDSHAKE[1:], "Sec-WebSocket-Version: 8"), 400),
    "answers-itself": ((*HANDSHAKE[1:], "Sec-WebSocket-Accept: x"), 400),
    "names-a-header": ((*HANDSHAKE[1:], "Connection: authorization"), 400),
    "body": ((*HANDSHAKE[1:], "Content-Length: 2"), 400),
    "chunked": ((*HANDSHAKE[1:], "Transfer-Encoding: chunked"), 400),
}


@pytest.mark.parametrize(("fields", "status"), [pytest.param(*case, id=name) for name, case in HANDSHAKES.items()])
def test_no_other_handshake_goes_on(wire: Wire, token: str, seen: Watch, fields: tuple[str, ...], status: int) -> None:
    refused(wire.ask(asked(token, "/chat/one", "Connection: Upgrade", *fields) + b"0\r\n\r\n"), status)
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/v1", 403, id="get-is-not-ws"),
        pytest.param("GET", "/other/one", 403, id="no-rule"),
        pytest.param("POST", "/chat/one", 400, id="post"),
        pytest.param("HEAD", "/chat/one", 400, id="head"),
    ],
)
def test_no_other_request_opens_one(wire: Wire, token: str, seen: Watch, method: str, path: str, status: int) -> None:
    assert wire.ask(asked(token, path, *HANDSHAKE, method=method), to=method).status == status
    assert (seen.connections, seen.raw) == (0, b"")


def test_ws_is_not_get(wire: Wire, token: str, seen: Watch) -> None:
    refused(wire.ask(asked(token, "/chat/one")), 403)
    assert (seen.connections, seen.raw) == (0, b"")


ANSWERS: dict[str, Callable[[Seen], bytes]] = {
    "wrong-accept": lambda seen: switching(seen, accept="s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    "two-accepts": lambda seen: switching(seen, "Sec-WebSocket-Accept: x"),
    "extension": lambda seen: switching(seen, "Sec-WebSocket-Extensions: permessage-deflate"),
    "protocol-not-offered": lambda seen: switching(seen, "Sec-WebSocket-Protocol: other"),
    "two-protocols": lambda seen: switching(seen, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"),
    "length": lambda seen: switching(seen, f"Content-Length: {len(SSN)}") + SSN.encode(),
    "other-protocol": lambda seen: switching(seen).replace(b"Upgrade: websocket", b"Upgrade: h2c"),
    "no-upgrade": lambda seen: switching(seen).replace(b"Upgrade: websocket\r\n", b""),
    "no-connection": lambda seen: switching(seen).replace(b"Connection: Upgrade\r\n", b""),
    "old": lambda seen: switching(seen).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "interim": lambda seen: b"HTTP/1.1 103 Early Hints\r\n\r\n" + switching(seen),
}


@pytest.fixture
def answering(room: Room) -> Iterator[Answering]:
    """Has the target answer otherwise."""
    yield lambda answer: setattr(room, "answer", answer)
    room.answer = switching


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in ANSWERS.items()])
def test_no_other_answer_opens_one(
    wire: Wire, answering: Answering, token: str, answer: Callable[[Seen], bytes]
) -> None:
    answering(lambda seen: answer(seen) + frame(1, HIDDEN, masked=False))
    refused(wire.ask(asked(token, "/chat/one", *HANDSHAKE)), 502)
    wire.send(asked(token, "/chat/one", *HANDSHAKE, "Connection: close"))
    wire.closed(5)
    assert SSN.encode() not in wire.received


def test_a_101_that_nobody_asked_for(wire: Wire, token: str) -> None:
    refused(wire.ask(asked(token, "/plain")), 502)


def test_an_ordinary_answer_is_masked(wire: Wire, answering: Answering, token: str) -> None:
    body = json.dumps({"error": "no room", "ssn": SSN}).encode()
    said = f"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    answering(lambda _: said.encode() + body)
    reply = wire.ask(asked(token, "/chat/one", *HANDSHAKE))
    assert (reply.status, json.loads(reply.body)) == (404, {"error": "no room", "ssn": "[redacted]"})
    assert wire.ask(asked(token, "/plain")).status == 404  # the connection is still HTTP


def test_what_is_sent_before_it_is_open(wire: Wire, room: Room, token: str, seen: Watch) -> None:
    wire.send(asked(token, "/chat/one", *HANDSHAKE) + frame(1, SAY))
    assert wire.closed(5)
    assert room.closed.wait(5)
    assert after_head(seen) == 0


def test_what_the_target_says_at_once_is_masked(wire: Wire, answering: Answering, token: str) -> None:
    said = frame(1, b'{"type":"news","ssn":"%b"}' % SSN.encode(), masked=False)
    answering(lambda seen: switching(seen) + said)
    assert wire.ask(asked(token, "/chat/one", *HANDSHAKE)).status == 101
    event = Agent(wire).next()
    assert isinstance(event, TextMessage)
    assert json.loads(event.data) == {"type": "news", "ssn": "[redacted]"}


def test_the_end_of_a_token_ends_it(dial: Dial, issuer: Issuer, room: Room) -> None:
    agent = dial("/chat/short", issuer.token("support", exp=int(time.time()) + 1))
    closed = agent.closed()
    assert (closed.code, closed.reason) == (1008, "The caller is not identified: expired.")
    assert room.closed.wait(5)


def test_rules_that_would_not_open_it_end_it(proxy: Gateway, dial: Dial, room: Room) -> None:
    agent, other = dial("/chat/one"), dial("/files")
    try:
        change(proxy, ROLE.replace("ws crm|plain /chat/{room}", "ws crm /chat/{room}"))
        closed = agent.closed()
        assert closed.code == 1008
        assert "rules have changed" in (closed.reason or "")
        other.send(Ping())
        assert isinstance(other.next(), Pong)
    finally:
        change(proxy, ROLE)


def change(gateway: Gateway, role: str) -> None:
    """Put the role in force, and wait until it is."""
    before = gateway.output.count("Rules reloaded")
    gateway.write_rules({"roles/support.yaml": role})
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: gateway.output.count("Rules reloaded") > before, "the rules are in force")


FAULTS = [
    f"{type(stage).__name__}.ws_message.Exception{when}"
    for stage in stages(Runtime())
    if hasattr(stage, "ws_message")
    for when in ("", ".after")
]


@pytest.mark.parametrize("from_agent", [True, False], ids=["send", "receive"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_stage_that_breaks_lets_nothing_through(
    dial: Dial, room: Room, token: str, fault: str, from_agent: bool, seen: Watch
) -> None:
    agent = dial("/chat/one", token, f"X-Fault: {fault}")
    if from_agent:
        agent.send(TextMessage('{"type":"say"}'))
    else:
        room.say({"type": "news", "ssn": SSN})
    assert agent.closed().code == 1011
    assert room.closed.wait(5)
    assert (room.texts, SSN.encode() in agent.wire.received) == ([], False)
    assert after_head(seen) <= 8


def test_a_client_as_people_use_it(proxy: Gateway, room: Room, answering: Answering, token: str) -> None:
    answering(lambda seen: switching(seen, "Sec-WebSocket-Protocol: chat"))
    trusted = ssl.create_default_context(cafile=proxy.ca)
    with connect(
        f"wss://{CRM}/chat/client",
        proxy=f"http://agent:{token}@127.0.0.1:{proxy.port}",
        ssl=trusted,
        subprotocols=["chat"],
    ) as client:
        assert client.subprotocol == "chat"
        client.send('{"type": "say", "text": "hello"}')
        eventually(lambda: room.texts, "the target hears it")
        room.say({"type": "news", "ssn": SSN})
        assert json.loads(client.recv(5)) == {"type": "news", "ssn": "[redacted]"}
        client.send('{"type": "swear"}')
        with pytest.raises(ConnectionClosedError) as caught:
            client.recv(5)
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1008, "support/silence: Mind your language.")


def test_a_server_as_people_use_it(wire: Wire, token: str) -> None:
    reply = wire.ask(head("GET", "http://echo.example/", "echo.example", *identity(token), *HANDSHAKE))
    assert (reply.status, reply.headers["sec-websocket-protocol"]) == (101, "superchat")
    agent = Agent(wire)
    agent.say({"type": "say", "ssn": SSN, "text": "é" * 40000})
    event = agent.next()
    text = ""
    while isinstance(event, TextMessage) and not event.message_finished:
        text += event.data
        event = agent.next()
    assert isinstance(event, TextMessage)
    assert json.loads(text + event.data) == {"type": "say", "ssn": "[redacted]", "text": "é" * 40000}
    agent.send(CloseConnection(1000))
    assert agent.closed().code == 1000


def test_what_is_kept_of_messages_has_a_limit_and_the_end_is_recorded(
    make_gateway: MakeGateway, files: dict[str, str], room: Room, token: str
) -> None:
    limited = f"{files['gateway.yaml']}limits: {{buffered: 64KiB}}\n"
    gateway = make_gateway({**files, "gateway.yaml": limited}).start()
    text = json.dumps({"type": "say", "text": "a" * 40_000})
    with gateway.dial() as wire, gateway.dial() as another:
        assert wire.ask(asked(token, "/chat/kept", *HANDSHAKE)).status == 101
        agent, held = Agent(wire), room.heard
        for _ in range(3):  # what was decided is no longer kept
            agent.send(TextMessage(text))
        eventually(lambda: len(held) >= 3, "the target hears it")
        agent.send(TextMessage(text[:-1], message_finished=False))
        agent.send(Ping())
        assert isinstance(agent.next(), Pong)
        assert another.ask(asked(token, "/chat/much", *HANDSHAKE)).status == 101
        greedy = Agent(another)
        greedy.send(TextMessage(text[:-1], message_finished=False))
        closed = greedy.closed()
        assert (closed.code, closed.reason) == (1008, "The caller sends too much at once.")
        assert gateway.stop() == 0
    records = gateway.records(4, path="/chat/kept")
    assert [(one["actions"][0][0], one["sent"]) for one in records] == [*[("send", True)] * 3, ("ws", True)]
    assert "Fault" not in gateway.output


def test_what_a_target_has_heard_is_recorded(
    make_gateway: MakeGateway, files: dict[str, str], room: Room, token: str
) -> None:
    """Law 5, whenever the gateway is killed."""
    gateway = make_gateway(files).start()
    with gateway.dial() as wire:
        assert wire.ask(asked(token, "/chat/kill", *HANDSHAKE)).status == 101
        agent = Agent(wire)
        for number in range(30):
            agent.say({"type": "say", "text": f"number {number}."})
        eventually(lambda: len(room.texts) > 5, "the target hears some")
        gateway.kill9()
        assert room.closed.wait(5)
    gateway.start()
    recorded = [one["flow"].websocket for one in gateway.records(path="/chat/kill")]
    kept = {message.content.decode() for data in recorded if data for message in data.messages}
    assert set(room.texts) <= kept
    gateway.stop()
