"""An identity provider: signs agents' tokens, good ones and every kind of bad one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://login.example/realms/agents"
AUDIENCE = "lockgate"
SUBJECT = "agent-7"
LIFETIME = 600.0  # seconds


class Issuer:
    """One RSA key (`kid` "rsa-1") and one EC key ("ec-1"); `jwks` is what the gateway is given of them.

    `issued` is every token made so far: none of them may turn up where it does not belong.
    """

    def __init__(self) -> None:
        self.issued: list[str] = []
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._ec = ec.generate_private_key(ec.SECP256R1())
        self._stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def jwks(self) -> str:
        """The public keys as a JWK set (RFC 7517)."""
        rsa_key = jwt.algorithms.RSAAlgorithm.to_jwk(self._rsa.public_key(), as_dict=True)
        ec_key = jwt.algorithms.ECAlgorithm.to_jwk(self._ec.public_key(), as_dict=True)
        keys = [
            rsa_key | {"kid": "rsa-1", "use": "sig", "alg": "RS256"},
            ec_key | {"kid": "ec-1", "use": "sig", "alg": "ES256"},
        ]
        return json.dumps({"keys": keys})

    @property
    def rsa_public_pem(self) -> bytes:
        """What someone who knows only the public key can get hold of."""
        return self._rsa.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def claims(self, *roles: str, **changes: Any) -> dict[str, Any]:
        """A good token's claims with `changes`; a claim changed to None is left out."""
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": SUBJECT,
            "iat": int(now),
            "exp": int(now + LIFETIME),
            "realm_access": {"roles": list(roles)},
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *roles: str, algorithm: str = "RS256", kid: str | None = None, **changes: Any) -> str:
        """A token that is signed as it should be; what is wrong with it, if anything, is in its claims."""
        key, own_kid = (self._ec, "ec-1") if algorithm.startswith("ES") else (self._rsa, "rsa-1")
        return self._issue(jwt.encode(self.claims(*roles, **changes), key, algorithm, {"kid": kid or own_kid}))

    def strangers_token(self, *roles: str, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """Signed with a key that the gateway was never given, under the name of one that it was.

        `header` may say more, such as where that key is.
        """
        fields = {"kid": "rsa-1", **(header or {})}
        return self._issue(jwt.encode(self.claims(*roles, **changes), self._stranger, "RS256", fields))

    @property
    def strangers_jwk(self) -> dict[str, Any]:
        """The public part of that key."""
        found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self._stranger.public_key(), as_dict=True)
        return found

    def unsigned_token(self, *roles: str, **changes: Any) -> str:
        """`alg: none` (RFC 8725, 2.1)."""
        return self._issue(jwt.encode(self.claims(*roles, **changes), "", "none", {"kid": "rsa-1"}))

    def confused_token(self, *roles: str, **changes: Any) -> str:
        """HS256 with the RSA public key as its secret (RFC 8725, 2.1). PyJWT declines to make one."""
        head = _segment({"alg": "HS256", "typ": "JWT", "kid": "rsa-1"})
        signed = head + b"." + _segment(self.claims(*roles, **changes))
        signature = hmac.new(self.rsa_public_pem, signed, hashlib.sha256).digest()
        return self._issue((signed + b"." + _encode(signature)).decode())

    def _issue(self, token: str) -> str:
        self.issued.append(token)
        return token


def _segment(value: Mapping[str, Any]) -> bytes:
    return _encode(json.dumps(value).encode())


def _encode(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")
