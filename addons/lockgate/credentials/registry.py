"""From an entry of `credentials.yaml` to the credential itself, for a host it is meant for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lockgate.credentials.basic import basic
from lockgate.credentials.bearer import bearer
from lockgate.credentials.credential import Credential
from lockgate.credentials.header import header
from lockgate.credentials.query import query
from lockgate.credentials.sources import resolve
from lockgate.errors import SecretUnavailable
from lockgate.model import CredentialSpec

KINDS: Mapping[str, Callable[[CredentialSpec, str], Credential]] = {
    "bearer": bearer,
    "basic": basic,
    "header": header,
    "query": query,
}


def resolve_credential(spec: CredentialSpec, host: str) -> Credential:
    """The credential of `spec` for `host`, its secret as it is now.

    Raises SecretUnavailable where `host` is none of its hosts or the secret cannot be had.
    """
    if host.lower() not in {allowed.lower() for allowed in spec.hosts}:
        raise SecretUnavailable(f"credential {spec.name}: not for the host {host}")
    return KINDS[spec.kind](spec, resolve(spec.source))
