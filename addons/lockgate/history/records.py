"""What of a record deciding again needs, read without the rest: many records are read, and most of each is answers.

A record is a tnetstring (https://tnetstrings.info) of a flow's state. Whoever may write to the directory may have
written it: everything is checked for its type, and what is not as it should be is no record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lockgate.policy.cases import Url
from lockgate.recordings.tnetstring import DICTIONARY, MAX_DIGITS, TEXT, Span, members, span


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a WebSocket."""

    from_agent: bool
    is_text: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class Past:
    """A request as it was recorded. `content` is None where no body was; `said` is what the gateway says of it."""

    id: str
    method: str
    url: Url
    headers: tuple[tuple[str, str], ...]
    content: bytes | None
    message: Message | None
    said: Mapping[str, Any]

    @property
    def decision(self) -> Mapping[str, Any] | None:
        return mapping(self.said.get("decision"))

    @property
    def approved(self) -> frozenset[str]:
        """The names of the rules whose holds were met."""
        approval = mapping(self.said.get("approval")) or {}
        rules = approval.get("rules")
        return frozenset(map(str, rules)) if isinstance(rules, list) else frozenset()

    @property
    def generation(self) -> str:
        return str(self.said.get("generation") or "")


def past(raw: bytes) -> Past | None:
    """The request of a record; None for what is none: an event, a flow of somebody else's, another protocol's.

    Raises ValueError for what is no record at all.
    """
    try:
        return read(raw)
    except (IndexError, KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError("not a record") from error


def read(raw: bytes) -> Past | None:
    whole = span(raw, 0, len(raw))
    if whole.end + 1 != len(raw) or whole.kind != DICTIONARY:
        raise ValueError("not a record")
    parts = some(raw, whole, FLOW)
    said = parts["metadata"].get("lockgate")
    if said is None or parts["type"] != "http" or "event" in said:
        return None
    request, socket = parts["request"], parts.get("websocket")
    return Past(
        id=str(said.get("request_id") or parts["id"]),
        method=latin(request["method"]),
        url=Url(latin(request["scheme"]), str(request["host"]), int(request["port"]), text(request["path"])),
        headers=tuple([(text(name), text(content)) for name, content in request["headers"]]),
        content=octets(request["content"]),
        message=message(socket) if isinstance(socket, dict) and socket["messages"] else None,
        said=said,
    )


SAID = frozenset(
    b"version event request_id time principal target opened_by actions decision decided_at approval generation masks"
    b" refusal stage recorded redacted truncated withheld".split()
)
FLOW = frozenset(b"type id request websocket metadata".split())
REQUEST = frozenset(b"method scheme host port path headers content".split())


def some(raw: bytes, at: Span, names: frozenset[bytes]) -> dict[str, Any]:
    """A dictionary's members of these names, as far as it has them. The others are skipped: they are most of it."""
    found: dict[str, Any] = {}
    find, position, end = raw.index, at.begin, at.end
    while position < end:  # written out, for this is where the time goes
        colon = find(b":", position, position + MAX_DIGITS + 1)
        digits = raw[position:colon]
        behind = colon + 1 + int(digits)
        name = raw[colon + 1 : behind]
        start = behind + 1
        begin = find(b":", start, start + MAX_DIGITS + 1) + 1
        length = raw[start : begin - 1]
        if not digits.isdigit() or not length.isdigit() or raw[behind] != TEXT:
            raise ValueError("not a dictionary")
        position = begin + int(length) + 1
        if name in names:
            found[name.decode()] = member(raw, name, Span(start, begin, position - 1, raw[position - 1]))
    if position != end:
        raise ValueError("not a dictionary")
    return found


def message(socket: Mapping[str, Any]) -> Message:
    kind, from_agent, content, *_ = socket["messages"][0]
    return Message(bool(from_agent), kind == 1, octets(content) or b"")


def octets(found: Any) -> bytes | None:
    if found is not None and not isinstance(found, bytes):
        raise TypeError("a body is bytes")
    return found


def text(found: bytes) -> str:
    """As mitmproxy reads header fields and paths."""
    return found.decode("utf-8", "surrogateescape")


def latin(found: bytes) -> str:
    return found.decode("latin-1")


def mapping(found: Any) -> Mapping[str, Any] | None:
    return found if isinstance(found, dict) else None


def value(raw: bytes, at: Span) -> Any:
    """A value. What many records have in common is one object, which must not be changed."""
    kind = at.kind
    if kind == DICTIONARY:
        return {name.decode(): member(raw, name, each) for name, each in members(raw, at).items()}
    if kind == LIST:
        return items(raw, at)
    data = raw[at.begin : at.end]
    if kind not in SCALARS:
        raise ValueError("an unknown kind of value")
    return SCALARS[kind](data)


def items(raw: bytes, at: Span) -> list[Any]:
    found = []
    position = at.begin
    while position < at.end:
        place = span(raw, position, at.end)
        found.append(value(raw, place))
        position = place.end + 1
    return found


def member(raw: bytes, name: bytes, at: Span) -> Any:
    if at.kind == DICTIONARY and name in PARTS:
        return some(raw, at, PARTS[name])
    return shared(raw[at.start : at.end + 1]) if name in SHARED else value(raw, at)


@lru_cache(maxsize=4096)
def shared(data: bytes) -> Any:
    return value(data, span(data, 0, len(data)))


SHARED = frozenset({b"principal", b"decision"})  # of requests that are alike these are the same
PARTS = {b"request": REQUEST, b"metadata": frozenset({b"lockgate"}), b"lockgate": SAID}
LIST = ord("]")
SCALARS: Mapping[int, Callable[[bytes], Any]] = {
    ord(","): bytes,
    ord(";"): bytes.decode,
    ord("#"): int,
    ord("^"): float,
    ord("!"): lambda data: data == b"true",
    ord("~"): lambda _: None,
}
