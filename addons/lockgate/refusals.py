"""A refusal, and what it looks like on the wire: problem+json (RFC 9457). Knows HEAD. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from urllib.parse import quote

TITLES = {
    202: "Approval pending",
    400: "Unreadable request",
    401: "Identity required",
    403: "Denied",
    404: "Not found",
    405: "Method not allowed",
    407: "Identity required",
    409: "Approval needed",
    413: "Too large",
    415: "Encoding or type not accepted",
    429: "Too much at once",
    502: "Target fault",
    503: "Gateway not ready",
}
REASONS = {
    202: b"Accepted",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    407: b"Proxy Authentication Required",
    409: b"Conflict",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    429: b"Too Many Requests",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
}
# https://grpc.github.io/grpc/core/md_doc_statuscodes.html; UNAVAILABLE says that it can be tried again.
GRPC_STATUS = {
    202: 14,
    400: 3,
    401: 16,
    403: 7,
    404: 12,
    405: 12,
    407: 16,
    409: 9,
    413: 8,
    415: 12,
    429: 8,
    502: 14,
    503: 14,
}
GRPC_INTERNAL = 13
GRPC_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
CHALLENGE = b'Bearer realm="lockgate", Basic realm="lockgate"'


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request does not go on, in words an agent can act on. No internals, nothing the target said.

    `rule` is `role/rule-id` where a rule decided. `close` asks that the client connection be closed afterwards.
    `retry_after` is in seconds. `approval_id` is of what a person decides, `status_url` where that is told.
    """

    status: int
    detail: str
    next_steps: str = ""
    rule: str | None = None
    request_id: str = ""
    close: bool = False
    sent_upstream: bool = False
    retry_after: int | None = None
    approval_id: str = ""
    status_url: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.status]

    def with_request_id(self, request_id: str) -> Refusal:
        return replace(self, request_id=request_id)

    def body(self) -> bytes:
        """The problem document, UTF-8 JSON, members without a value left out."""
        members = {
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            "rule": self.rule,
            "request_id": self.request_id,
            "next_steps": self.next_steps,
            "approval_id": self.approval_id,
            "status_url": self.status_url,
        }
        return json.dumps({name: value for name, value in members.items() if value}).encode() + b"\n"

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Header fields of the refusal, framing included: they fit HEAD too, which has no body (RFC 9110, 9.3.2)."""
        fields = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(self.body())).encode()),
            (b"cache-control", b"no-store"),
        ]
        if self.status == 407:
            fields.append((b"proxy-authenticate", CHALLENGE))
        if self.status == 401:
            fields.append((b"www-authenticate", CHALLENGE))
        if self.retry_after is not None:
            fields.append((b"retry-after", str(self.retry_after).encode()))
        if self.sent_upstream:
            fields.append((b"x-should-retry", b"false"))
        if self.close:
            fields.append((b"connection", b"close"))
        return tuple(fields)

    def grpc_status(self) -> tuple[tuple[bytes, bytes], ...]:
        """The refusal as the status of a gRPC call: fields of its trailers, or of the head of an answer without any."""
        status = GRPC_INTERNAL if self.sent_upstream and self.status >= 500 else GRPC_STATUS[self.status]
        about = [f"rule {self.rule}"] if self.rule else []
        about += [f"request {self.request_id}"] if self.request_id else []
        parts = [self.detail, self.next_steps, f"({', '.join(about)})" if about else ""]
        message = quote(" ".join(part for part in parts if part), safe=GRPC_PLAIN)
        return ((b"grpc-status", str(status).encode()), (b"grpc-message", message.encode("ascii")))

    def grpc_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Header fields of the refusal to a gRPC call, which has no body (PROTOCOL-HTTP2, Trailers-Only)."""
        fields = ((b"content-type", b"application/grpc"), *self.grpc_status())
        return (*fields, (b"connection", b"close")) if self.close else fields


TOKEN_INSIDE = Refusal(
    403, "The request carries the caller's own token.", "Leave it out: the gateway adds what the target needs."
)
NOT_KNOWN = Refusal(503, "It cannot be read what has been revoked.", "Tell the operator; nothing was sent.")
NOT_KEPT = Refusal(503, "Approvals cannot be kept now.", "Try again later; if it stays so, tell the operator.")
NOBODY = Refusal(503, "Nobody can be asked: the gateway has no place for approvals.", "Tell the operator.")
FULL = Refusal(429, "Too many requests are held already.", "Wait until some are decided.", retry_after=60)


def pending(rule: str | None, reason: str | None) -> Refusal:
    """What a held request is told that nobody has decided about yet; the gateway adds where that is told."""
    again = "Send the same request again later, unchanged: it goes on once, after it was approved."
    return Refusal(409, reason or "A person has to approve this.", again, rule)
