"""One recorded request as exports show it: checked for its types, further redacted, bodies decoded. Pure.

Whoever may write to a directory may have written its records: what is not as it should be is no entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lockgate.bodies.encodings import decode
from lockgate.errors import BodyUnreadable, MaskingFailed
from lockgate.recordings import redact
from lockgate.recordings.chain import Link
from lockgate.recordings.dump import as_utf8, header
from lockgate.recordings.files import Record
from lockgate.recordings.redact import Found
from lockgate.recordings.redactions import HEADERS, QUERY, Redactions, compile_redactions

MAX_BODY = 64 * 1024 * 1024  # bytes of one body, decoded; a larger one is left out
# What a value that is taken out elsewhere could be read from, or tried against: facts are values, the fingerprint is a
# digest without a key.
TELLING = frozenset({"fingerprint"})

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Leaving:
    """What an export leaves out: `$.path`, `header:NAME`, `query:NAME`; all bodies, with `bodies` False."""

    redact: tuple[str, ...] = ()
    bodies: bool = True

    @property
    def compiled(self) -> Redactions:
        return compile_redactions(tuple(map(compiled_text, self.redact)))

    def require_compilable(self) -> None:
        """Raise ValueError for what names nothing."""
        compile_redactions(tuple(map(compiled_text, self.redact)))

    @property
    def anything(self) -> bool:
        return bool(self.redact) or not self.bodies


def compiled_text(text: str) -> str:
    """As `redact_request` has it. Raises ValueError for what names nothing."""
    kind, colon, name = text.partition(":")
    if text.startswith("$"):
        return text
    if not colon or not name or kind not in ("header", "query"):
        raise ValueError(f"{text!r} names nothing: write $.path, header:NAME or query:NAME")
    return (HEADERS if kind == "header" else QUERY) + name.lower()


@dataclass(frozen=True, slots=True)
class Message:
    """One side of an exchange. `body` is decoded, None where there is none here; `note` says why."""

    version: str
    headers: Fields
    body: bytes | None
    note: str = ""

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each.lower() == name]

    @property
    def content_type(self) -> str:
        return ", ".join(self.values("content-type"))


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of a WebSocket."""

    from_agent: bool
    is_text: bool
    content: bytes
    time: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `path` has its query; `status` is what the agent got, None where it got nothing."""

    link: Link
    id: str
    flow_id: str
    time: datetime
    method: str
    scheme: str
    host: str
    port: int
    path: str
    request: Message
    response: Message | None
    status: int | None
    reason: str
    frames: tuple[Frame, ...]
    moments: Mapping[str, float | None]
    server_address: str
    error: str
    said: Mapping[str, Any]

    @property
    def url(self) -> str:
        if self.method == "CONNECT":
            return f"{self.host}:{self.port}"
        default = {"http": 80, "https": 443}.get(self.scheme)
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == default else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    def member(self, name: str) -> Mapping[str, Any]:
        """A member of what the gateway says; empty where there is none."""
        found = self.said.get(name)
        return found if isinstance(found, Mapping) else {}

    @property
    def roles(self) -> list[str]:
        found = self.member("principal").get("roles")
        return [str(role) for role in found] if isinstance(found, list) else []


def is_request(record: Record) -> bool:
    """Whether a record is of a request, and no event or flow of somebody else's."""
    state = record.state
    return (
        state is not None and state.get("type") == "http" and bool(record.lockgate) and "event" not in record.lockgate
    )


def entry_of(record: Record, leaving: Leaving) -> Entry:
    """Raises ValueError for a record that is not as the gateway writes it."""
    try:
        return build(record, leaving)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError("not a record") from error


def build(record: Record, leaving: Leaving) -> Entry:
    state, said, link = record.state, record.lockgate, record.seen.link
    if state is None or link is None:
        raise ValueError("not a record")
    request, response = state["request"], state["response"]
    compiled = leaving.compiled
    refusal = said.get("refusal")
    status = response["status_code"] if response else (refusal["status"] if refusal else None)
    connection = state["server_conn"]
    address = connection.get("peername") or ("",)
    return Entry(
        link=link,
        id=str(said.get("request_id") or state["id"]),
        flow_id=str(state["id"]),
        time=moment(said.get("time"), state["timestamp_created"]),
        method=text(request["method"]),
        scheme=text(request["scheme"]),
        host=str(request["host"]),
        port=int(request["port"]),
        path=text(redact.target(compiled.target(request["path"], Found()), compiled.names)),
        request=message(request, leaving, compiled, said, "request"),
        response=message(response, leaving, compiled, said, "response") if response else None,
        status=None if status is None else int(status),
        reason=text(response["reason"]) if response else "",
        frames=tuple(frame(each, leaving, compiled) for each in ((state.get("websocket") or {}).get("messages") or ())),
        moments={
            "connect_start": number(connection.get("timestamp_start")),
            "connect_end": number(connection.get("timestamp_tcp_setup")),
            "request_start": number(request.get("timestamp_start")),
            "request_end": number(request.get("timestamp_end")),
            "response_start": number(response.get("timestamp_start")) if response else None,
            "response_end": number(response.get("timestamp_end")) if response else None,
        },
        server_address=str(address[0]),
        error=str((state["error"] or {}).get("msg", "")),
        said=less(said) if leaving.anything else said,
    )


def message(
    found: dict[str, Any], leaving: Leaving, compiled: Redactions, said: Mapping[str, Any], side: str
) -> Message:
    fields = redact.headers(compiled.headers(pairs(found["headers"]), Found()), compiled.names)
    headers = tuple((text(name), text(value)) for name, value in fields)
    body, note = body_of(found, leaving, compiled)
    if not note:
        note = "; ".join(
            f"{name}: {entries[side]}" for name in ("withheld", "truncated") if side in (entries := of(said, name))
        )
    return Message(text(found["http_version"]), headers, body, note)


def of(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, Mapping) else {}


def pairs(fields: Sequence[Sequence[bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in fields]


def body_of(found: dict[str, Any], leaving: Leaving, compiled: Redactions) -> tuple[bytes | None, str]:
    """A body, decoded and without what is left out; or why there is none here."""
    content = found["content"]
    if content is None:
        return None, "not recorded"
    if not isinstance(content, bytes):
        raise TypeError("a body is bytes")
    if not content:
        return b"", ""
    if not leaving.bodies:
        return None, "left out of this export"
    try:
        plain = decode(content, header(found, b"content-encoding") or None, MAX_BODY)
    except BodyUnreadable as error:
        return None, f"left out of this export: {error}"
    return cleaned(plain, header(found, b"content-type"), compiled)


def cleaned(body: bytes, content_type: str, compiled: Redactions) -> tuple[bytes | None, str]:
    try:
        left = compiled.body(body, content_type, Found())
    except (BodyUnreadable, MaskingFailed) as error:
        return None, f"left out of this export: {error}"
    return redact.text(as_utf8(left), compiled.names) if compiled.names.fields else left, ""


def frame(found: Sequence[Any], leaving: Leaving, compiled: Redactions) -> Frame:
    kind, from_agent, content, time, *_ = found
    if not isinstance(content, bytes):
        raise TypeError("a message is bytes")
    kept: bytes | None = content
    if not leaving.bodies:
        kept = b""
    elif leaving.redact:
        kept, _ = cleaned(content, "application/json" if kind == 1 else "", compiled)
    return Frame(bool(from_agent), kind == 1, kept or b"", float(time))


def less(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the gateway says, without values of the request."""
    kept = {name: value for name, value in said.items() if name not in TELLING}
    principal, decision = said.get("principal"), said.get("decision")
    if isinstance(principal, dict):
        kept["principal"] = {name: value for name, value in principal.items() if name != "claims"}
    if isinstance(decision, dict):
        considered = [
            {name: value for name, value in each.items() if name not in ("facts", "detail")}
            for each in decision.get("considered") or ()
        ]
        kept["decision"] = {**decision, "considered": considered}
    return kept


def moment(said: Any, created: float) -> datetime:
    if isinstance(said, str):
        found = datetime.fromisoformat(said)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return datetime.fromtimestamp(created, UTC)


def number(value: Any) -> float | None:
    return None if value is None else float(value)


def text(value: bytes | str) -> str:
    """What is no UTF-8 is spelt out."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
