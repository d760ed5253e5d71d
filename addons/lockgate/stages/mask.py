"""Sensitive values out of the answer, before anyone has seen it: masked paths, echoes of the credential, cookies.

A body is off the flow before the first await, so that nothing shows it meanwhile; one that is streamed is never on it
(law 4). What cannot be masked is not delivered.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import lru_cache, partial

from mitmproxy import http
from mitmproxy.net.http import status_codes

from lockgate.bodies import encodings
from lockgate.bodies.pipeline import Pipeline, Transform
from lockgate.bodies.scrubbing import Scrubbing
from lockgate.errors import BodyUnreadable, MaskingFailed, Refused
from lockgate.exchange import Exchange, exchange
from lockgate.masking import compile_masks
from lockgate.masking.streams import mask_stream
from lockgate.masking.whole import mask_body
from lockgate.refusals import Refusal
from lockgate.runtime import Runtime

LARGE = 256 * 1024  # bytes: from here on a body is worked on off the loop
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
        "location",
        "retry-after",
        "server",
        "transfer-encoding",
        "vary",
    }
)
# Alt-Svc leads the client around the gateway.
NEVER = (*HOP_BY_HOP, "alt-svc", "proxy-authenticate", "proxy-authentication-info")
CREDENTIALS = ("set-cookie", "set-cookie2", "www-authenticate", "authentication-info", "authorization", "cookie")
OF_THE_ORIGINAL = (
    "etag",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "signature",
    "signature-input",
    "accept-ranges",
    "content-encoding",
)
WITHHELD = {
    "title": "Target error",
    "detail": "The target's error body is withheld: it is not JSON, so it cannot be masked.",
}
UNMASKABLE = Refusal(502, "The target's answer cannot be masked.", "Tell the operator the request id.")

masker = lru_cache(maxsize=4096)(compile_masks)


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

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        found, response = exchange(flow), flow.response
        assert response is not None and found.target is not None
        found.upstream_status = response.status_code
        kept = [field for field in response.headers.fields if _passes(found, field[0].decode("latin-1").lower())]
        response.headers = http.Headers([_scrubbed_field(found, field) for field in kept])
        response.reason = status_codes.RESPONSES.get(response.status_code, "")
        found.pipeline = self._pipeline(response, found)
        if found.pipeline is not None and _may_stream(flow, found, found.pipeline):
            response.stream = True
            _reframe_stream(response, found, found.pipeline)

    def _pipeline(self, response: http.Response, found: Exchange) -> Pipeline | None:
        """What the body goes through, part by part; None where masking takes all of it at once."""
        transforms: list[Transform] = []
        if found.decision is not None and found.decision.alters:
            found.masks = counts = Counter[str]()
            masks = masker(found.decision.masks, found.decision.shows, self._runtime.hash_key)
            masking = mask_stream(masks, response.headers.get("content-type"), counts)
            if masking is None:
                return None
            transforms.append(masking)
        if found.credential is not None:
            found.scrubbing = Scrubbing(found.credential.echoes)
            transforms.append(found.scrubbing)
        return Pipeline(*transforms)

    async def response(self, flow: http.HTTPFlow) -> None:
        found, response = exchange(flow), flow.response
        assert response is not None
        if found.streaming:  # it has gone through the pipeline, part by part
            found.masked = True
            return
        raw, response.raw_content, response.trailers = response.raw_content or b"", b"", None
        work = partial(
            _masked,
            found,
            self._runtime.hash_key,
            raw,
            ", ".join(response.headers.get_all("content-encoding")) or None,
            response.headers.get("content-type"),
            response.status_code,
        )
        try:
            body = await asyncio.to_thread(work) if len(raw) > LARGE else work()
        except (BodyUnreadable, MaskingFailed):
            raise Refused(UNMASKABLE) from None
        if body is None:
            body = json.dumps({"status": response.status_code, **WITHHELD, "request_id": found.id}).encode()
            response.headers["content-type"] = "application/problem+json"
        changed = body != raw
        response.raw_content = body
        _reframe(flow, found, changed)
        found.masked = True


def _alters(found: Exchange) -> bool:
    """Whether rules mask the answer. One that was never decided has none, and never gets here."""
    return found.decision is not None and found.decision.alters


def _may_stream(flow: http.HTTPFlow, found: Exchange, pipeline: Pipeline) -> bool:
    """Whether an answer's body can go on as it comes: every part of it can be read, and its end be told from a cut."""
    response = flow.response
    assert response is not None and found.target is not None
    limit, length = found.target.limits.streamed, response.headers.get("content-length", "")
    if _is_bodyless(flow) or flow.request.http_version != "HTTP/1.1":  # HTTP/1.0 knows no chunks
        return False
    if limit is not None and length.isdecimal() and int(length) > limit:
        return False
    if not pipeline.alters:
        return True
    codings = response.headers.get_all("content-encoding")
    return response.status_code != 206 and all(coding.strip().lower() in ("", "identity") for coding in codings)


def _reframe_stream(response: http.Response, found: Exchange, pipeline: Pipeline) -> None:
    """Its length is known beforehand only where nothing is changed."""
    headers = response.headers
    if pipeline.alters or "content-length" not in headers or "transfer-encoding" in headers:
        headers.pop("content-length", None)
        headers["transfer-encoding"] = "chunked"
    if _alters(found):
        for name in OF_THE_ORIGINAL:
            headers.pop(name, None)


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


def _scrubbed_field(found: Exchange, field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    if found.credential is None:
        return field
    name, in_name = found.credential.scrub(field[0])
    value, in_value = found.credential.scrub(field[1])
    found.scrubbed += in_name + in_value
    return (b"x-redacted" if in_name else name), value


def _masked(
    found: Exchange, key: bytes, raw: bytes, coding: str | None, content_type: str | None, status: int
) -> bytes | None:
    """The body to deliver; None for an error body that must be replaced. `key` is that of hashes.

    Raises:
        BodyUnreadable: it has no single meaning, so it is not known what it holds.
        MaskingFailed: a mask applies to something that is not JSON, or fails.
    """
    decision = found.decision
    altering = decision if decision and decision.alters else None
    if not raw or (altering is None and found.credential is None):
        return raw
    assert found.target is not None
    try:
        if status == 206:
            raise MaskingFailed("a part was sent where the whole was asked for")
        body = encodings.decode(raw, coding, found.target.limits.response)
        if altering is not None and found.pipeline is not None:
            return found.pipeline.whole(body)
        if altering is not None:
            masks = masker(altering.masks, altering.shows, key)
            body, found.masks = mask_body(masks, body, content_type)
    except (BodyUnreadable, MaskingFailed):
        if status >= 400 and altering is not None:
            return None
        raise
    if found.credential is not None:
        body, count = found.credential.scrub(body)
        found.scrubbed += count
    return body


def _reframe(flow: http.HTTPFlow, found: Exchange, changed: bool) -> None:
    """Header fields that say something of the body say it of the delivered one."""
    response = flow.response
    assert response is not None
    headers = response.headers
    headers.pop("transfer-encoding", None)
    bodyless = _is_bodyless(flow)
    if changed or _alters(found):
        for name in OF_THE_ORIGINAL:
            headers.pop(name, None)
        if bodyless:
            headers.pop("content-length", None)
    if response.status_code == 204:
        headers.pop("content-length", None)  # RFC 9110, 8.6
    if not bodyless:
        headers["content-length"] = str(len(response.raw_content or b""))
