"""WebSocket (RFC 6455): the request that opens one, the answer to it, and what each message asks for. Pure.

What is opened is `ws` on the path. A message is `send` or `receive` on the same path, a binary one `send-binary` or
`receive-binary`; its JSON document is what conditions read as `body`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha1

from lockgate.actions.head import Fields, values
from lockgate.bodies.json import parse
from lockgate.errors import BodyUnreadable, RequestUnreadable
from lockgate.model import Action, HttpFacts, Unreadable
from lockgate.refusals import Refusal

VERB = "ws"
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
KNOWN = frozenset({f"sec-websocket-{name}" for name in ("key", "version", "protocol", "extensions")})
HOP = (("connection", "Upgrade"), ("upgrade", "websocket"))  # what asks the next one for a WebSocket, and says yes
# No extension is ever asked for, so that a message is what its frames hold.
NOT_SENT_ON = frozenset({"connection", "upgrade", "sec-websocket-extensions"})
BINARY = Unreadable("the message is binary")
MAX_REASON = 123  # bytes of a close frame's reason (RFC 6455, section 5.5)


def is_asked(fields: Fields) -> bool:
    """Whether a request asks for a WebSocket and for no other protocol."""
    return [value.lower() for value in values(fields, "upgrade")] == ["websocket"]


def require_handshake(method: str, version: str, fields: Fields) -> None:
    """Raise RequestUnreadable for a request that asks for a WebSocket otherwise than RFC 6455, section 4.1, says."""
    if method != "GET" or version != "HTTP/1.1":
        raise RequestUnreadable("a WebSocket is asked for by GET and HTTP/1.1")
    if "upgrade" not in tokens(fields, "connection"):
        raise RequestUnreadable("it has an Upgrade that its Connection does not name")
    if any(values(fields, name) for name in ("content-length", "transfer-encoding", "expect")):
        raise RequestUnreadable("a request for a WebSocket has no body")
    if values(fields, "sec-websocket-version") != ["13"]:
        raise RequestUnreadable("its Sec-WebSocket-Version is not 13")
    if not is_key(values(fields, "sec-websocket-key")):
        raise RequestUnreadable("its Sec-WebSocket-Key is not 16 bytes in base64")
    offered = protocols(fields)
    if len(set(offered)) < len(offered) or not all(map(TOKEN.fullmatch, offered)):
        raise RequestUnreadable("its Sec-WebSocket-Protocol is not a list of names")
    if any(name.lower().startswith("sec-websocket-") and name.lower() not in KNOWN for name, _ in fields):
        raise RequestUnreadable("it has a Sec-WebSocket header that a request does not have")


def is_key(found: Sequence[str]) -> bool:
    try:
        return len(found) == 1 and b64encode(key := b64decode(found[0])).decode() == found[0] and len(key) == 16
    except (Error, ValueError):
        return False


def accepted(asked: Fields, answered: Fields) -> list[tuple[str, str]] | None:
    """The fields with which a 101 goes to the agent; None where it is not the right answer to what was asked.

    They say what section 4.1 demands and nothing of the target's own.
    """
    key = values(asked, "sec-websocket-key")
    if len(key) != 1 or values(answered, "sec-websocket-accept") != [accept_of(key[0])]:
        return None
    if not is_asked(answered) or "upgrade" not in tokens(answered, "connection"):
        return None
    if any(values(answered, name) for name in ("sec-websocket-extensions", "content-length", "transfer-encoding")):
        return None
    chosen = values(answered, "sec-websocket-protocol")
    if len(chosen) > 1 or not set(chosen) <= set(protocols(asked)):
        return None
    return [*HOP, ("sec-websocket-accept", accept_of(key[0])), *(("sec-websocket-protocol", name) for name in chosen)]


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept that shows that `key` was read."""
    return b64encode(sha1(f"{key}{GUID}".encode("latin-1"), usedforsecurity=False).digest()).decode()


def protocols(fields: Fields) -> list[str]:
    return [part.strip() for value in values(fields, "sec-websocket-protocol") for part in value.split(",")]


def tokens(fields: Fields, name: str) -> set[str]:
    """The list of a header field, in lower case."""
    return {token.strip().lower() for value in values(fields, name) for token in value.split(",")}


def read(
    opening: Action, facts: HttpFacts, content: bytes, *, from_agent: bool, is_text: bool
) -> tuple[Action, HttpFacts]:
    """The action of one message, and its facts: those of the request that opened the WebSocket, and its document.

    `opening` is the action of that request. Raises BodyUnreadable for a text that is no JSON.
    """
    verb = "send" if from_agent else "receive"
    if not is_text:
        return replace(opening, verb=f"{verb}-binary"), replace(facts, body=BINARY)
    return replace(opening, verb=verb), replace(facts, body=parse(content, one_letter_case=from_agent))


def unreadable(why: BodyUnreadable) -> Refusal:
    """What is said of a text that is no JSON."""
    return Refusal(400, f"A message is read as JSON: {why}.", "Send JSON texts.")


def close_reason(text: str) -> str:
    """As much of `text` as a close frame takes."""
    return text.encode()[:MAX_REASON].decode(errors="ignore")
