"""The gateway's own tokens: what an agent gets for a SAML assertion, and shows with every request from then on.

A JSON Web Token that carries what the assertion said. Whom it identifies is found by the rules in force each time, as
for any other token: nothing of an earlier generation's roles is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lockgate import state
from lockgate.errors import TokenRejected
from lockgate.identity.dev import key_id
from lockgate.identity.jwks import Key, KeySet
from lockgate.identity.jwt import MAX_TOKEN, OWN, OWN_TTL
from lockgate.identity.saml import Assertion

(ALGORITHM,) = OWN.algorithms


class GatewayKeys:
    """The key that they are signed with, kept in the state's directory. Raises SetupError where it cannot be had."""

    def __init__(self, state_dir: Path) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(state.key(state_dir, "gateway-token"))
        self._kid = key_id(self._private.public_key())
        self._keys = KeySet((Key(self._private.public_key(), self._kid, ALGORITHM),), self._kid)

    def keys(self) -> KeySet:
        return self._keys

    def mint(self, assertion: Assertion, now: float) -> tuple[str, int]:
        """A token for what `assertion` said, from `now` on, and when it ends: both in seconds since the epoch.

        Raises TokenRejected where it says more than fits, or is over.
        """
        principal = assertion.principal
        expires_at = int(min(now + OWN_TTL, assertion.ends_at))
        if expires_at <= now:
            raise TokenRejected("expired")
        claims = {
            "iss": OWN.issuer,
            "aud": OWN.audience,
            "sub": principal.subject,
            "iat": int(now),
            "exp": expires_at,
            "jti": assertion.identifier,
            "saml": {"certificate": assertion.certificate, "claims": dict(principal.claims)},
        }
        token = jwt.encode(claims, self._private, algorithm=ALGORITHM, headers={"kid": self._kid})
        if len(token) > MAX_TOKEN:
            raise TokenRejected("too many attributes")
        return token, expires_at


def vouched(claims: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Of a verified token's claims: the certificate that signed the assertion, and what the assertion said."""
    saml = claims["saml"]
    return saml["certificate"], saml["claims"]
