"""JWTs that the gateway signs for itself: shown as they are, as GitHub Apps do, or exchanged (RFC 7523, 2.1)."""

from __future__ import annotations

import asyncio

from lockgate.credentials import assertions
from lockgate.credentials.cache import Fetched
from lockgate.credentials.sources import Secrets
from lockgate.credentials.token_endpoint import grant
from lockgate.errors import SecretUnavailable
from lockgate.model import SignedJwt

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def fetch(spec: SignedJwt, secrets: Secrets, now: float) -> Fetched:
    """The JWT, or the access token it was exchanged for. `now` is seconds since the epoch. Raises SecretUnavailable."""
    claims = assertions.claims(
        issuer=spec.issuer,
        subject=spec.subject,
        audience=spec.audience or spec.token_url,
        ttl=spec.ttl,
        now=now,
        others={name: list(value) if isinstance(value, tuple) else value for name, value in spec.claims},
    )
    pem = await secrets.read(spec.signing.key)
    signed = await asyncio.to_thread(assertions.sign, spec.signing, pem, claims)
    if not spec.token_url:
        return Fetched(signed, claims["exp"] - now)
    form = {"grant_type": GRANT_TYPE, "assertion": signed, **({"scope": spec.scope} if spec.scope else {})}
    try:
        granted = await grant(spec.token_url, form, {}, spec.ca)
    except SecretUnavailable as error:
        raise SecretUnavailable(f"{spec}: {error}") from None
    return Fetched(granted.access_token, granted.lifetime)
