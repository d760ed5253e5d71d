"""Where things are: hosts, origins, addresses to dial, URLs of services. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator, PlainValidator

from lockgate.policy.schema.values import text

LABEL = r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?"
HOST_NAME = re.compile(rf"{LABEL}(\.{LABEL})*")


class Origin(NamedTuple):
    scheme: Literal["http", "https"]
    host: str
    port: int


def host(value: Any) -> str:
    """A host name or address in its one spelling."""
    given = text(value)
    if not given.isascii():
        raise ValueError("a host is written in ASCII: use the xn-- form of an internationalised name")
    lowered = given.lower()
    if lowered.startswith("[") and lowered.endswith("]") and "%" not in lowered:
        try:
            return str(ipaddress.IPv6Address(lowered[1:-1]))
        except ValueError:
            raise ValueError("not an IPv6 address") from None
    if re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)", lowered.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(lowered))
        except ValueError:
            raise ValueError("not an IPv4 address: write four numbers, as in 192.0.2.1") from None
    if not HOST_NAME.fullmatch(lowered) or len(lowered) > 253:
        raise ValueError("not a host name: write it as in api.crm.example, without scheme, port or final dot")
    return lowered


def split(value: str) -> tuple[SplitResult, int | None]:
    parts = urlsplit(value)
    return parts, parts.port


def origin(value: Any) -> Origin:
    given = text(value)
    example = "write one origin, as in https://api.crm.example or http://10.0.0.5:8080"
    try:
        parts, port = split(given)
    except ValueError:
        raise ValueError(f"not a URL: {example}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the scheme is not http or https: {example}")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user or password is not taken: name a credential instead")
    if parts.path or "?" in given or "#" in given:
        raise ValueError(f"a target is an origin, without path or query: {example}; rules have the paths")
    if re.search(r"\s", given) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"not a URL: {example}")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    written = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    return Origin(scheme, host(written), port or {"https": 443, "http": 80}[scheme])


def address(value: Any) -> tuple[str, int]:
    where, colon, port = text(value).rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError("an address is host:port, as in 127.0.0.1:9443")
    return host(where), int(port)


def service(value: Any) -> str:
    """The URL of a service that gives out secrets. No message repeats it."""
    given = text(value)
    example = "write it as in https://login.crm.example/oauth2/token"
    try:
        parts, port = split(given)
        where = host(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc)
    except ValueError:
        raise ValueError(f"not a URL: {example}") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(where)):
        raise ValueError(f"what gives out secrets is asked over https, or over http on this machine: {example}")
    if not re.fullmatch(r"[!-~]{1,2048}", given) or {"?", "#"} & set(given) or port == 0 or "@" in parts.netloc:
        raise ValueError(f"a URL without user, query and fragment is needed here: {example}")
    return given


def published(value: Any) -> str:
    """The URL of an issuer, or of its keys."""
    given = text(value)
    example = "write it as in https://login.example/keys"
    try:
        parts, port = split(given)
        host(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc)
    except ValueError:
        raise ValueError(f"not a URL: {example}") from None
    if parts.scheme != "https":
        raise ValueError(f"keys are fetched over https only: {example}, or name a jwks_file")
    if "#" in given or not re.fullmatch(r"[!-~]{1,2048}", given) or port == 0 or "@" in parts.netloc:
        raise ValueError(f"a URL without user and fragment is needed here: {example}")
    return given


def is_loopback(where: str) -> bool:
    try:
        return ipaddress.ip_address(where).is_loopback
    except ValueError:
        return where == "localhost"


Host = Annotated[str, BeforeValidator(host)]
Url = Annotated[Origin, PlainValidator(origin)]
Service = Annotated[str, BeforeValidator(service)]
Published = Annotated[str, BeforeValidator(published)]
