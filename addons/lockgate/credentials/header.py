"""`header`: the secret in a header of the target's own, such as `X-Api-Key`, behind a prefix where one is given."""

from __future__ import annotations

from lockgate.credentials.credential import Credential
from lockgate.model import CredentialSpec


def header(spec: CredentialSpec, secret: str) -> Credential:
    return Credential(spec.name, secret, header=(spec.field, f"{spec.prefix}{secret}"))
