"""Access tokens by OAuth 2.0 (RFC 6749): client credentials (4.4), or a refresh token (6)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from urllib.parse import quote_plus

from lockgate.credentials import assertions
from lockgate.credentials.cache import Fetched
from lockgate.credentials.refresh_tokens import RefreshTokens
from lockgate.credentials.sources import Secrets
from lockgate.credentials.token_endpoint import grant
from lockgate.errors import SecretUnavailable
from lockgate.model import OAuth2

ASSERTION_TTL = 300.0  # seconds
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, 2.2


async def fetch(spec: OAuth2, secrets: Secrets, refresh_tokens: RefreshTokens, now: float) -> Fetched:
    """An access token. A refresh token that comes with it takes the place of the one it was asked for with.

    `now` is seconds since the epoch. Raises SecretUnavailable.
    """
    form, headers, shown = await client(spec, secrets, now)
    original = await secrets.read(spec.refresh_token) if spec.refresh_token else None
    if original is None:
        form |= {"grant_type": "client_credentials"}
    else:
        current = await refresh_tokens.current(spec, original)
        form |= {"grant_type": "refresh_token", "refresh_token": current}
        shown = (*shown, current)
    form |= {"scope": spec.scope, "audience": spec.audience, "resource": spec.resource}
    try:
        granted = await grant(spec.token_url, {name: value for name, value in form.items() if value}, headers, spec.ca)
    except SecretUnavailable as error:
        raise SecretUnavailable(f"{spec}: {error}") from None
    if original is not None and granted.refresh_token is not None and granted.refresh_token not in shown:
        await refresh_tokens.keep(spec, original, granted.refresh_token)
        shown = (*shown, granted.refresh_token)
    return Fetched(granted.access_token, granted.lifetime, shown)


async def client(spec: OAuth2, secrets: Secrets, now: float) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """How the client shows who it is: fields of the form, header fields, and the secrets in them (RFC 6749, 2.3)."""
    if spec.client_key is not None:
        claims = assertions.claims(
            issuer=spec.client_id, subject=spec.client_id, audience=spec.token_url, ttl=ASSERTION_TTL, now=now
        )
        pem = await secrets.read(spec.client_key.key)
        assertion = await asyncio.to_thread(assertions.sign, spec.client_key, pem, claims)
        form = {"client_id": spec.client_id, "client_assertion_type": CLIENT_ASSERTION, "client_assertion": assertion}
        return form, {}, ()
    if spec.client_secret is None:
        return {"client_id": spec.client_id}, {}, ()
    secret = await secrets.read(spec.client_secret)
    if spec.auth == "post":
        return {"client_id": spec.client_id, "client_secret": secret}, {}, (secret,)
    pair = f"{quote_plus(spec.client_id)}:{quote_plus(secret)}"  # 2.3.1: each is form-encoded first
    return {}, {"Authorization": f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}"}, (secret,)
