"""What is asked: one target, its actions and facts, and the request brought to the one form that will be sent.

Whatever could mean one thing here and another at the target is refused; what is only between two hops is removed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from dataclasses import replace

from mitmproxy import http

from lockgate.actions import head
from lockgate.actions.http import read
from lockgate.bodies import aws_chunked, encodings
from lockgate.credentials.places import places_of
from lockgate.errors import BodyTooLarge, BodyUnreadable, EncodingNotAccepted, Refused, RequestUnreadable
from lockgate.exchange import Exchange, exchange, hide_token, is_reverse
from lockgate.model import Target
from lockgate.refusals import TOKEN_INSIDE, Refusal

LARGE = 256 * 1024  # bytes: from here on a body is decoded and parsed off the loop
LENGTH = re.compile(r"[0-9]{1,15}")
LENGTH_AND_CODING = ("content-length", "transfer-encoding", "content-encoding")


class Read:
    """Refuses by the head first, then reads the body."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        _check_head(flow, found)
        found.target = target = _target(flow, found)
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
        headers = [(name.lower(), value) for name, value in request.headers.items(multi=True)]
        try:
            actions, facts, path = read(request.method, target, request.path, headers)
        except RequestUnreadable as unreadable:
            raise _unreadable(unreadable.reason) from None
        policy, roles = found.generation.policy, found.principal.roles
        if body and any(policy.reads_body(roles, action.target, action.verb, action.resource) for action in actions):
            facts = replace(facts, body=await _document(request, body))
        found.actions, found.facts = actions, facts
        for name in (*LENGTH_AND_CODING, "expect"):
            request.headers.pop(name, None)
        if body or request.method in ("POST", "PUT", "PATCH"):
            request.headers["content-length"] = str(len(body))
        request.path = path


def _check_head(flow: http.HTTPFlow, found: Exchange) -> None:
    request = flow.request
    headers = request.headers
    if request.http_version not in ("HTTP/1.0", "HTTP/1.1"):
        raise _unreadable("it is not HTTP/1.1")
    if found.form != ("origin" if found.session.tunnel or is_reverse(flow.client_conn) else "absolute"):
        raise _unreadable("its target form does not fit: absolute to the proxy, origin inside a tunnel")
    try:
        head.require_plain(_fields(headers))
    except RequestUnreadable as unreadable:
        raise _unreadable(unreadable.reason) from None


def _target(flow: http.HTTPFlow, found: Exchange) -> Target:
    request, session = flow.request, found.session
    try:
        host = request.host.encode("idna").decode().lower()  # mitmproxy decodes it
    except UnicodeError:
        raise _unreadable("its host is no name") from None
    if session.tunnel is not None:
        if request.scheme != "https":
            raise Refused(
                Refusal(403, "A tunnel must carry TLS.", "Use https through the tunnel, or plain http to the proxy.")
            )
        sni = flow.client_conn.sni
        if (sni or "").lower() != ("" if _is_ip(host) else host):
            raise _unreadable("the TLS server name is not the host of its CONNECT")
    assert found.generation is not None
    target = found.generation.target_for(request.scheme, host, request.port)
    if target is None:
        where = f"{request.scheme}://{host[:255]}:{request.port}"
        raise Refused(Refusal(403, f"No target is named for {where}.", "Ask the operator to add it to targets.yaml."))
    hosts = request.headers.get_all("host")
    accepted = {target.authority, f"{target.authority.removesuffix(f':{target.port}')}:{target.port}"}
    if not is_reverse(flow.client_conn) and not (len(hosts) == 1 and hosts[0].lower() in accepted):
        raise _unreadable("its Host header is not its destination")
    request.host = target.host
    request.headers["host"] = target.authority
    return target


def _strip(flow: http.HTTPFlow, found: Exchange, target: Target) -> None:
    """What is between two hops, what speaks for the agent, and what stands where the credential will."""
    headers = flow.request.headers
    kept = [(name, value) for name, value in headers.fields if head.is_passed_on(name.decode("latin-1"))]
    flow.request.headers = headers = http.Headers(kept)
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
        if len(raw) > LARGE:
            return await asyncio.to_thread(encodings.decode, raw, coding, target.limits.request)
        return encodings.decode(raw, coding, target.limits.request)
    except BodyTooLarge:
        raise Refused(_too_large(target)) from None
    except BodyUnreadable as unreadable:
        status = 415 if isinstance(unreadable, EncodingNotAccepted) else 400
        detail = f"The body cannot be decoded: {unreadable}."
        raise Refused(Refusal(status, detail, "Send it without Content-Encoding.")) from None


async def _document(request: http.Request, body: bytes) -> object:
    """The JSON document that rules read; `{}` for no body."""
    fields = _fields(request.headers)
    return await asyncio.to_thread(head.document, fields, body) if len(body) > LARGE else head.document(fields, body)


def _fields(headers: http.Headers) -> list[tuple[str, str]]:
    return list(headers.items(multi=True))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _unreadable(what: str) -> Refused:
    return Refused(Refusal(400, f"The request cannot be read in one way only: {what}.", "Send it plainly.", close=True))


def _too_large(target: Target) -> Refusal:
    return Refusal(
        413, f"The body is larger than the {target.limits.request} bytes the target takes.", "Send less.", close=True
    )
