"""`bearer`: the secret as a bearer token (RFC 6750)."""

from __future__ import annotations

from lockgate.credentials.credential import Credential
from lockgate.model import CredentialSpec


def bearer(spec: CredentialSpec, secret: str) -> Credential:
    return Credential(spec.name, secret, header=("Authorization", f"Bearer {secret}"))
