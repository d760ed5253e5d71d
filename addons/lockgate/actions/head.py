"""The head of an HTTP request as an agent sends it: what has no single meaning, and what the rules never see. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lockgate.errors import Refused, RequestUnreadable
from lockgate.refusals import Refusal

Fields = Sequence[tuple[str, str]]

IDENTITY = frozenset({"proxy-authorization", "authorization", "cookie"})
# `proxy` is none, but what CGI makes of it is where a target's own requests go (CVE-2016-5385).
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy", "proxy-connection", "proxy-authenticate", "te", "trailer"})
MAY_CONNECTION = frozenset({"close", "keep-alive", "te", ""})
# Who asked, by which way, for what: the target would take the agent's word for it.
FORWARDING = re.compile(
    r"(x-forwarded|x-original|x-rewrite|x-client|x-cluster-client)(-.*)?$"
    r"|(forwarded|x-real-ip|((true|fastly|fly|wl-proxy)-client|cf-connecting|client|x-remote|x-originating)-ip)$"
    r"|(x-remote-addr|(x-)?remote-user|x-http-host-override|x-host|via)$"
)
# Says that a recorded request is sent again, and which: for the gateway alone.
REPLAY = "lockgate-replay"
REPLAYED = re.compile(r"[A-Za-z0-9._-]{1,64}")
BODILESS = frozenset({"GET", "HEAD"})
BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
MAX_FIELD = 16 * 1024  # characters of a header field, its name and value


def require_plain(fields: Fields, *, websocket: bool = False) -> None:
    """Raise RequestUnreadable for a head that has no single meaning, Refused for an upgrade; not to `websocket`."""
    if BAD_VALUE.search(" ".join([value for _, value in fields])):
        raise RequestUnreadable("a header value has a control character or is folded")
    if any(len(name) + len(value) > MAX_FIELD for name, value in fields):
        raise RequestUnreadable(f"a header field is longer than {MAX_FIELD} characters")
    if (values(fields, "upgrade") and not websocket) or values(fields, "http2-settings"):
        raise Refused(Refusal(403, "Upgrades (h2c, and others but WebSocket) are not accepted.", "Use HTTP/1.1."))
    tokens = {token.strip().lower() for value in values(fields, "connection") for token in value.split(",")}
    if not tokens <= MAY_CONNECTION | ({"upgrade"} if websocket else set()):
        raise RequestUnreadable("its Connection header names other headers")
    codings = values(fields, "transfer-encoding")
    if codings and ", ".join(codings).strip().lower() != "chunked":
        raise RequestUnreadable("its Transfer-Encoding is not chunked")


def require_expected(method: str, body: bytes) -> None:
    """Raise RequestUnreadable for a body that some targets do not expect: they take it for the next request on the
    connection (RFC 9110, 9.3.1 and 9.3.2).
    """
    if body and method in BODILESS:
        raise RequestUnreadable(f"it is a {method} with a body")


def is_passed_on(name: str) -> bool:
    """Whether a header field of this name is the target's to see, and so the rules': not what identifies the agent, is
    between two hops, says who asked by which way, or that it is a replay.
    """
    lowered = name.lower()
    kept = lowered not in IDENTITY and lowered not in HOP_BY_HOP and lowered != REPLAY
    return kept and not FORWARDING.match(lowered)


def replayed(fields: Fields) -> str | None:
    """The id of the recorded request that this one says to be a replay of; None where that is no id, or not one."""
    found = values(fields, REPLAY)
    return found[0] if len(found) == 1 and REPLAYED.fullmatch(found[0]) else None


def values(fields: Iterable[tuple[str, str]], wanted: str) -> list[str]:
    """Every value of the header field of this name, which is in lower case."""
    return [value for name, value in fields if name.lower() == wanted]
