"""`query`: the secret in a query parameter. It may end up in a target's logs: for targets that take nothing else."""

from __future__ import annotations

from lockgate.credentials.credential import Credential
from lockgate.model import CredentialSpec


def query(spec: CredentialSpec, secret: str) -> Credential:
    return Credential(spec.name, secret, query=spec.field)
