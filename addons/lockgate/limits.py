"""How much one caller may use at once, and how often a stranger may try. Pure: time comes in as an argument."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256

Holder = tuple[str, str]
"""Who uses something: a principal's issuer and subject."""

MOST_ADDRESSES = 10_000  # strangers' addresses that are remembered
IN_ALL = 10  # times what one address may, all of them may together: nobody gets more by having many
MOST_TOKENS = 10_000


@dataclass(slots=True)
class Used:
    """What one principal uses now: open connections, and requests under way with the bytes that are kept of each."""

    connections: set[str] = field(default_factory=set)
    requests: dict[str, int] = field(default_factory=dict)


class Usage:
    """What every principal uses now. Nothing is kept of one that uses nothing."""

    def __init__(self) -> None:
        self._used: dict[Holder, Used] = {}

    def connect(self, holder: Holder, connection: str, most: int) -> bool:
        """Whether a principal may have this connection beside those it has; asked again, the answer is the same."""
        used = self._used.setdefault(holder, Used())
        if connection not in used.connections and len(used.connections) >= most:
            return False
        used.connections.add(connection)
        return True

    def disconnect(self, holder: Holder, connection: str) -> None:
        if (used := self._used.get(holder)) is not None:
            used.connections.discard(connection)
            self._forget(holder, used)

    def begin(self, holder: Holder, request: str, most: int) -> bool:
        """Whether a principal may have this request under way beside those it has."""
        used = self._used.setdefault(holder, Used())
        if request not in used.requests and len(used.requests) >= most:
            self._forget(holder, used)
            return False
        used.requests.setdefault(request, 0)
        return True

    def keep(self, holder: Holder, request: str, size: int, most: int) -> bool:
        """Whether `size` more bytes of a request under way may be kept, of at most `most` of the principal's in all."""
        used = self._used.get(holder)
        if used is None or request not in used.requests:
            return False
        used.requests[request] += size
        return sum(used.requests.values()) <= most

    def end(self, holder: Holder, request: str) -> None:
        if (used := self._used.get(holder)) is not None:
            used.requests.pop(request, None)
            self._forget(holder, used)

    def _forget(self, holder: Holder, used: Used) -> None:
        if not used.connections and not used.requests:
            self._used.pop(holder, None)


@dataclass(slots=True)
class Bucket:
    """A token bucket: `left` of its burst, as of `at`."""

    left: float
    at: float


class Attempts:
    """Failed attempts to be identified, by address: `burst` at once and `rate` a second go unpunished (token bucket),
    `IN_ALL` times as many of all addresses together.

    Only failures count, so that an agent whose token is good never uses any up.
    """

    def __init__(self, rate: float, burst: int, most: int = MOST_ADDRESSES) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._all = Bucket(burst * IN_ALL, 0.0)
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()  # the latest used last

    def too_many(self, address: str, now: float) -> bool:
        """Whether an address has no attempt left at `now` (monotonic seconds)."""
        bucket = self._buckets.get(group(address))
        own = self._refilled(bucket, now) if bucket is not None else self._burst
        return min(own, self._refilled(self._all, now, IN_ALL)) < 1.0

    def failed(self, address: str, now: float) -> None:
        """An attempt has failed."""
        self._all = Bucket(max(0.0, self._refilled(self._all, now, IN_ALL) - 1.0), now)
        key = group(address)
        bucket = self._buckets.pop(key, None) or Bucket(self._burst, now)
        self._buckets[key] = Bucket(max(0.0, self._refilled(bucket, now) - 1.0), now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)

    def _refilled(self, bucket: Bucket, now: float, times: int = 1) -> float:
        return min(self._burst * times, bucket.left + max(0.0, now - bucket.at) * self._rate * times)


class HeldTokens:
    """Tokens that have identified somebody, the latest asked about: only their digests are kept. They stay known under
    other rules, whose verifier has seen none yet.
    """

    def __init__(self, most: int = MOST_TOKENS) -> None:
        self._most = most
        self._digests: OrderedDict[bytes, None] = OrderedDict()  # the latest used last

    def __contains__(self, token: str) -> bool:
        key = digest(token)
        if key not in self._digests:
            return False
        self._digests.move_to_end(key)
        return True

    def add(self, token: str) -> None:
        self._digests[digest(token)] = None
        if len(self._digests) > self._most:
            self._digests.popitem(last=False)

    def discard(self, token: str) -> None:
        self._digests.pop(digest(token), None)


def digest(token: str) -> bytes:
    return sha256(token.encode("ascii")).digest()


def group(address: str) -> str:
    """Whose address it is: itself, or of IPv6 the /64, of which one machine has every address (RFC 6177)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    return str(ip.ipv4_mapped) if ip.ipv4_mapped else str(ipaddress.ip_network((ip, 64), strict=False))
