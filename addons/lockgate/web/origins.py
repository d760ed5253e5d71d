"""By which names the page is known, and what of a request says that it is meant for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from lockgate.model import Approvals

DEFAULT_PORTS = {"http": 80, "https": 443}
# What a proxy adds: who is behind one is not on this machine for certain.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")


def origins(config: Approvals) -> dict[str, str]:
    """By each `Host` that is answered to (RFC 9110, 7.2), the origin that a browser then says (RFC 6454): that of
    `url`, and that of the address of `listen`.
    """
    found = {}
    if config.listen is not None:
        host, port = config.listen
        scheme = "https" if config.tls else "http"
        found.update(names(scheme, f"[{host}]" if ":" in host else host, port))
    if config.url:
        parts = urlsplit(config.url.lower())
        found.update(names(parts.scheme, parts.netloc.removesuffix(f":{parts.port}"), parts.port))
    return found


def names(scheme: str, host: str, port: int | None) -> dict[str, str]:
    if port in (None, DEFAULT_PORTS[scheme]):
        return {host: f"{scheme}://{host}", f"{host}:{DEFAULT_PORTS[scheme]}": f"{scheme}://{host}"}
    return {f"{host}:{port}": f"{scheme}://{host}:{port}"}


def is_same_origin(headers: Mapping[str, str], origin: str) -> bool:
    """Whether a browser says that the page itself sends this: `Origin` exactly (it is sent with every POST), and
    `Sec-Fetch-Site` where there is one (Fetch Metadata).
    """
    return headers.get("Origin") == origin and headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Whether a proxy stands between."""
    return any(name in headers for name in FORWARDED)
