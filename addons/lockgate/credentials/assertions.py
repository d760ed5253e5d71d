"""JWTs that the gateway signs: to show who it is, as they are or in exchange for an access token (RFC 7523)."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lockgate.errors import SecretUnavailable
from lockgate.model import SigningKey

SKEW = 30.0  # seconds that a clock of theirs may be behind: what is issued in their future is refused
MIN_RSA_BITS = 2048  # RFC 7518, 3.3
CURVES: Mapping[str, type[ec.EllipticCurve]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def claims(
    *, issuer: str, subject: str, audience: str, ttl: float, now: float, others: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The claims of a JWT of `ttl` seconds, issued a little before `now` (seconds since the epoch); no empty ones."""
    issued = int(now - SKEW)
    registered = {"iss": issuer, "sub": subject, "aud": audience}
    return {
        **(others or {}),
        **{name: value for name, value in registered.items() if value},
        "iat": issued,
        "exp": issued + int(ttl),
        "jti": token_urlsafe(16),
    }


def sign(signing: SigningKey, pem: str, claimed: Mapping[str, Any]) -> str:
    """The compact JWT. Takes tens of milliseconds: a key is checked as it is read. Raises SecretUnavailable."""
    key = private_key(signing, pem)
    headers = {"kid": signing.kid} if signing.kid else None
    return jwt.encode(dict(claimed), key, signing.algorithm, headers)


def private_key(signing: SigningKey, pem: str) -> PrivateKey:
    """The key in `pem`, once it fits the algorithm (RFC 7518, 3.1; RFC 8037)."""
    try:
        key = load_pem_private_key(pem.encode("ascii"), None)
    except TypeError:
        raise SecretUnavailable(f"{signing.key}: the key is encrypted; keep it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SecretUnavailable(f"{signing.key}: not a private key in PEM") from None
    algorithm = signing.algorithm
    if algorithm in CURVES:
        fits = isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, CURVES[algorithm])
    elif algorithm == "EdDSA":
        fits = isinstance(key, ed25519.Ed25519PrivateKey)
    else:
        fits = isinstance(key, rsa.RSAPrivateKey) and key.key_size >= MIN_RSA_BITS
    if not fits or not isinstance(key, PrivateKey):
        raise SecretUnavailable(f"{signing.key}: the key is not one for {algorithm}")
    return key
