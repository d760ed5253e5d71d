"""The development issuer of `lockgate token`: a key of the gateway's own, honoured for loopback peers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lockgate import state
from lockgate.errors import KeysUnavailable
from lockgate.identity.jwks import Key, KeySet, stamp
from lockgate.model import Issuer

ISSUER = "lockgate-dev"
AUDIENCE = "lockgate"
ALGORITHM = "EdDSA"
ROLES = "$.roles[*]"


def dev_issuer(configured: Issuer) -> Issuer:
    """The development issuer as it verifies, whatever its entry in the rules says of names and keys.

    It keeps its audience: approvers' tokens have another than agents'.
    """
    return replace(configured, issuer=ISSUER, algorithms=(ALGORITHM,), roles=ROLES, dev=True)


def mint(
    state_dir: Path,
    roles: Sequence[str],
    ttl_seconds: float,
    now: float,
    subject: str = "dev",
    audience: str = AUDIENCE,
) -> str:
    """A signed token for `subject` with `roles`, valid from `now` (seconds since the epoch) for `ttl_seconds`.

    It counts where `audience` is asked for: with agents' requests, or as an approver.

    Makes the key under `state_dir` at first use. Raises KeysUnavailable.
    """
    key = load_or_make_key(state_dir)
    issued = int(now)
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": subject,
        "iat": issued,
        "nbf": issued,
        "exp": issued + int(ttl_seconds),
        "jti": token_hex(16),
        "roles": list(roles),
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id(key.public_key())})


class DevKeys:
    """The development issuer's public key, read from its key file, which may appear or change while we run."""

    def __init__(self, state_dir: Path) -> None:
        self.path = key_path(state_dir)
        self._stamp: tuple[int, ...] | None = None
        self._keys: KeySet | None = None

    def keys(self) -> KeySet:
        """The key as the file has it now. Raises KeysUnavailable."""
        try:
            if self._keys is None or stamp(self.path.stat()) != self._stamp:
                self._keys, self._stamp = None, None
                private, self._stamp = read_key(self.path)
                kid = key_id(private.public_key())
                self._keys = KeySet((Key(private.public_key(), kid, ALGORITHM),), kid)
        except FileNotFoundError as error:
            raise KeysUnavailable(f"{self.path}: no key yet; `lockgate token` makes one") from error
        except OSError as error:
            raise KeysUnavailable(f"{self.path}: {error.strerror}") from error
        return self._keys


def key_path(state_dir: Path) -> Path:
    return state_dir / "dev-issuer" / "key.pem"


def key_id(public: Ed25519PublicKey) -> str:
    return sha256(public.public_bytes_raw()).hexdigest()[:32]


def load_or_make_key(state_dir: Path) -> Ed25519PrivateKey:
    path = key_path(state_dir)
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        state.require_private(path.parent.stat(), path.parent)
        if not path.exists():
            state.make(path, new_key())
        return read_key(path)[0]
    except OSError as error:
        raise KeysUnavailable(f"{error.filename or path}: {error.strerror}") from error


def new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(path: Path) -> tuple[Ed25519PrivateKey, tuple[int, ...]]:
    """The key and the stamp of the file it was read from. Raises OSError and KeysUnavailable."""
    pem, status = state.read(path)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysUnavailable(f"{path}: not an Ed25519 private key; delete it, and `lockgate token` makes a new one")
    return key, stamp(status)
