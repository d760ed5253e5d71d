"""Where a request says it goes: `host[:port]` as CONNECT, a URL, `Host` and `:authority` have it (RFC 3986, 3.2). Pure.

Nothing odd is put right here: a final dot, a zone, an address in hex or octal, a port with a zero in front is refused,
or stays as it is and so is no target's. What is dialled is the target's own host, never what an agent wrote.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from lockgate.errors import RequestUnreadable
from lockgate.model import Target

AUTHORITY = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([1-9][0-9]{0,4}))?")
DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=1024)  # most requests ask for the same few
def canonical_host(host: str) -> str:
    """`host` as targets' hosts are written: in lower case, in ASCII (RFC 3490), an IPv6 address short and bare (RFC
    5952). Raises RequestUnreadable for what is no name.
    """
    try:
        name = host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise RequestUnreadable("its host is no name") from None
    if ":" not in name:
        return name
    try:
        address = ipaddress.IPv6Address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise RequestUnreadable("its host is no address") from None
    if address.scope_id is not None:
        raise RequestUnreadable("its host is an address with a zone")
    return str(address)


def split(authority: str) -> tuple[str, int | None]:
    """Its canonical host, and its port where it has one. Raises RequestUnreadable for what is not exactly that."""
    found = AUTHORITY.fullmatch(authority)
    if not found or (found[2] and int(found[2]) > 65535):
        raise RequestUnreadable("its authority is not host:port")
    return canonical_host(found[1]), int(found[2]) if found[2] else None


def leads_to(authority: str, target: Target) -> bool:
    """Whether `authority` is that of a target's origin: its host, and its port, which a scheme's own need not be."""
    if authority == target.authority:  # as most clients write it
        return True
    try:
        host, port = split(authority)
    except RequestUnreadable:
        return False
    return (host, port or DEFAULT_PORTS[target.scheme]) == (target.host, target.port)


@lru_cache(maxsize=1024)
def is_address(host: str) -> bool:
    """Whether a canonical host is an IP address: what no TLS server name may be (RFC 6066, 3)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
