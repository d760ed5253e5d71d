"""A recorded request made ready to be sent again: what of it can go, and what was not kept. Pure.

Who sent it is never in it: records have no identity headers, and what was redacted is not sent as `[redacted]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lockgate.actions import head
from lockgate.recordings.redact import REDACTED

Fields = tuple[tuple[bytes, bytes], ...]

FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
FORBIDDEN = frozenset(range(0x20)) - {0x09} | {0x7F}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1


class NotReplayable(Exception):
    """Raised for a record that cannot be sent again, in one line."""


@dataclass(frozen=True, slots=True)
class Given:
    """What stands for what was not kept: header fields, the body, the path with its query."""

    headers: Fields = ()
    body: bytes | None = None
    path: bytes | None = None


@dataclass(frozen=True, slots=True)
class Resend:
    """What is sent: `path` is the request target with its query, `headers` without Host and framing."""

    id: str
    target: str | None
    method: str
    path: bytes
    headers: Fields = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def writes(self) -> bool:
        return self.method not in SAFE


def resend(state: Mapping[str, Any], given: Given) -> Resend:
    """The request of a record, with what is `given` in place of what it has. Raises NotReplayable."""
    try:
        return made(state, given)
    except (KeyError, TypeError, AttributeError, ValueError, UnicodeError) as error:
        raise NotReplayable("it is not a record as the gateway writes it") from error


def made(state: Mapping[str, Any], given: Given) -> Resend:
    metadata, request = state["metadata"], state.get("request")
    said = metadata.get("lockgate") or {}
    if state["type"] != "http" or not isinstance(request, dict) or "event" in said or not said:
        raise NotReplayable("it is no request that the gateway recorded")
    method = request["method"].decode("ascii")
    if method == "CONNECT":
        raise NotReplayable("it is a CONNECT: there is nothing in it to send")
    if state.get("websocket") or any(name.lower() == b"upgrade" for name, _ in request["headers"]):
        raise NotReplayable("it is of a WebSocket, which cannot be replayed")
    if lacking := missing(said, request, given):
        raise NotReplayable(f"not all of it was kept; missing: {', '.join(lacking)}")
    replaced = {name.lower() for name, _ in given.headers}
    kept = [(name, value) for name, value in request["headers"] if name.lower() not in replaced]
    fields = tuple((name, value) for name, value in (*kept, *given.headers) if is_sent(name))
    found = Resend(
        id=str(said.get("request_id") or state["id"]),
        target=said.get("target"),
        method=method,
        path=given.path if given.path is not None else request["path"],
        headers=fields,
        body=given.body if given.body is not None else request["content"] or b"",
    )
    require_plain(found)
    return found


def is_sent(name: bytes) -> bool:
    return name.lower() not in FRAMING and head.is_passed_on(name.decode("latin-1"))


def missing(said: Mapping[str, Any], request: Mapping[str, Any], given: Given) -> list[str]:
    """Names of what was not kept and is not given: `header:x-api-key`, `query:token`, `body`."""
    names: list[str] = []
    keeps = said.get("recorded", "full")
    replaced = {name.lower().decode("latin-1") for name, _ in given.headers}
    if keeps == "digest":
        names += [] if given.headers else ["headers"]
        names += [] if given.path is not None else ["query"]
    if given.body is None and body_is_missing(said, request, keeps):
        names.append("body")
    for name in redacted(said):
        kind, _, what = name.partition(":")
        if kind == "header":
            there = what.lower() in replaced or not is_sent(what.encode("latin-1", "replace"))
        elif kind in ("query", "path", "authority"):
            there = given.path is not None
        else:
            there = given.body is not None or (kind != "body" and stands_in_head(request))
        names += [] if there else [name]
    marked = [
        name.decode("latin-1").lower() for name, value in request["headers"] if REDACTED in value and is_sent(name)
    ]
    names += [f"header:{name}" for name in marked if name not in replaced]
    if given.path is None and REDACTED in request["path"]:
        names.append("path")
    return list(dict.fromkeys(names))


def stands_in_head(request: Mapping[str, Any]) -> bool:
    """Whether what was redacted, wherever it stood, can only have been in the path or a header field."""
    head_has = REDACTED in request["path"] or any(REDACTED in value for _, value in request["headers"])
    return head_has and REDACTED not in (request["content"] or b"")


def redacted(said: Mapping[str, Any]) -> list[str]:
    found = said.get("redacted")
    names = found.get("request") if isinstance(found, Mapping) else None
    return [str(name) for name in names] if isinstance(names, list) else []


def body_is_missing(said: Mapping[str, Any], request: Mapping[str, Any], keeps: object) -> bool:
    for name in ("truncated", "withheld"):
        found = said.get(name)
        if isinstance(found, Mapping) and "request" in found:
            return True
    if request["content"] is not None and keeps == "full":
        return False
    fields = {name.lower(): value for name, value in request["headers"]}
    if keeps == "digest":
        return request["method"] not in (b"GET", b"HEAD")
    return fields.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in fields


def require_plain(found: Resend) -> None:
    """Raise NotReplayable for bytes that would end a line or a field: nothing is put into the head that way."""
    parts: Sequence[bytes] = (found.path, *[part for each in found.headers for part in each])
    if any(not FORBIDDEN.isdisjoint(part) for part in parts):
        raise NotReplayable("its path or a header field has a control character")
    if not found.path.startswith(b"/") or b" " in found.path or any(byte >= 0x80 for byte in found.path):
        raise NotReplayable("its path is not one that can be sent")
    if not head.REPLAYED.fullmatch(found.id):
        raise NotReplayable("its id is none")
    if not found.method.isalpha() or any(not name or b":" in name or b" " in name for name, _ in found.headers):
        raise NotReplayable("its method or a header's name is not one that can be sent")
