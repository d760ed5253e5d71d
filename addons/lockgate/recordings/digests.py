"""Keyed digests of messages as they went over the wire: what is masked, redacted or not kept can still be told apart.

HMAC-SHA-256 (RFC 2104) of the first line, the header fields as `name: value`, an empty line, each ended by LF, and the
SHA-256 of the body. The key is not kept beside the recordings: whoever has them alone cannot try values. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

Fields = Iterable[tuple[bytes, bytes]]


class Hash(Protocol):
    """What `hashlib` makes, fed part by part."""

    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


@dataclass(slots=True)
class Seen:
    """A message as it was at one end: `line` and `fields` of its head, its body whole, or hashed as it came."""

    line: bytes = b""
    fields: Fields = field(default=(), repr=False)
    body: bytes | Hash | None = field(default=b"", repr=False)


@dataclass(slots=True)
class Wire:
    """The messages of one exchange at both of the gateway's ends; None where there was none."""

    request_received: Seen | None = None
    request_sent: Seen | None = None
    response_received: Seen | None = None
    response_delivered: Seen | None = None

    def digests(self, key: bytes) -> dict[str, dict[str, str | None]]:
        """What a record says of them."""
        hashed: dict[int, bytes] = {}  # of bodies: most go on as they came
        return {
            "request": {
                "received": digest(key, self.request_received, hashed),
                "sent": digest(key, self.request_sent, hashed),
            },
            "response": {
                "received": digest(key, self.response_received, hashed),
                "delivered": digest(key, self.response_delivered, hashed),
            },
        }


def digest(key: bytes, seen: Seen | None, hashed: dict[int, bytes]) -> str | None:
    """In hexadecimal. `hashed` are the hashes of bodies by their id, while these are alive."""
    if seen is None or seen.body is None:
        return None
    if isinstance(seen.body, bytes):
        body = hashed.get(id(seen.body))
        if body is None:
            body = hashed[id(seen.body)] = hashlib.sha256(seen.body).digest()
    else:
        body = seen.body.digest()
    head = b"".join([seen.line, b"\n", *[b"%b: %b\n" % pair for pair in seen.fields], b"\n"])
    return hmac.digest(key, head + body, "sha256").hex()
