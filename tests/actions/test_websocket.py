"""WebSocket: which request opens one, which answer says yes, what a message asks for."""

from __future__ import annotations

import pytest
from wsproto.utilities import generate_accept_token

from lockgate.actions.websocket import MAX_REASON, accept_of, accepted, close_reason, is_asked, read, require_handshake
from lockgate.errors import BodyUnreadable, RequestUnreadable
from lockgate.model import Action, HttpFacts, Unreadable

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
ASKED = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Protocol", "chat, superchat"),
]
ANSWERED = [
    ("Upgrade", "WebSocket"),
    ("Connection", "upgrade"),
    ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ("Server", "x"),
]
YES = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
]

Fields = list[tuple[str, str]]


def without(fields: Fields, name: str) -> Fields:
    return [field for field in fields if field[0] != name]


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        pytest.param(["websocket"], True, id="asked"),
        pytest.param(["WebSocket"], True, id="in-another-case"),
        pytest.param([], False, id="not"),
        pytest.param(["websocket", "websocket"], False, id="twice"),
        pytest.param(["websocket, h2c"], False, id="or-something-else"),
        pytest.param(["websocket/13"], False, id="a-version-of-it"),
    ],
)
def test_is_asked(values: list[str], asked: bool) -> None:
    assert is_asked([("Upgrade", value) for value in values]) is asked


def test_a_right_handshake() -> None:
    require_handshake("GET", "HTTP/1.1", ASKED)
    require_handshake("GET", "HTTP/1.1", without(ASKED, "Sec-WebSocket-Protocol"))
    require_handshake("GET", "HTTP/1.1", [*ASKED, ("Sec-WebSocket-Extensions", "permessage-deflate")])


@pytest.mark.parametrize(
    ("method", "version", "fields", "why"),
    [
        pytest.param("POST", "HTTP/1.1", ASKED, "by GET", id="post"),
        pytest.param("get", "HTTP/1.1", ASKED, "by GET", id="lower-case"),
        pytest.param("GET", "HTTP/1.0", ASKED, "HTTP/1.1", id="old"),
        pytest.param("GET", "HTTP/2.0", ASKED, "HTTP/1.1", id="new"),
        pytest.param("GET", "HTTP/1.1", without(ASKED, "Connection"), "Connection", id="no-connection"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Content-Length", "0")], "no body", id="length"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Transfer-Encoding", "chunked")], "no body", id="chunked"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Expect", "100-continue")], "no body", id="expect"),
        pytest.param("GET", "HTTP/1.1", without(ASKED, "Sec-WebSocket-Version"), "Version", id="no-version"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Sec-WebSocket-Version", "13")], "Version", id="two-versions"),
        pytest.param("GET", "HTTP/1.1", without(ASKED, "Sec-WebSocket-Key"), "Key", id="no-key"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Sec-WebSocket-Key", KEY)], "Key", id="two-keys"),
        *(
            pytest.param(
                "GET", "HTTP/1.1", [*without(ASKED, "Sec-WebSocket-Key"), ("Sec-WebSocket-Key", key)], "Key", id=name
            )
            for name, key in {
                "short-key": "AAAA",
                "long-key": KEY[:-2] + "AAAA",
                "key-of-no-base64": "*" * 24,
                "key-of-no-ascii": "é" * 24,
                "other-spelling-of-a-key": KEY[:-3] + "R==",
                "key-with-a-blank": KEY[:4] + " " + KEY[4:],
            }.items()
        ),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Sec-WebSocket-Protocol", "chat")], "Protocol", id="offered-twice"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Sec-WebSocket-Protocol", "a b")], "Protocol", id="no-name"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Sec-WebSocket-Protocol", "")], "Protocol", id="empty"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("Sec-WebSocket-Accept", "x")], "header", id="an-answer"),
        pytest.param("GET", "HTTP/1.1", [*ASKED, ("sec-websocket-key1", "x")], "header", id="a-draft"),
    ],
)
def test_a_wrong_handshake(method: str, version: str, fields: Fields, why: str) -> None:
    with pytest.raises(RequestUnreadable) as caught:
        require_handshake(method, version, fields)
    assert why in caught.value.reason


def test_the_accept_is_the_one_others_compute() -> None:
    assert accept_of(KEY) == generate_accept_token(KEY.encode()).decode() == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("answered", "passed"),
    [
        pytest.param(ANSWERED, YES, id="right"),
        pytest.param(
            [*ANSWERED, ("Sec-WebSocket-Protocol", "chat")], [*YES, ("sec-websocket-protocol", "chat")], id="protocol"
        ),
        pytest.param([*ANSWERED, ("Sec-WebSocket-Protocol", "other")], None, id="protocol-not-offered"),
        pytest.param([*ANSWERED, ("Sec-WebSocket-Protocol", "chat, superchat")], None, id="both-protocols"),
        pytest.param([*ANSWERED, *[("Sec-WebSocket-Protocol", "chat")] * 2], None, id="protocol-twice"),
        pytest.param([*ANSWERED, ("Sec-WebSocket-Extensions", "x")], None, id="extension"),
        pytest.param([*ANSWERED, ("Content-Length", "0")], None, id="length"),
        pytest.param([*ANSWERED, ("Sec-WebSocket-Accept", "x")], None, id="two-accepts"),
        pytest.param(without(ANSWERED, "Sec-WebSocket-Accept"), None, id="no-accept"),
        pytest.param(without(ANSWERED, "Connection"), None, id="no-connection"),
        pytest.param(without(ANSWERED, "Upgrade"), None, id="no-upgrade"),
        pytest.param([*ANSWERED, ("Upgrade", "h2c")], None, id="two-upgrades"),
    ],
)
def test_accepted(answered: Fields, passed: Fields | None) -> None:
    assert accepted(ASKED, answered) == passed


def test_nothing_is_accepted_that_was_not_asked_for() -> None:
    assert accepted([], ANSWERED) is None


OPENING = Action("ws", "crm", "/chat/one")
FACTS = HttpFacts("GET", "api.crm.example", "/chat/one", query={"a": ("1",)})


@pytest.mark.parametrize(
    ("from_agent", "is_text", "verb"),
    [
        pytest.param(True, True, "send", id="send"),
        pytest.param(False, True, "receive", id="receive"),
        pytest.param(True, False, "send-binary", id="send-binary"),
        pytest.param(False, False, "receive-binary", id="receive-binary"),
    ],
)
def test_read(from_agent: bool, is_text: bool, verb: str) -> None:
    action, facts = read(OPENING, FACTS, b'{"a":1}', from_agent=from_agent, is_text=is_text)
    assert action == Action(verb, "crm", "/chat/one")
    assert (facts.path, facts.query) == (FACTS.path, FACTS.query)
    assert facts.body == {"a": 1} if is_text else isinstance(facts.body, Unreadable)


@pytest.mark.parametrize("content", [b"", b"a", b'{"a":1,"a":2}', b'{"a":1}{"a":2}', b"\xff"])
def test_a_text_that_is_no_json(content: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        read(OPENING, FACTS, content, from_agent=True, is_text=True)


def test_a_reason_fits_a_close_frame() -> None:
    assert close_reason("short") == "short"
    long = close_reason("é" * 100)
    assert long == "é" * (MAX_REASON // 2)
