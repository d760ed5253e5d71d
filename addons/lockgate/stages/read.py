"""What is asked: one target, its actions and facts, and the request brought to the one form that will be sent.

Whatever could mean one thing here and another at the target is refused; what is only between two hops is removed.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from functools import partial

from mitmproxy import http

from lockgate.actions import authority, grpc, head, websocket
from lockgate.actions.body import read as read_body
from lockgate.actions.http import read
from lockgate.bodies import aws_chunked, encodings
from lockgate.credentials.places import places_of
from lockgate.errors import (
    BodyTooLarge,
    BodyUnreadable,
    ContentTypeNotAccepted,
    EncodingNotAccepted,
    Refused,
    RequestUnreadable,
)
from lockgate.exchange import Exchange, exchange, hide_token, is_reverse
from lockgate.model import Action, Target
from lockgate.refusals import TOKEN_INSIDE, Refusal

LARGE = 256 * 1024  # bytes: from here on a body is parsed off the loop
LARGE_ENCODED = 16 * 1024  # bytes: from here on an encoded one is decoded there
LENGTH = re.compile(r"[0-9]{1,15}")
FRAMING = (b"content-length", b"transfer-encoding", b"content-encoding", b"expect")  # the body goes on plain and whole


class Read:
    """Refuses by the head first, then reads the body."""

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Where a tunnel leads is said once; older clients leave the Host field out."""
        request = flow.request
        try:
            asked = authority.canonical_host(request.host)
            said = [authority.split(host) for host in request.headers.get_all("host")]
        except RequestUnreadable as unreadable:
            raise _unreadable(unreadable.reason) from None
        if len(said) > 1 or any(host != asked or port not in (None, request.port) for host, port in said):
            raise _unreadable("its Host header is not its destination")

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        _check_head(flow, found)
        found.target = target = _target(flow, found)
        if target.grpc:
            _check_call(flow)
        if found.websocket and target.http2:
            detail = "The target's entry says HTTP/2; WebSockets are opened over HTTP/1.1 only."
            raise Refused(Refusal(403, detail, "Ask the operator for another target."))
        length = flow.request.headers.get("content-length")
        if length and length.isdecimal() and int(length) > target.limits.request:
            raise Refused(_too_large(target))
        _strip(flow, found, target)

    async def request(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        request = flow.request
        assert found.generation is not None and found.principal is not None
        if found.generation.target_for(request.scheme, request.host, request.port) is not found.target:
            self.requestheaders(flow)  # the rules changed while the body came
        target = found.target
        assert target is not None
        if request.trailers:
            raise _unreadable("it has trailers")
        if _signs_for_aws(found, target):
            await _unframe(request)
        body = await _decoded(request, target)
        assert found.presented is not None
        request.raw_content = body
        if hide_token(request, found.presented):
            raise Refused(TOKEN_INSIDE)
        hop = [name for name, _ in websocket.HOP] if found.websocket else []
        headers = [(name.lower(), value) for name, value in _fields(request.headers) if name.lower() not in hop]
        method = request.data.method.decode("latin-1")  # as it was sent: `method` is in capitals whatever it was
        try:
            head.require_expected(method, body)
            actions, facts, path = read(method, target, request.path, headers)
        except RequestUnreadable as unreadable:
            raise _unreadable(unreadable.reason) from None
        if found.websocket:
            actions = tuple(replace(action, verb=websocket.VERB) for action in actions)
        if body:
            facts = replace(facts, body=await _document(headers, body, found, target, actions))
        found.actions, found.facts = actions, facts
        kept = [field for field in request.headers.fields if field[0].lower() not in FRAMING]
        if body or method in ("POST", "PUT", "PATCH"):
            kept.append((b"content-length", str(len(body)).encode()))
        request.headers.fields = tuple(kept)
        request.path = path

    async def ws_message(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        opened, message = found.opened, found.message
        assert opened is not None and opened.facts is not None and message is not None and found.presented is not None
        found.target = opened.target
        if message.from_agent and found.presented.appears_in(message.content):
            raise Refused(TOKEN_INSIDE)
        work = partial(
            websocket.read,
            opened.actions[0],
            opened.facts,
            message.content,
            from_agent=message.from_agent,
            is_text=message.is_text,
        )
        try:
            action, found.facts = await asyncio.to_thread(work) if len(message.content) > LARGE else work()
        except BodyUnreadable as unreadable:
            raise Refused(websocket.unreadable(unreadable)) from None
        found.actions = (action,)


def _check_head(flow: http.HTTPFlow, found: Exchange) -> None:
    request = flow.request
    headers = request.headers
    if request.http_version not in ("HTTP/1.0", "HTTP/1.1", "HTTP/2.0"):
        raise _unreadable("it is not HTTP/1.1 or HTTP/2")
    if found.form != ("origin" if found.session.tunnel or is_reverse(flow.client_conn) else "absolute"):
        raise _unreadable("its target form does not fit: absolute to the proxy, origin inside a tunnel")
    fields = _fields(headers)
    found.websocket = websocket.is_asked(fields)
    try:
        head.require_plain(fields, websocket=found.websocket)
        if found.websocket:
            websocket.require_handshake(request.data.method.decode("latin-1"), request.http_version, fields)
    except RequestUnreadable as unreadable:
        raise _unreadable(unreadable.reason) from None


def _target(flow: http.HTTPFlow, found: Exchange) -> Target:
    request, session = flow.request, found.session
    try:
        host = authority.canonical_host(request.host)  # mitmproxy decodes it
    except RequestUnreadable as unreadable:
        raise _unreadable(unreadable.reason) from None
    if session.tunnel is not None:
        if request.scheme != "https":
            raise Refused(
                Refusal(403, "A tunnel must carry TLS.", "Use https through the tunnel, or plain http to the proxy.")
            )
        sni = flow.client_conn.sni
        if (sni or "").lower() != ("" if authority.is_address(host) else host):
            raise _unreadable("the TLS server name is not the host of its CONNECT")
    assert found.generation is not None
    target = found.generation.target_for(request.scheme, host, request.port)
    if target is None:
        where = f"{request.scheme}://{host[:255]}:{request.port}"
        raise Refused(Refusal(403, f"No target is named for {where}.", "Ask the operator to add it to targets.yaml."))
    hosts = request.headers.get_all("host")
    if not is_reverse(flow.client_conn) and not (len(hosts) == 1 and authority.leads_to(hosts[0], target)):
        raise _unreadable("its Host header is not its destination")
    own = target.authority
    if request.host != target.host or hosts != [own] or request.authority not in ("", own):  # few write it otherwise
        request.host = target.host
        request.headers["host"] = own
    return target


def _check_call(flow: http.HTTPFlow) -> None:
    request = flow.request
    try:
        grpc.require_call(request.method, request.path, request.http_version, _fields(request.headers))
    except RequestUnreadable as unreadable:
        raise _unreadable(unreadable.reason) from None


def _strip(flow: http.HTTPFlow, found: Exchange, target: Target) -> None:
    """What is between two hops, what speaks for the agent, and what stands where the credential will."""
    headers = flow.request.headers
    kept = [(name, value) for name, value in headers.fields if head.is_passed_on(name.decode("latin-1"))]
    if found.websocket:
        kept = [field for field in kept if field[0].lower().decode("latin-1") not in websocket.NOT_SENT_ON]
        kept += [(name.encode(), value.encode()) for name, value in websocket.HOP]
    headers.fields = tuple(kept)
    if target.grpc:
        headers["te"] = "trailers"  # some servers take no call without it
    if target.credential is None or found.generation is None:
        return
    if _signs_for_aws(found, target) and headers.get("x-amz-content-sha256", "").startswith(aws_chunked.DECLARED):
        codings = [coding for coding in _codings(headers) if coding != aws_chunked.CODING]
        headers["content-encoding"] = ", ".join([*codings, aws_chunked.CODING])  # what says so will be gone
    places = places_of(found.generation.credentials[target.credential])
    flow.request.path, headers.fields = places.strip(flow.request.path, headers.fields)


def _signs_for_aws(found: Exchange, target: Target) -> bool:
    assert found.generation is not None
    return target.credential is not None and found.generation.credentials[target.credential].kind == "aws"


async def _unframe(request: http.Request) -> None:
    """Take the framing off that the agent's own signature needed; a checksum behind the body becomes a header field."""
    headers = request.headers
    codings = _codings(headers)
    if aws_chunked.CODING not in codings:
        return
    raw, length = request.raw_content or b"", headers.pop("x-amz-decoded-content-length", "")
    names = [name.strip().lower() for name in headers.pop("x-amz-trailer", "").split(",") if name.strip()]
    try:
        if any(not name.startswith("x-amz-checksum-") or name in headers for name in names):
            raise BodyUnreadable("its trailer is not a checksum")
        if length and not LENGTH.fullmatch(length):
            raise BodyUnreadable("its length is no number")
        said = (raw, names, int(length) if length else None)
        large = len(raw) > LARGE
        decoded = await asyncio.to_thread(aws_chunked.decode, *said) if large else aws_chunked.decode(*said)
    except BodyUnreadable as unreadable:
        raise _unreadable(f"it is not {aws_chunked.CODING} as it says: {unreadable}") from None
    request.raw_content, checksums = decoded
    headers.update(dict(checksums))
    del headers["content-encoding"]
    if others := [coding for coding in codings if coding != aws_chunked.CODING]:
        headers["content-encoding"] = ", ".join(others)


def _codings(headers: http.Headers) -> list[str]:
    """The content codings, in lower case, in the order in which they were applied."""
    tokens = (token.strip().lower() for value in headers.get_all("content-encoding") for token in value.split(","))
    return [token for token in tokens if token]


async def _decoded(request: http.Request, target: Target) -> bytes:
    """The body without its content coding, which is how it is sent on."""
    raw = request.raw_content or b""
    codings = request.headers.get_all("content-encoding")
    coding = ", ".join(codings) or None
    try:
        decoded = partial(encodings.decode, raw, coding, target.limits.request)
        return await asyncio.to_thread(decoded) if coding and len(raw) > LARGE_ENCODED else decoded()
    except BodyTooLarge as large:
        detail = f"The body is too large: {large}."
        raise Refused(Refusal(413, detail, "Send less.", close=True)) from None
    except BodyUnreadable as unreadable:
        status = 415 if isinstance(unreadable, EncodingNotAccepted) else 400
        detail = f"The body cannot be decoded: {unreadable}."
        raise Refused(Refusal(status, detail, "Send it without Content-Encoding.")) from None


async def _document(
    fields: head.Fields, body: bytes, found: Exchange, target: Target, actions: tuple[Action, ...]
) -> object:
    """What rules read of a body."""
    assert found.generation is not None and found.principal is not None
    policy, roles = found.generation.policy, found.principal.roles
    restricted = policy.restricts_bodies(target.name)
    wanted = restricted and any(policy.reads_body(roles, each.target, each.verb, each.resource) for each in actions)
    work = partial(read_body, fields, body, target, restricted=restricted, wanted=wanted)
    try:
        return await asyncio.to_thread(work) if len(body) > LARGE else work()
    except ContentTypeNotAccepted as refused:
        raise Refused(Refusal(415, f"The body is not taken: {refused}.", "Send JSON or a form, and say so.")) from None
    except RequestUnreadable as unreadable:
        raise _unreadable(unreadable.reason) from None


def _fields(headers: http.Headers) -> list[tuple[str, str]]:
    return list(headers.items(multi=True))


def _unreadable(what: str) -> Refused:
    return Refused(Refusal(400, f"The request cannot be read in one way only: {what}.", "Send it plainly.", close=True))


def _too_large(target: Target) -> Refusal:
    return Refusal(
        413, f"The body is larger than the {target.limits.request} bytes the target takes.", "Send less.", close=True
    )
