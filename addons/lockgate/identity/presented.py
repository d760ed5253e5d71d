"""What an agent presents to say who it is: a bearer token, or Basic with the token as password.

Here it is read, not verified.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from bisect import bisect_left
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from lockgate.bodies.echoes import REDACTED, base64_windows
from lockgate.errors import TokenRejected
from lockgate.model import Sensitive

MAX_VALUE = 44 * 1024  # characters of a header value: Basic credentials with the largest assertion

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, 2.1: b64token
PERCENT_ENCODED = re.compile(rb"%[0-9A-Fa-f]{2}")


class Presented(Sensitive):
    """A token as presented, and the header value it came in. Never printed, pickled or copied."""

    __slots__ = ("_forms", "token", "value")

    def __init__(self, token: str, value: str) -> None:
        self.token = token
        self.value = value
        self._forms = (token.encode("ascii"), *sorted(base64_windows(token)))

    def appears_in(self, data: bytes) -> bool:
        """Whether the token stands in `data`: plain, percent-encoded, or within anything base64-encoded.

        Finds what software does by habit, such as passing `user:TOKEN` on as Basic credentials.
        """
        return self._stands_in(data) or (b"%" in data and self._stands_in(unquote_to_bytes(data)))

    def _stands_in(self, data: bytes) -> bool:
        return any(map(data.__contains__, self._forms))  # asked of every request: a generator would cost twice as much

    def scrub(self, data: bytes) -> bytes:
        """`data` with `[redacted]` for the token wherever `appears_in` finds it; the rest as it was."""
        for form in self._forms:
            data = data.replace(form, REDACTED)
        if not self.appears_in(data):
            return data
        decoded = unquote_to_bytes(data)
        # Where in `decoded` each escape's one byte is: what lies behind it lies two bytes further on in `data`.
        escapes = [found.start() - 2 * before for before, found in enumerate(PERCENT_ENCODED.finditer(data))]
        parts = []
        end = 0
        for found in re.finditer(b"|".join(map(re.escape, self._forms)), decoded):
            start, stop = (offset + 2 * bisect_left(escapes, offset) for offset in found.span())
            parts += [data[end:start], REDACTED]
            end = stop
        return b"".join([*parts, data[end:]])


def read_presented(values: Sequence[str]) -> Presented | None:
    """The token in the values of all lines of one identity header; None where there is no line.

    Takes `Bearer TOKEN` (RFC 6750) and `Basic base64(USER:TOKEN)` (RFC 7617), which is what
    `HTTPS_PROXY=http://USER:TOKEN@host:port` sends; USER is ignored. Raises TokenRejected.
    """
    if not values:
        return None
    if len(values) > 1:
        raise TokenRejected("more than one")
    value = values[0]
    if len(value) > MAX_VALUE:
        raise TokenRejected("too long")
    scheme, _, credentials = value.strip(" \t").partition(" ")
    credentials = credentials.strip(" ")
    match scheme.lower():
        case "bearer":
            token = credentials
        case "basic":
            token = password(credentials)
        case _:
            raise TokenRejected("scheme not accepted" if scheme else "empty")
    if not token:
        raise TokenRejected("empty")
    if not TOKEN.fullmatch(token):
        raise TokenRejected("malformed")
    return Presented(token, value)


def password(credentials: str) -> str:
    """The password of Basic credentials: strict base64, ASCII, a colon after the user."""
    if not credentials:
        return ""
    try:
        encoded = credentials.encode("ascii")
        decoded = b64decode(encoded, validate=True)
        text = decoded.decode("ascii")
    except (UnicodeError, Error):
        raise TokenRejected("malformed") from None
    _, colon, found = text.partition(":")
    if b64encode(decoded) != encoded or not colon:
        raise TokenRejected("malformed")
    return found
