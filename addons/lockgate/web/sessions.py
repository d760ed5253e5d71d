"""Who is signed in on the page: kept here, in memory, and known to the browser by a random number alone. Pure."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from secrets import token_urlsafe

from lockgate.model import Sensitive

MOST = 1000
IDLE = 3600.0  # seconds without a request after which a session is over
LONGEST = 12 * 3600.0  # seconds
SECURE, PLAIN = "__Host-lockgate", "lockgate"  # RFC 6265bis, 4.1.3.2: the browser takes the first from us alone


class Session(Sensitive):
    """The token of whoever signed in, and what their forms must carry. `said` is told on the next page."""

    __slots__ = ("began", "csrf", "said", "seen", "token")

    def __init__(self, token: str, now: float) -> None:
        self.token = token
        self.csrf = token_urlsafe(32)
        self.began = self.seen = now
        self.said = ""

    def is_over(self, now: float) -> bool:
        return now - self.seen >= IDLE or now - self.began >= LONGEST


class Sessions:
    """By the SHA-256 of the browser's number; of too many, those that were not used for longest are forgotten.

    `now` is seconds on a clock that only goes forward.
    """

    NAMES = (SECURE, PLAIN)

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, token: str, now: float) -> str:
        """The number of a new one: 256 random bits."""
        number = token_urlsafe(32)
        self._sessions[digest(number)] = Session(token, now)
        if len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        return number

    def find(self, number: str, now: float, *, touch: bool = True) -> Session | None:
        """None where there is none, or it is over. With `touch` it is used by this: it does not end for a while."""
        key = digest(number)
        session = self._sessions.get(key)
        if session is None:
            return None
        if session.is_over(now):
            del self._sessions[key]
            return None
        if touch:
            session.seen = now
            self._sessions.move_to_end(key)
        return session

    def end(self, number: str) -> None:
        self._sessions.pop(digest(number), None)


def digest(number: str) -> bytes:
    return sha256(number.encode("utf-8", "surrogateescape")).digest()
