"""One decided thing (Exchange), one client connection (Session), and the only way to get at them.

State lives here and never on the flow: what is on a flow is shown in mitmweb and written to the dump. Each field is
written by one stage only, named beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import connection, http
from mitmproxy.net.http.http1 import connection_close
from mitmproxy.proxy.mode_specs import ReverseMode
from OpenSSL import SSL

from lockgate.actions import head
from lockgate.bodies.pipeline import Job, Pipeline
from lockgate.bodies.scrubbing import Scrubbing
from lockgate.credentials.client_cert import ClientCertificate
from lockgate.credentials.credential import Credential, Signer
from lockgate.identity.presented import Presented
from lockgate.limits import Holder
from lockgate.model import Action, Decision, Hold, HttpFacts, Principal, Target
from lockgate.policy.generation import Generation
from lockgate.recordings.delivered import Delivered
from lockgate.recordings.digests import Hash, Seen, Wire
from lockgate.refusals import Refusal

IDENTITY_HEADERS = ("proxy-authorization", "authorization", "cookie")

ENCODINGS_ASKED_FOR = frozenset({b"accept-encoding", b"grpc-accept-encoding"})

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as decided and recorded: the door to the target sends this, plus the credential, and nothing else."""

    method: str
    scheme: str
    host: str
    port: int
    path: str
    headers: Fields
    body: bytes

    @classmethod
    def of(cls, request: http.Request) -> Outgoing:
        """What `request` would put on the wire now."""
        return cls(
            method=request.method,
            scheme=request.scheme,
            host=request.host,
            port=request.port,
            path=request.path,
            headers=tuple(request.headers.fields),
            body=request.raw_content or b"",
        )

    def is_what_was_held(self, held: Outgoing) -> bool:
        """Whether it is what a person has approved: less header fields that ask for a part, which Mask takes out, and
        in an encoding that can be masked.
        """
        fields = [field for field in self.headers if field[0].lower() not in ENCODINGS_ASKED_FOR]
        left = iter(held.headers)
        return all(field in left for field in fields) and (
            (self.method, self.scheme, self.host, self.port, self.path, self.body)
            == (held.method, held.scheme, held.host, held.port, held.path, held.body)
        )

    def contains(self, presented: Presented) -> bool:
        """Whether the agent's token stands anywhere in it."""
        return _contain(self.path, self.headers, self.body, presented)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that may go to the agent: masked, or the gateway's own."""

    status: int
    reason: bytes
    headers: Fields
    body: bytes
    trailers: Fields = ()  # of a target that speaks gRPC

    @classmethod
    def of(cls, response: http.Response) -> Answer:
        """What `response` would put on the wire now."""
        return cls(
            status=response.status_code,
            reason=response.data.reason,
            headers=tuple(response.headers.fields),
            body=response.raw_content or b"",
            trailers=tuple(response.trailers.fields) if response.trailers else (),
        )

    def handing(self, body: bytes) -> Answer:
        """The same answer with another body."""
        length = (b"content-length", str(len(body)).encode("ascii"))
        fields = tuple(field for field in self.headers if field[0].lower() != length[0])
        return replace(self, headers=(*fields, length), body=body)

    def response(self) -> http.Response:
        """A fresh message that shares nothing with the flow's own."""
        return http.Response(
            http_version=b"HTTP/1.1",
            status_code=self.status,
            reason=self.reason,
            headers=http.Headers(self.headers),
            content=self.body,
            trailers=None,
            timestamp_start=0.0,
            timestamp_end=0.0,
        )


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message of a WebSocket; `content` is UTF-8 where it is a text."""

    from_agent: bool
    is_text: bool
    content: bytes = field(repr=False)


def seen_message(message: Message) -> Seen:
    """A message as it is at one end, for its digest."""
    return Seen(b"text" if message.is_text else b"binary", (), message.content)


@dataclass(frozen=True, slots=True)
class Dialled:
    """What a door asks to be connected to: a target, and the certificate to show there. One that was rotated is not
    equal to the one before, so that it needs a connection of its own.
    """

    target: Target
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Vetted:
    """What a server connection was opened for, the addresses that may be at its other end, and what its TLS begins with
    where the target's entry has a say in that.
    """

    dialled: Dialled
    addresses: frozenset[str]
    context: SSL.Context | None = None


@dataclass(slots=True)
class Waiting:
    """An answer over HTTP/2 of which more than enough waits for the agent: who is told when there is room again."""

    room: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[connection.Connection] = field(default_factory=set)  # those of HTTP/2, which carries others too


@dataclass(slots=True)
class Session:
    """One client connection."""

    principal: Principal | None = None  # Identify
    presented: Presented | None = None  # Identify
    tunnel: tuple[str, int] | None = None  # the door: where the accepted CONNECT leads
    dials: dict[str, Dialled] = field(default_factory=dict)  # pool: what a door asked for, by the connection's id
    vetted: dict[str, Vetted] = field(default_factory=dict)  # reach: by the server connection's id
    carries: dict[str, int] = field(default_factory=dict)  # the door: the stream that an HTTP/1 connection is for
    waiting: dict[int, Waiting] = field(default_factory=dict)  # http2: by the agent's stream
    _room: asyncio.Event | None = None

    def crowd(self, crowded: bool) -> None:
        """The WebSocket's layer: whether more waits for decisions than is to be read ahead."""
        if crowded and self._room is None:
            self._room = asyncio.Event()
        elif not crowded and self._room is not None:
            self._room.set()
            self._room = None

    async def uncrowded(self) -> None:
        """Return once there is room for more."""
        if self._room is not None:
            await self._room.wait()


@dataclass(slots=True)
class Exchange:
    """One request and its response, from first sight to the record."""

    id: str
    session: Session
    identity_values: tuple[str, ...] = field(repr=False)  # exchange(): what the agent presented, off the flow
    closes: bool = False  # exchange(): the agent expects its connection to be closed after the answer
    replayed: str | None = None  # exchange(): the recorded request that the agent says this is a replay of
    wire: Wire = field(default_factory=Wire, repr=False)  # as it came: exchange(), Identify, Mask; as sent: the door
    started: float = field(default_factory=perf_counter)
    generation: Generation | None = None  # Identify
    principal: Principal | None = None  # Identify
    presented: Presented | None = None  # Identify
    used_by: Holder | None = None  # Limit: whose usage it counts for
    may_keep: Callable[[int], bool] | None = None  # Limit: the door asks it of each part of the request's body
    form: str = ""  # the door: "absolute" or "origin", how the request named what it asks for
    websocket: bool = False  # Read: it asks for a WebSocket
    opened: Exchange | None = None  # the WebSocket's layer: of a message, the request that opened it
    message: Message | None = None  # the WebSocket's layer: as it came; Mask: what may be seen of it
    target: Target | None = None  # Read
    actions: tuple[Action, ...] = ()  # Read
    facts: HttpFacts | None = None  # Read
    decision: Decision | None = None  # Decide
    decided_at: datetime | None = None  # Decide, Approve: the instant that was given to the policy
    unrevoked: Callable[[Exchange], None] | None = None  # Decide: the door calls it before the request is sent
    standing: Generation | None = None  # Decide: the rules that were last found to allow it
    stood_at: float = 0.0  # Decide: when that was, in monotonic seconds
    recheck: Callable[[Exchange], None] | None = None  # Decide: the door calls it before each part of a streamed answer
    fingerprint: str | None = None  # Approve: of a request that was held
    held: Outgoing | None = None  # Approve: what waited for a person; nothing else may go on
    met: frozenset[Hold] = frozenset()  # Approve: the holds that persons have approved, or granted ahead
    approval: str | None = None  # Approve: the id of what they approved
    grants: tuple[str, ...] = ()  # Approve: of what was granted ahead
    waited: float = 0.0  # Approve: seconds
    spend: Callable[[], Coroutine[None, None, None]] | None = None  # Approve: Record uses the approval up
    gone: Callable[[], bool] | None = None  # the door: whether the agent has given the request up
    credential: Credential | Signer | None = field(default=None, repr=False)  # Inject; the door: what a signer made
    certificate: ClientCertificate | None = field(default=None, repr=False)  # Inject
    masked: bool = False  # Mask
    masks: Mapping[str, int] = field(default_factory=dict)  # Mask: values masked, by path
    scrubbed: int = 0  # Mask: echoes of the credential removed
    upstream_status: int | None = None  # Mask
    trailing: Callable[[http.Headers], http.Headers] | None = None  # Mask: the door calls it on trailers as they come
    pipeline: Pipeline | None = field(default=None, repr=False)  # Mask: what a streamed answer goes through
    arriving: Hash | None = field(default=None, repr=False)  # Mask; the door feeds it what comes of a streamed answer
    elsewhere: Callable[[Job[Any]], Coroutine[None, None, None]] | None = None  # Mask: has a job of it done
    scrubbing: Scrubbing | None = field(default=None, repr=False)  # Mask: the part of it that counts echoes
    intended: bool = False  # Record: the intent is durable
    finished: bool = False  # Record: the flow is on its way to the dump
    on_sending: Callable[[], None] | None = None  # Record: the door calls it before the first byte
    delivered: Delivered | None = field(default=None, repr=False)  # Record; the door adds to it what it streams
    outgoing: Outgoing | None = None  # Seal
    passing: Message | None = None  # Seal: a message as it may go on
    answer: Answer | None = None  # Seal
    sent: bool = False  # the door to the target
    streaming: bool = False  # the door to the agent: the head of a streamed answer has gone out
    own: bool = False  # Local: the gateway answers this itself
    handed: bytes | None = field(default=None, repr=False)  # Local: a body for the agent alone; the door puts it in
    refusal: Refusal | None = None  # the guard
    stage: str | None = None  # the guard: the stage that refused or failed
    timings: dict[str, float] = field(default_factory=dict)  # the guard: milliseconds by stage


_exchanges: WeakKeyDictionary[http.HTTPFlow, Exchange] = WeakKeyDictionary()
_sessions: WeakKeyDictionary[connection.Client, Session] = WeakKeyDictionary()


def session(client: connection.Client) -> Session:
    """The session of a client connection, made at first sight."""
    found = _sessions.get(client)
    if found is None:
        found = _sessions[client] = Session()
    return found


def exchange(flow: http.HTTPFlow) -> Exchange:
    """The exchange of a flow. At first sight every identity header is taken off the flow, whatever state it is in."""
    found = _exchanges.get(flow)
    if found is None:
        request = flow.request.data
        line = b" ".join((request.method, request.path or request.authority, request.http_version))
        wire = Wire(request_received=Seen(line, request.headers.fields, None))
        values = take_identity(flow)
        closes = connection_close(flow.request.http_version, flow.request.headers)
        replayed = take_replay(flow)
        found = _exchanges[flow] = Exchange(flow.id, session(flow.client_conn), values, closes, replayed, wire)
    return found


def known(flow: http.HTTPFlow) -> Exchange | None:
    """The exchange of a flow that was seen; None of any other."""
    return _exchanges.get(flow)


def take_identity(flow: http.HTTPFlow) -> tuple[str, ...]:
    """Remove the agent's identity headers; return the values of the one that counts in the flow's proxy mode."""
    headers = flow.request.headers
    taken = {name: tuple(headers.get_all(name)) for name in IDENTITY_HEADERS}
    for name in IDENTITY_HEADERS:
        headers.pop(name, None)
    return taken["authorization" if is_reverse(flow.client_conn) else "proxy-authorization"]


def take_replay(flow: http.HTTPFlow) -> str | None:
    """Remove what says that it is a replay; return of which record. It grants nothing: any agent may say so."""
    headers = flow.request.headers
    if head.REPLAY not in headers:
        return None
    said = head.replayed([(head.REPLAY, value) for value in headers.get_all(head.REPLAY)])
    headers.pop(head.REPLAY)
    return said


def hide_token(request: http.Request, presented: Presented) -> bool:
    """Take the agent's own token out of a request, so that nothing shows or keeps it; whether it was in there."""
    if not _contain(request.path, request.headers.fields, request.raw_content or b"", presented):
        return False
    fields = [(presented.scrub(name), presented.scrub(value)) for name, value in request.headers.fields]
    path = presented.scrub(request.path.encode("utf-8", "surrogateescape"))
    request.path = path.decode("utf-8", "surrogateescape")
    request.headers = http.Headers(fields)
    request.raw_content = presented.scrub(request.raw_content or b"")
    return True


def _contain(path: str, headers: Fields, body: bytes, presented: Presented) -> bool:
    """Whether the agent's own token stands anywhere in these parts of a request."""
    head = b"\n".join([path.encode("utf-8", "surrogateescape"), *[name + b":" + value for name, value in headers]])
    return presented.appears_in(head) or presented.appears_in(body)


OWN_HOST = "lockgate.invalid"  # the gateway's own name, which no network has (RFC 6761, 6.4)
OWN_PREFIX = "/.well-known/lockgate"


def own_page(flow: http.HTTPFlow) -> str | None:
    """The gateway's own page that a request asks for; None where it is for a target."""
    path = flow.request.path.partition("?")[0]
    if is_reverse(flow.client_conn):
        return path.removeprefix(OWN_PREFIX) if path.startswith(OWN_PREFIX + "/") else None
    return path if flow.request.host == OWN_HOST else None


def status_url(flow: http.HTTPFlow, approval_id: str) -> str:
    """Where the caller finds what became of what it asked for."""
    own = OWN_PREFIX if is_reverse(flow.client_conn) else f"https://{OWN_HOST}"
    return f"{own}/approvals/{approval_id}"


def is_reverse(client: connection.Client) -> bool:
    """Whether the client came to a reverse-mode listener, where identity is in `Authorization`."""
    return isinstance(client.proxy_mode, ReverseMode)
