"""Signatures over what is said of recordings: checkpoints, tombstones, exports. Ed25519 (RFC 8032) by `cryptography`.

The private key lies in the state directory, never beside the recordings: whoever may write there cannot sign. What is
signed is the canonical JSON of a document: keys in order, no white space, ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

SIGNATURE = "signature"
KEY = "key"


class Verifier:
    """Knows one gateway's public key. `key_id` are the first 16 hexadecimal digits of its SHA-256."""

    def __init__(self, public: Ed25519PublicKey) -> None:
        self._public = public
        self.key_id = sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]

    @classmethod
    def of_pem(cls, pem: bytes) -> Verifier:
        """Raises ValueError where it is no such key."""
        try:
            public = load_pem_public_key(pem)
        except Exception as error:
            raise ValueError("not a public key in PEM") from error
        if not isinstance(public, Ed25519PublicKey):
            raise ValueError("not an Ed25519 key")
        return cls(public)

    @property
    def pem(self) -> bytes:
        return self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def is_signed(self, document: Any) -> bool:
        """Whether a document is as this gateway signed it."""
        if not isinstance(document, Mapping) or document.get(KEY) != self.key_id:
            return False
        try:
            signature = bytes.fromhex(document[SIGNATURE])
            self._public.verify(signature, canonical(document))
        except (KeyError, TypeError, ValueError, InvalidSignature):
            return False
        return True


class Signer:
    """Signs with the key that these 32 random bytes are the seed of."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(self._private.public_key())

    def signed(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with the key's id and its signature. Raises TypeError or ValueError where it is no JSON."""
        named = {**document, KEY: self.verifier.key_id}
        return {**named, SIGNATURE: self._private.sign(canonical(named)).hex()}


def canonical(document: Mapping[str, Any]) -> bytes:
    """What is signed of a document."""
    unsigned = {name: value for name, value in document.items() if name != SIGNATURE}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
