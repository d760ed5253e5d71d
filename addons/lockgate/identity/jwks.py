"""An issuer's public keys (JWK Set, RFC 7517), and where they are in a file that may change at any time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt import PyJWK, PyJWTError

from lockgate.bodies import json
from lockgate.errors import BodyUnreadable, KeysUnavailable, KeysWithdrawn

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

MAX_FILE = 1024 * 1024  # bytes
MIN_RSA_BITS = 2048  # RFC 7518, 3.3
CURVES: Mapping[str, type[ec.EllipticCurve]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
ALGORITHMS = RSA_ALGORITHMS | CURVES.keys() | {"EdDSA"}
LOADER = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}  # by key type: whose `from_jwk` reads it


@dataclass(frozen=True, slots=True)
class Key:
    """One public key. `algorithm` is the only one it may be used with, where its issuer says so."""

    public: PublicKey
    kid: str | None = None
    algorithm: str | None = None

    def fits(self, algorithm: str) -> bool:
        """Whether a signature by `algorithm` may be verified with it (RFC 7518, 3.1; RFC 8037)."""
        if self.algorithm not in (None, algorithm):
            return False
        if algorithm in RSA_ALGORITHMS:
            return isinstance(self.public, rsa.RSAPublicKey) and self.public.key_size >= MIN_RSA_BITS
        if algorithm in CURVES:
            return isinstance(self.public, ec.EllipticCurvePublicKey) and isinstance(
                self.public.curve, CURVES[algorithm]
            )
        return algorithm == "EdDSA" and isinstance(self.public, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey))


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of one issuer; `version` changes whenever they do."""

    keys: tuple[Key, ...]
    version: str

    def select(self, kid: str | None, algorithm: str) -> Key | None:
        """The one key meant: by `kid`, or without one the only key that fits. None where there is no such one key."""
        fitting = [key for key in self.keys if key.fits(algorithm) and kid in (None, key.kid)]
        return fitting[0] if len(fitting) == 1 else None


class KeyFile:
    """A JWK Set file, read again when it changes. A file that has become unusable makes the keys unavailable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, ...] | None = None
        self._keys: KeySet | None = None

    def keys(self) -> KeySet:
        """The keys as the file has them now. Raises KeysUnavailable."""
        try:
            if self._keys is None or stamp(self.path.stat()) != self._stamp:
                self._keys, self._stamp = None, None
                with self.path.open("rb") as file:
                    seen = stamp(os.fstat(file.fileno()))
                    content = file.read(MAX_FILE + 1)
                self._keys = parse_keys(content, str(self.path))
                self._stamp = seen
        except OSError as error:
            raise KeysUnavailable(f"{self.path}: {error.strerror}") from error
        return self._keys


def stamp(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is written or replaced."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def parse_keys(content: bytes, name: str) -> KeySet:
    """The keys in a JWK Set document; `name` is the file's or the URL, for errors.

    Keys that are not for verifying signatures, or of a kind or size not supported, are left out. A private or symmetric
    key has no place in the set: it refuses the whole. Raises KeysUnavailable, KeysWithdrawn where it is a JWK Set.
    """
    if len(content) > MAX_FILE:
        raise KeysUnavailable(f"{name}: larger than {MAX_FILE} bytes")
    try:
        document = json.parse(content)
    except BodyUnreadable as error:
        raise KeysUnavailable(f"{name}: {error}") from error
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise KeysUnavailable(f'{name}: not a JWK Set, which is {{"keys": [...]}}')
    keys = tuple(key for member in members if (key := parse_key(member, name)) is not None)
    if not keys:
        raise KeysWithdrawn(f"{name}: has no usable public key")
    return KeySet(keys, sha256(content).hexdigest())


def parse_key(member: Any, name: str) -> Key | None:
    if not isinstance(member, dict):
        raise KeysUnavailable(f"{name}: a key is not an object")
    if member.get("kty") == "oct" or "d" in member:
        raise KeysWithdrawn(f"{name}: holds a secret key; publish the public keys only")
    loader = LOADER.get(str(member.get("kty")))
    kid, algorithm = member.get("kid"), member.get("alg")
    named = isinstance(kid, str | None) and isinstance(algorithm, str | None)
    if loader is None or not named or not for_verifying(member):
        return None
    try:
        public = PyJWK(member, loader).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < MIN_RSA_BITS:
        return None
    return Key(public, kid, algorithm)


def for_verifying(member: Mapping[str, Any]) -> bool:
    """RFC 7517, 4.2 and 4.3: `use` and `key_ops`, where they are given."""
    operations: Sequence[Any] = member.get("key_ops", ["verify"])
    return member.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
