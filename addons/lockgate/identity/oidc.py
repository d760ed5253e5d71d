"""Where issuers publish their keys: at a URL the rules name, or found by OpenID Connect Discovery 1.0."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lockgate.bodies import json
from lockgate.errors import BodyUnreadable, KeysUnavailable
from lockgate.identity.fetch import get
from lockgate.identity.jwks import KeySet, parse_keys

TIMEOUT = 3.0  # seconds, for all that is fetched to have the keys
WELL_KNOWN = "/.well-known/openid-configuration"
MAX_URL = 2048  # characters


@dataclass(frozen=True, slots=True)
class Published:
    """Where an issuer's keys are: at `jwks`, or where its configuration says. `ca` (PEM) signs its certificates, the
    public CAs where it is None.
    """

    issuer: str
    jwks: str | None = None
    ca: Path | None = None


async def fetch_keys(where: Published) -> KeySet:
    """The keys as they are published now. Raises KeysUnavailable, and KeysWithdrawn where none may be used."""
    ends_at = asyncio.get_running_loop().time() + TIMEOUT
    url = where.jwks
    if url is None:
        found = configuration_url(where.issuer)
        url = await asyncio.to_thread(jwks_uri, await get(found, where.ca, ends_at), found, where.issuer)
    # A thread parses: a set as large as it may be would hold up everything else.
    return await asyncio.to_thread(parse_keys, await get(url, where.ca, ends_at), url)


def configuration_url(issuer: str) -> str:
    """OpenID Connect Discovery 1.0, 4."""
    return issuer.removesuffix("/") + WELL_KNOWN


def jwks_uri(content: bytes, name: str, issuer: str) -> str:
    """Where an OpenID Provider's configuration, read at `name`, says that the keys are. Raises KeysUnavailable.

    Its `issuer` must be the one asked for, character by character (4.3), or one issuer could speak for another.
    """
    try:
        document = json.parse(content)
    except BodyUnreadable as error:
        raise KeysUnavailable(f"{name}: {error}") from None
    if not isinstance(document, dict) or "issuer" not in document:
        raise KeysUnavailable(f"{name}: not the configuration of an OpenID provider")
    if document["issuer"] != issuer:
        raise KeysUnavailable(f"{name}: the configuration of another issuer")
    url = document.get("jwks_uri")
    if not isinstance(url, str) or not is_https(url):
        raise KeysUnavailable(f"{name}: has no jwks_uri over https")
    return url


def is_https(url: str) -> bool:
    """Whether `url` is an https URL of visible ASCII with a host, without user and fragment."""
    if len(url) > MAX_URL or not re.fullmatch(r"[!-~]+", url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and "#" not in url and port != 0
