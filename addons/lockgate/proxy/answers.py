"""The gateway's own messages to the agent as mitmproxy responses, and its error pages in place of mitmproxy's."""

from __future__ import annotations

from mitmproxy import http
from mitmproxy.net.http import http1 as wire
from mitmproxy.proxy.layers.http import ErrorCode

from lockgate.actions.grpc import is_call
from lockgate.exchange import Exchange
from lockgate.proxy.internals import http1
from lockgate.refusals import REASONS, Refusal

# What mitmproxy found wrong, in fixed words: its own quote what came over the wire.
PAGES = {
    400: Refusal(400, "The request is not valid HTTP.", "Send a well-formed request.", close=True),
    413: Refusal(413, "The request body is larger than the target's limit.", "Send a smaller body.", close=True),
    502: Refusal(
        502, "The target did not answer as it should.", "Tell the target's operator, or try later.", close=True
    ),
}
TOO_LARGE = Refusal(502, "The target's answer is larger than its limit.", "Ask for less at once.", close=True)
UNREACHABLE = Refusal(502, "The target cannot be reached.", "Try later, or tell the operator.", close=True)


def refusal_response(refusal: Refusal, request: http.Request) -> http.Response:
    """The refusal as a response: of a gRPC call its status, to HEAD no body (RFC 9110, 9.3.2)."""
    if request.is_http2 and is_call(request.headers.get("content-type")):
        return response(200, b"OK", refusal.grpc_headers(), b"")
    body = b"" if request.method == "HEAD" else refusal.body()
    return response(refusal.status, REASONS[refusal.status], refusal.headers(), body)


def response(status: int, reason: bytes, fields: tuple[tuple[bytes, bytes], ...], body: bytes) -> http.Response:
    return http.Response(
        http_version=b"HTTP/1.1",
        status_code=status,
        reason=reason,
        headers=http.Headers(fields),
        content=body,
        trailers=None,
        timestamp_start=0.0,
        timestamp_end=0.0,
    )


def protocol_refusal(code: ErrorCode, found: Exchange) -> Refusal:
    """What an agent is told of an error that mitmproxy itself reports."""
    if code is ErrorCode.RESPONSE_TOO_LARGE:
        refusal = TOO_LARGE
    elif code is ErrorCode.CONNECT_FAILED:
        refusal = UNREACHABLE
    else:
        refusal = PAGES.get(code.http_status_code() or 502, PAGES[502])
    return Refusal(
        refusal.status,
        refusal.detail,
        refusal.next_steps,
        request_id=found.id,
        close=True,
        sent_upstream=found.sent,
    )


def error_page(status_code: int, message: str = "") -> bytes:
    """In place of mitmproxy's `make_error_response`: the same status, none of its text."""
    refusal = PAGES.get(status_code, PAGES[400 if status_code < 500 else 502])
    return wire.assemble_response(response(refusal.status, REASONS[refusal.status], refusal.headers(), refusal.body()))


def install() -> None:
    """Replace mitmproxy's error pages."""
    http1.make_error_response = error_page
