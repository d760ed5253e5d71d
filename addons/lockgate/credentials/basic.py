"""`basic`: a user and the secret as password (RFC 7617)."""

from __future__ import annotations

from base64 import b64encode

from lockgate.credentials.credential import Credential
from lockgate.errors import SecretUnavailable
from lockgate.model import CredentialSpec


def basic(spec: CredentialSpec, secret: str) -> Credential:
    """Raises SecretUnavailable for a user that Basic cannot carry."""
    if ":" in spec.user or not spec.user.isascii() or not spec.user.isprintable():
        raise SecretUnavailable(f"credential {spec.name}: the user must be visible ASCII without a colon")
    pair = b64encode(f"{spec.user}:{secret}".encode("ascii")).decode("ascii")
    return Credential(spec.name, secret, header=("Authorization", f"Basic {pair}"), user=spec.user)
