"""`bearer`: the secret as a bearer token (RFC 6750)."""

from __future__ import annotations

from lockgate.credentials.credential import Credential
from lockgate.model import CredentialSpec


def bearer(spec: CredentialSpec, secret: str, *beside: str) -> Credential:
    """`beside` are secrets that it was obtained with: removed too where a target echoes them."""
    return Credential(spec.name, secret, *beside, header=("Authorization", f"Bearer {secret}"))
