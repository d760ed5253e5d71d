"""Flows as they are recorded: scrubbed states in mitmproxy's own format. The only module of the port that imports it.

What belongs here: what of a flow is kept, and its serialisation. What never does: files, the chain, the secret of any
flow that passes through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict
from weakref import WeakKeyDictionary

from mitmproxy import connection, flow, http
from mitmproxy.io import tnetstring
from mitmproxy.version import FLOW_FORMAT_VERSION

from lockgate.bodies.encodings import decode
from lockgate.errors import BodyUnreadable, MaskingFailed
from lockgate.recordings import redact
from lockgate.recordings.delivered import Delivered
from lockgate.recordings.redact import BUILT_IN, Found, Names
from lockgate.recordings.redactions import compile_redactions
from lockgate.recordings.tnetstring import Written

VERSION = 2
HOST = "lockgate.invalid"
MAX_BODY = 10 * 1024 * 1024

State = dict[str, Any]
"""A flow's state: what `Flow.get_state()` gives, plain values only."""


class PrincipalEntry(TypedDict):
    """Who: as the verified token says. `claims` are those that a condition may read."""

    issuer: str
    subject: str
    roles: list[str]
    token_id: str | None
    claims: NotRequired[dict[str, Any]]


class ConsideredEntry(TypedDict):
    """One rule considered: `rule` is `role/rule-id`, `source` is `file:line`, `facts` what its condition has read."""

    rule: str
    source: str
    verdict: str
    outcome: str
    detail: str
    facts: NotRequired[dict[str, Any]]


class DecisionEntry(TypedDict):
    """What the policy said."""

    verdict: str
    rule: str | None
    reason: str | None
    considered: list[ConsideredEntry]


class RefusalEntry(TypedDict):
    """What the agent was told instead of an answer."""

    status: int
    detail: str


class Projection(TypedDict):
    """`metadata["lockgate"]` as the Record stage hands it over; `recordings/README.md` says what each member means.

    `time` is UTC as in RFC 3339, `timings` are milliseconds. What is added here: `recorded`, `redacted`, `truncated`,
    `withheld`, `decoded`, `repaired` and `chain`.
    """

    version: int
    request_id: str
    time: str
    principal: PrincipalEntry | None
    client: str
    target: str | None
    actions: list[list[str]]
    decision: DecisionEntry | None
    decided_at: str | None
    generation: str
    masks: dict[str, int]
    scrubbed: int
    injected: list[str]
    refusal: RefusalEntry | None
    stage: str | None
    sent: bool
    upstream_status: int | None
    timings: dict[str, float]
    fingerprint: NotRequired[str | None]
    digests: NotRequired[dict[str, dict[str, str | None]]]


def loads(data: bytes) -> State:
    """The dictionary in a tnetstring, which is written again to the same bytes. ValueError for anything else."""
    try:
        value = in_written_order(tnetstring.loads(data))
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise ValueError("not a record") from error
    if not isinstance(value, dict):
        raise ValueError("not a record")
    return value


def read_value(data: bytes) -> Any:
    """One value of a record. Raises ValueError."""
    try:
        return in_written_order(tnetstring.loads(data))
    except (TypeError, IndexError, RecursionError) as error:
        raise ValueError("not a value") from error


def in_written_order(value: Any) -> Any:
    """mitmproxy writes a dictionary's entries last first; read back they are put in their order again."""
    if isinstance(value, dict):
        return {key: in_written_order(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [in_written_order(entry) for entry in value]
    return value


def flow_state(
    subject: flow.Flow,
    projection: Mapping[str, Any],
    *,
    max_body: int = MAX_BODY,
    redactions: tuple[str, ...] = (),
    streamed: Delivered | None = None,
) -> State:
    """What is recorded of a flow. Nothing in it is shared with the flow but immutable values.

    Kept: the messages, redacted by the built-in lists and the request by `redactions` too (`Decision.redactions`),
    bodies up to `max_body` bytes; addresses and times. The body of an answer that was streamed is not on the flow: what
    of it was delivered is in `streamed`.
    Not kept: certificates, mitmproxy's backup, any metadata but `projection`.
    Raises ValueError when `projection` holds anything but plain values.
    """
    notes = Notes(max_body, redactions)
    state = http_state(subject) if type(subject) is http.HTTPFlow else subject.get_state()
    for side, connected in (("client_conn", subject.client_conn), ("server_conn", subject.server_conn)):
        state[side] = connection_state(connected)
        if connected.error:
            state[side] = {**state[side], "error": notes.text(connected.error)}
    state["backup"] = None
    if state["error"]:
        state["error"] = {**state["error"], "msg": notes.text(state["error"]["msg"])}
    if streamed is not None and state.get("response"):
        state["response"] = {**state["response"], "content": streamed.body}
        notes.stream(streamed)
    if state["type"] == "http":
        state["request"] = notes.request(state["request"])
        if state["response"]:
            state["response"] = notes.message("response", state["response"])
    if state.get("websocket"):
        messages = notes.messages(state["websocket"]["messages"], content=2)
        state["websocket"] = {**state["websocket"], "messages": messages}
    if "messages" in state:
        state["messages"] = notes.messages(state["messages"], content=1)
    done = CONNECTIONS | MESSAGES if state["type"] == "http" else CONNECTIONS
    state = {name: entry if name in done else plain(entry) for name, entry in state.items()}
    state["comment"] = clean(state["comment"])
    state["metadata"] = {"lockgate": {**clean(projection), **notes.entries()}}
    return state


CONNECTIONS = frozenset({"client_conn", "server_conn"})
MESSAGES = frozenset({"request", "response"})


def http_state(subject: http.HTTPFlow) -> State:
    """As `get_state()`, without what is not kept; connections come after."""
    return {
        "version": FLOW_FORMAT_VERSION,
        "type": subject.type,
        "id": subject.id,
        "error": subject.error.get_state() if subject.error else None,
        "client_conn": None,
        "server_conn": None,
        "intercepted": subject.intercepted,
        "is_replay": subject.is_replay,
        "marked": subject.marked,
        "metadata": {},
        "comment": subject.comment,
        "timestamp_created": subject.timestamp_created,
        "backup": None,
        "request": subject.request.get_state(),
        "response": subject.response.get_state() if subject.response else None,
        "websocket": subject.websocket.get_state() if subject.websocket else None,
    }


_states: WeakKeyDictionary[connection.Connection, tuple[tuple[Any, ...], Written]] = WeakKeyDictionary()


def connection_state(subject: connection.Connection) -> State:
    """What is recorded of a connection, in plain values: the same object for as long as nothing of it has changed."""
    seen = tuple(vars(subject).values())
    known = _states.get(subject)
    if known is None or known[0] != seen:
        kept = {**subject.get_state(), "certificate_list": []}
        if "mitmcert" in kept:
            kept["mitmcert"] = None
        known = _states[subject] = (seen, Written(plain(kept)))
    return known[1]


class Notes:
    """Scrubs the messages of one flow, and keeps account of what that changed, by side."""

    def __init__(self, max_body: int, redactions: tuple[str, ...]) -> None:
        self._max_body = max_body
        self._redactions = compile_redactions(redactions)
        self.keeps = self._redactions.keeps
        self._found: dict[str, Found] = {}
        self._truncated: dict[str, int] = {}
        self._withheld: dict[str, str] = {}
        self._decoded: dict[str, str] = {}
        self._streamed: dict[str, Any] = {}

    def stream(self, streamed: Delivered) -> None:
        """The response's body is what is kept of this."""
        self._streamed = streamed.entry()
        if streamed.length > self._max_body and self.keeps == "full":
            self._truncated["response"] = streamed.length

    def entries(self) -> dict[str, Any]:
        entries: dict[str, Any] = {
            "recorded": self.keeps if self.keeps != "full" else None,
            "streamed": self._streamed,
            "redacted": {side: found.names for side, found in self._found.items() if found.names},
            "truncated": self._truncated,
            "withheld": self._withheld,
            "decoded": self._decoded,
        }
        return {name: entry for name, entry in entries.items() if entry}

    def text(self, value: str | None) -> str | None:
        return redact.text(utf8(value), self._redactions.names).decode() if value else value

    def request(self, message: State) -> State:
        found = self._found.setdefault("request", Found())
        by_rule = self._redactions
        if self.keeps == "digest":
            message = {**message, "path": message["path"].partition(b"?")[0]}
        clean = {
            **message,
            "host": plain(message["host"]),
            "path": redact.target(by_rule.target(message["path"], found), by_rule.names, found),
            "authority": redact.authority(message["authority"], found),
            "headers": by_rule.headers(message["headers"], found),
        }
        return self.message("request", clean, by_rule.names)

    def message(self, side: str, message: State, names: Names = BUILT_IN) -> State:
        """`names` are those of header fields, beside the built-in ones."""
        found = self._found.setdefault(side, Found())
        if self.keeps == "digest":
            message = {**message, "headers": (), "trailers": None}
        content, encoded = self._body(side, message) if self.keeps == "full" else (None, True)
        fields = message["headers"]
        if not encoded:
            fields = tuple(field for field in fields if field[0].lower() != b"content-encoding")
        scrubbed = {**message, "headers": lists(redact.headers(fields, names, found)), "content": content}
        if message["trailers"]:
            scrubbed["trailers"] = lists(redact.headers(message["trailers"], names, found))
        if "reason" in message:
            scrubbed["reason"] = redact.text(message["reason"], names, found)
        return scrubbed

    def _body(self, side: str, message: State) -> tuple[bytes | None, bool]:
        """The body to record, and whether it still has its content encoding."""
        content = message["content"]
        if not content:
            return content, True
        encoding = header(message, b"content-encoding").strip().lower()
        is_encoded = encoding not in ("", "identity")
        try:
            plain = decode(content, encoding, self._max_body) if is_encoded else content
            clean = self._clean(side, self._left(side, plain, message), message)
        except (BodyUnreadable, MaskingFailed) as error:
            # What cannot be read cannot be redacted.
            self._withheld[side] = str(error)
            return b"", False
        if not is_encoded:
            return clean, True
        if clean == plain and len(content) <= self._max_body:
            return content, True
        self._decoded[side] = encoding
        return clean, False

    def _left(self, side: str, body: bytes, message: State) -> bytes:
        """What rules leave of a body."""
        if side != "request":
            return body
        return self._redactions.body(body, header(message, b"content-type"), self._found[side])

    def _clean(self, side: str, body: bytes, message: State) -> bytes:
        if len(body) > self._max_body:
            self._truncated[side] = len(body)
            body = body[: self._max_body]
        found = self._found.setdefault(side, Found())
        readable = as_utf8(body)
        clean = redact.text(readable, found=found)
        if header(message, b"content-type").lower().startswith("application/x-www-form-urlencoded"):
            clean = redact.form(clean, found=found)
        return body if clean == readable else clean

    def messages(self, messages: Sequence[Sequence[Any]], content: int) -> list[list[Any]]:
        """Messages of a WebSocket or a session; `content` is its place in each. Together at most `max_body` bytes."""
        found = self._found.setdefault("messages", Found())
        left = self._max_body
        result = []
        for message in messages:
            body = message[content] if self.keeps == "full" else b""
            if len(body) > left:
                self._truncated["messages"] = self._truncated.get("messages", 0) + len(body) - left
            kept = redact.text(body[:left], found=found)
            left -= min(len(body), left)
            result.append([*message[:content], kept, *message[content + 1 :]])
        return result


def lists(fields: Iterable[tuple[bytes, bytes]]) -> list[list[bytes]]:
    """Header fields as they are when read back."""
    return [list(each) for each in fields]


def header(message: State, name: bytes) -> str:
    """A field's value, several lines joined by commas (RFC 9110, 5.3); empty where there is none."""
    return ", ".join(value.decode("latin-1") for key, value in message["headers"] if key.lower() == name)


WIDE = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# The first two characters of a JSON text are ASCII (RFC 4627, 3): where the NULs are tells the encoding.
JSON_START = (
    (re.compile(rb"\0\0\0[{\[\"]"), "utf-32-be"),
    (re.compile(rb"[{\[\"]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0[{\[\"]\0[^\0]"), "utf-16-be"),
    (re.compile(rb"[{\[\"]\0[^\0]\0"), "utf-16-le"),
)


def as_utf8(body: bytes) -> bytes:
    """Text in UTF-16 or UTF-32 as UTF-8, where its names can be found; anything else as it is."""
    encoding = next((name for mark, name in WIDE if body.startswith(mark)), None)
    encoding = encoding or next((name for pattern, name in JSON_START if pattern.match(body)), None)
    return body.decode(encoding, "replace").encode() if encoding else body


def utf8(value: str) -> bytes:
    """UTF-8 of any string: a lone surrogate, which UTF-8 does not have, is spelt out."""
    return value.encode("utf-8", "backslashreplace")


MAPPINGS = (dict, Mapping)
SEQUENCES = (list, tuple, set, frozenset)


def plain(value: Any) -> Any:
    """A copy in the few types that a tnetstring has. Raises ValueError for any other, and never shows the value."""
    if value is None or type(value) in (bool, bytes) or (type(value) is str and value.isascii()):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, str):
        return utf8(value).decode()
    if isinstance(value, int):
        return int(value) if value.bit_length() < 64 else hex(value)
    if isinstance(value, MAPPINGS):
        return {plain(str(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, SEQUENCES):
        return [plain(entry) for entry in value]
    raise ValueError(f"a {type(value).__name__} cannot be recorded")


def clean(value: Any) -> Any:
    """As `plain`, with what looks like a token taken out of every string. What is `Written` has been through this."""
    if value is None or type(value) in (Written, bool, float):
        return value
    if isinstance(value, str):
        text: str = plain(value)
        return redact.shapes(text.encode()).decode() if redact.may_have_shape(text) else text
    if isinstance(value, MAPPINGS):
        return {plain(str(key)): clean(member) for key, member in value.items()}
    if isinstance(value, SEQUENCES):
        return [clean(member) for member in value]
    return plain(value)


def entry(**members: Any) -> Written:
    """A part of a projection that many records share: cleaned and serialised once."""
    return Written(clean(members))


def moment(now: float) -> str:
    """Seconds since the epoch as UTC, RFC 3339."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")


def event_state(kind: str, details: Mapping[str, Any], now: float) -> State:
    """Something that is no flow, as one: `POST https://lockgate.invalid/events/<kind>` with `details` as JSON.

    It is answered (204), since stock mitmdump prints nothing of a flow that is not.
    """
    body = json.dumps(clean(details), indent=2).encode()
    headers = http.Headers(content_type="application/json")
    request = http.Request.make("POST", f"https://{HOST}/events/{kind}", body, headers)
    request.timestamp_start = request.timestamp_end = now
    client = connection.Client(peername=("", 0), sockname=("", 0), timestamp_start=now)
    event = http.HTTPFlow(client, connection.Server(address=None))
    event.request = request
    event.response = http.Response.make(204)
    event.response.timestamp_start = event.response.timestamp_end = now
    event.timestamp_created = now
    state = plain(event.get_state())
    state["metadata"] = {"lockgate": {"version": VERSION, "time": moment(now), "event": kind}}
    return state


def stopped_state(state: State, sending: bool, now: float) -> State:
    """A whole flow from an intent whose end nobody saw, because the gateway stopped."""
    known = "it was being sent" if sending else "whether it was sent is not known"
    error = {"msg": f"The gateway stopped before this request was finished; {known}.", "timestamp": now}
    lockgate = {**state["metadata"]["lockgate"], "repaired": {"time": moment(now), "sending": sending}}
    return {**state, "error": error, "metadata": {"lockgate": lockgate}}
