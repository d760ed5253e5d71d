"""Sensitive values out of the answer, before anyone has seen it: masked paths, echoes of the credential, cookies.

A body is off the flow before the first await, so that nothing shows it meanwhile; one that is streamed is never on it
(law 4). What cannot be masked is not delivered.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Set
from dataclasses import replace
from functools import partial
from typing import Any

from mitmproxy import http
from mitmproxy.net.http import status_codes

from lockgate.actions import websocket
from lockgate.bodies import encodings
from lockgate.bodies.pipeline import Job, Pipeline, Transform
from lockgate.bodies.scrubbing import Scrubbing, Withholding
from lockgate.credentials.credential import Credential, Signer
from lockgate.errors import BodyUnreadable, LockgateError, MaskingFailed, Refused, WorkFailed
from lockgate.exchange import Exchange, Message, exchange
from lockgate.masking.streams import Masks, mask_stream
from lockgate.masking.whole import mask_body
from lockgate.recordings.digests import Seen
from lockgate.refusals import Refusal
from lockgate.runtime import Runtime

LARGE = 8 * 1024  # bytes: to mask what is larger is work for another process
LONG = 512 * 1024  # bytes: what is larger may take seconds
SLICE = 64 * 1024  # bytes that are looked through for echoes before anything else is done
# Transfer-Encoding is still needed to read the body; it goes with the body's framing.
HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade")
PARTIAL = ("range", "if-range")
GUESSES = ("if-none-match", "if-match", "if-modified-since", "if-unmodified-since")
# Beside a masked body only fields pass that say nothing of what is in it: a target may repeat anything in a header.
BESIDE_MASKS = frozenset(
    {
        "age",
        "allow",
        "cache-control",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "date",
        "expires",
        "retry-after",
        "server",
        "transfer-encoding",
        "vary",
    }
)
# Alt-Svc leads the client around the gateway.
NEVER = (*HOP_BY_HOP, "alt-svc", "proxy-authenticate", "proxy-authentication-info")
CREDENTIALS = ("set-cookie", "set-cookie2", "www-authenticate", "authentication-info", "authorization", "cookie")
OF_THE_ORIGINAL = frozenset(
    {
        b"etag",
        b"content-md5",
        b"digest",
        b"content-digest",
        b"repr-digest",
        b"signature",
        b"signature-input",
        b"accept-ranges",
        b"content-encoding",
    }
)
# What no trailer may say (RFC 9110, 6.5.1).
OF_THE_HEAD = frozenset({"content-length", "transfer-encoding", "content-type", "content-encoding", "host", "location"})
WITHHELD = {
    "title": "Target error",
    "detail": "The target's error body is withheld: it is not JSON, so it cannot be masked.",
}
NOT_OPENED = Refusal(502, "The target opens no WebSocket as it should.", "Tell the target's operator.", close=True)
UNMASKABLE = Refusal(502, "The target's answer cannot be masked.", "Tell the operator the request id.")


class Mask:
    """Marks an answer as masked; without that mark it does not pass the door."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def request(self, flow: http.HTTPFlow) -> None:
        """Ask for the whole: a part of a document cannot be masked, and half a secret is not recognised. A read does
        not ask whether a guess at the unmasked document is right.
        """
        found = exchange(flow)
        names = list(PARTIAL if _alters(found) or found.credential else ())
        if _alters(found) and flow.request.method in ("GET", "HEAD"):
            names += GUESSES
        for name in names:
            flow.request.headers.pop(name, None)
        if _alters(found) or found.credential:
            flow.request.headers["accept-encoding"] = "identity"  # so that it can be looked into as it comes
        if found.target is not None and found.target.grpc and found.credential:
            flow.request.headers["grpc-accept-encoding"] = "identity"

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        found, response = exchange(flow), flow.response
        assert response is not None and found.target is not None
        found.upstream_status = response.status_code
        found.wire.response_received = came = Seen(_status_line(response), response.headers.fields, None)
        if found.target.grpc:
            found.trailing = partial(_trailers, found)
            if found.credential and response.headers.get("grpc-encoding", "identity") != "identity":
                raise Refused(UNMASKABLE)
        if response.status_code == 101:
            asked, answered = (list(each.headers.items(multi=True)) for each in (flow.request, response))
            fields = websocket.accepted(asked, answered)
            if fields is None:
                raise Refused(NOT_OPENED)
            response.headers = http.Headers([(name.encode(), value.encode()) for name, value in fields])
            response.reason = status_codes.RESPONSES[101]
            return
        kept = [field for field in response.headers.fields if _passes(found, field[0].decode("latin-1").lower())]
        response.headers = http.Headers([_scrubbed_field(found, field) for field in kept])
        response.reason = status_codes.RESPONSES.get(response.status_code, "")
        found.pipeline = self._pipeline(response, found)
        if found.pipeline is not None and _may_stream(flow, found, found.pipeline):
            response.stream = True
            came.body = found.arriving = hashlib.sha256()
            _reframe_stream(response, found, found.pipeline)

    def _pipeline(self, response: http.Response, found: Exchange) -> Pipeline | None:
        """What the body goes through, part by part; None where masking takes all of it at once."""
        transforms: list[Transform] = []
        if found.decision is not None and found.decision.alters:
            found.masks = counts = Counter[str]()
            masks = Masks(found.decision.masks, found.decision.shows, self._runtime.hash_key)
            masking = mask_stream(masks, response.headers.get("content-type"), counts)
            if masking is None:
                return None
            transforms.append(masking)
            found.elsewhere = self._elsewhere
        if found.credential is not None:
            found.scrubbing = _scrubbing(found, found.credential)
            transforms.append(found.scrubbing)
        return Pipeline(*transforms)

    async def _elsewhere(self, job: Job[Any]) -> None:
        try:
            job.done(await self._runtime.workers.run(job.work))
        except LockgateError as error:
            job.failed(error)

    async def response(self, flow: http.HTTPFlow) -> None:
        found, response = exchange(flow), flow.response
        assert response is not None
        assert found.target is not None
        if not found.target.grpc:
            response.trailers = None
        if found.streaming or response.status_code == 101:  # it went through the pipeline, or there is nothing to it
            found.masked = True
            return
        raw, response.raw_content = response.raw_content or b"", b""
        if found.wire.response_received is not None:
            found.wire.response_received.body = raw
        coding = ", ".join(response.headers.get_all("content-encoding")) or None
        try:
            body = await self._masked(found, raw, coding, response.headers.get("content-type"))
        except (BodyUnreadable, MaskingFailed, WorkFailed):
            if response.status_code < 400 or not _alters(found):
                raise Refused(UNMASKABLE) from None
            body = json.dumps({"status": response.status_code, **WITHHELD, "request_id": found.id}).encode()
            response.headers["content-type"] = "application/problem+json"
        changed = body != raw
        response.raw_content = body
        _reframe(flow, found, changed)
        found.masked = True

    async def _masked(self, found: Exchange, raw: bytes, coding: str | None, content_type: str | None) -> bytes:
        """The body to deliver.

        Raises:
            BodyUnreadable: it has no single meaning, so it is not known what it holds.
            MaskingFailed: a mask applies to something that is not JSON, or fails.
            WorkFailed: who should have masked it gave no answer.
        """
        if not raw or not (_alters(found) or found.credential):
            return raw
        assert found.target is not None and found.decision is not None
        if _is_partial(found.upstream_status, content_type):
            raise MaskingFailed("a part was sent where the whole was asked for")
        decoding = partial(encodings.decode, raw, coding, found.target.limits.response)
        body = await asyncio.to_thread(decoding) if coding and len(raw) > LARGE else decoding()
        if _alters(found):
            masks = Masks(found.decision.masks, found.decision.shows, self._runtime.hash_key)
            masking = partial(mask_body, masks, body, content_type)
            if len(body) > LARGE:
                body, found.masks = await self._runtime.workers.run(masking, long=len(body) > LONG)
            else:
                body, found.masks = masking()
        if found.credential is not None:
            scrubbing = _scrubbing(found, found.credential)
            body = await _scrubbed(scrubbing, body)
            found.scrubbed += scrubbing.count
        return body

    async def ws_message(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        message = found.message
        assert message is not None
        if not message.from_agent:
            try:
                found.message = replace(message, content=await self._masked_message(found, message))
            except (BodyUnreadable, MaskingFailed, WorkFailed):
                raise Refused(UNMASKABLE) from None
        found.masked = True

    async def _masked_message(self, found: Exchange, message: Message) -> bytes:
        """What may be seen of a message: less what its own rules mask, and those by which its WebSocket was opened.

        Raises as `_masked` does.
        """
        opened, content = found.opened, message.content
        assert opened is not None and opened.decision is not None and found.decision is not None
        if _alters(opened) or _alters(found):
            if not message.is_text:
                raise MaskingFailed("what is binary has no values to mask")
            masks = Masks(
                tuple(dict.fromkeys(opened.decision.masks + found.decision.masks)),
                tuple(dict.fromkeys(opened.decision.shows + found.decision.shows)),
                self._runtime.hash_key,
            )
            masking = partial(mask_body, masks, content, "application/json")
            large = len(content) > LARGE
            content, found.masks = await self._runtime.workers.run(masking) if large else masking()
        if opened.credential is not None:
            scrubbing = Scrubbing(opened.credential.echoes)
            content = await _scrubbed(scrubbing, content)
            found.scrubbed = scrubbing.count
        return content


def _status_line(response: http.Response) -> bytes:
    return b"%b %d %b" % (response.data.http_version, response.status_code, response.data.reason)


def _scrubbing(found: Exchange, credential: Credential | Signer) -> Scrubbing:
    """What takes echoes out of a body; in a gRPC message there is no room for anything in their place."""
    assert found.target is not None
    return (Withholding if found.target.grpc else Scrubbing)(credential.echoes)


async def _scrubbed(scrubbing: Scrubbing, body: bytes) -> bytes:
    """A body without echoes; between its slices others have their turn."""
    pieces: list[bytes] = []
    for start in range(0, len(body), SLICE):
        if start:
            await asyncio.sleep(0)
        pieces += scrubbing.feed(body[start : start + SLICE])
    return b"".join([*pieces, *scrubbing.end()])


def _alters(found: Exchange) -> bool:
    """Whether rules mask the answer. One that was never decided has none, and never gets here."""
    return found.decision is not None and found.decision.alters


def _may_stream(flow: http.HTTPFlow, found: Exchange, pipeline: Pipeline) -> bool:
    """Whether an answer's body can go on as it comes: every part of it can be read, and its end be told from a cut."""
    response = flow.response
    assert response is not None and found.target is not None
    limit, length = found.target.limits.streamed, response.headers.get("content-length", "")
    if _is_bodyless(flow) or flow.request.http_version == "HTTP/1.0":  # which knows no chunks
        return False
    if limit is not None and length.isdecimal() and int(length) > limit:
        return False
    if not pipeline.alters:
        return True
    if _is_partial(response.status_code, response.headers.get("content-type")):
        return False
    codings = response.headers.get_all("content-encoding")
    return all(coding.strip().lower() in ("", "identity") for coding in codings)


def _reframe_stream(response: http.Response, found: Exchange, pipeline: Pipeline) -> None:
    """Its length is known beforehand only where nothing is changed."""
    headers = response.headers
    if pipeline.alters or "content-length" not in headers or "transfer-encoding" in headers:
        headers.pop("content-length", None)
        headers["transfer-encoding"] = "chunked"
    if _alters(found):
        _take_out(headers, OF_THE_ORIGINAL)


def _is_partial(status: int | None, content_type: str | None) -> bool:
    """Whether an answer is a part of what it should be, or several, whatever its status says (RFC 9110, 14.6)."""
    return status == 206 or (content_type or "").strip().lower().startswith("multipart/byteranges")


def _is_bodyless(flow: http.HTTPFlow) -> bool:
    """RFC 9112, 6.3."""
    return flow.request.method == "HEAD" or (flow.response is not None and flow.response.status_code in (204, 304))


def _passes(found: Exchange, name: str) -> bool:
    """Whether a header field of the target's goes on to the agent."""
    assert found.target is not None
    if _alters(found):
        return name in BESIDE_MASKS or (name == "set-cookie" and found.target.pass_cookies)
    if name in NEVER:
        return False
    withheld = bool(found.target.shown) and name in CREDENTIALS
    return not withheld or (found.target.pass_cookies and name.startswith("set-cookie"))


def _trailers(found: Exchange, trailers: http.Headers) -> http.Headers:
    """What of a gRPC call's trailers passes: its status, and what the target adds."""
    kept = [
        field
        for field in trailers.fields
        if (name := field[0].decode("latin-1").lower()) not in OF_THE_HEAD and _passes(found, name)
    ]
    return http.Headers([_scrubbed_field(found, field) for field in kept])


def _scrubbed_field(found: Exchange, field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    if found.credential is None:
        return field
    name, in_name = found.credential.scrub(field[0])
    value, in_value = found.credential.scrub(field[1])
    found.scrubbed += in_name + in_value
    return (b"x-redacted" if in_name else name), value


def _reframe(flow: http.HTTPFlow, found: Exchange, changed: bool) -> None:
    """Header fields that say something of the body say it of the delivered one."""
    response = flow.response
    assert response is not None
    headers = response.headers
    bodyless, grpc = _is_bodyless(flow), found.target is not None and found.target.grpc
    other = changed or _alters(found)
    gone = OF_THE_ORIGINAL | {b"transfer-encoding"} if other else {b"transfer-encoding"}
    if grpc or response.status_code == 204 or (bodyless and other):  # RFC 9110, 8.6
        gone |= {b"content-length"}
    _take_out(headers, gone)
    if not (grpc or bodyless):
        headers["content-length"] = str(len(response.raw_content or b""))


def _take_out(headers: http.Headers, names: Set[bytes]) -> None:
    """Take fields out by their names in lower case, all of them in one pass."""
    headers.fields = tuple(field for field in headers.fields if field[0].lower() not in names)
