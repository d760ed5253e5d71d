"""The head of an HTTP request as an agent sends it: what has no single meaning, and what the rules never see. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lockgate.bodies.json import is_json, parse
from lockgate.errors import BodyUnreadable, Refused, RequestUnreadable
from lockgate.model import Unreadable
from lockgate.refusals import Refusal

Fields = Sequence[tuple[str, str]]

IDENTITY = frozenset({"proxy-authorization", "authorization", "cookie"})
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer"})
MAY_CONNECTION = frozenset({"close", "keep-alive", "te", ""})
# Who asked, by which way, for what: the target would take the agent's word for it.
FORWARDING = re.compile(
    r"(x-forwarded|x-original|x-rewrite|x-client|x-cluster-client)(-.*)?$"
    r"|(forwarded|x-real-ip|true-client-ip|x-http-host-override|x-host|via)$"
)
BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def require_plain(fields: Fields) -> None:
    """Raise RequestUnreadable for a head that has no single meaning, Refused for an upgrade."""
    if any(BAD_VALUE.search(value) for _, value in fields):
        raise RequestUnreadable("a header value has a control character or is folded")
    if values(fields, "upgrade") or values(fields, "http2-settings"):
        raise Refused(Refusal(403, "Upgrades (WebSocket, h2c) are not accepted.", "Use plain HTTP requests."))
    tokens = {token.strip().lower() for value in values(fields, "connection") for token in value.split(",")}
    if not tokens <= MAY_CONNECTION:
        raise RequestUnreadable("its Connection header names other headers")
    codings = values(fields, "transfer-encoding")
    if codings and ", ".join(codings).strip().lower() != "chunked":
        raise RequestUnreadable("its Transfer-Encoding is not chunked")


def is_passed_on(name: str) -> bool:
    """Whether a header field of this name is the target's to see, and so the rules': not what identifies the agent, is
    between two hops, or says who asked by which way.
    """
    lowered = name.lower()
    return lowered not in IDENTITY and lowered not in HOP_BY_HOP and not FORWARDING.match(lowered)


def document(fields: Fields, body: bytes) -> object:
    """The JSON document that rules read of a decoded body: `{}` for none, `Unreadable` for what is no JSON."""
    if not body:
        return {}
    kinds = list(values(fields, "content-type"))
    if len(kinds) != 1 or not is_json(kinds[0]):
        return Unreadable("the body is not declared as JSON")
    try:
        return parse(body)
    except BodyUnreadable as unreadable:
        return Unreadable(str(unreadable))


def values(fields: Iterable[tuple[str, str]], wanted: str) -> list[str]:
    """Every value of the header field of this name, which is in lower case."""
    return [value for name, value in fields if name.lower() == wanted]
