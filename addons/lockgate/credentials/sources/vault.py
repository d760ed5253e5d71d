"""Secrets in HashiCorp Vault, or what speaks its API: the KV secrets engine, version 2.

https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from lockgate.bodies import json
from lockgate.credentials.http import ask
from lockgate.errors import BodyUnreadable, SecretUnavailable
from lockgate.model import Vault
from lockgate.outbound import Reply

PROBLEMS: Mapping[int, str] = {
    400: "Vault takes this for no valid request (400); is the namespace right?",
    403: "Vault denies it (403): the token is not valid, or its policies do not let it read this path",
    429: "Vault is busy, or a standby that takes no reads (429)",
    472: "Vault is a secondary that takes no reads (472)",
    473: "Vault is a standby that takes no reads (473)",
    503: "Vault is sealed or in maintenance (503)",
}


async def read(vault: Vault, token: str, name: str) -> str:
    """The field `name`, MOUNT/PATH#FIELD, of the latest version. The mount is the first part of the path.

    Raises SecretUnavailable.
    """
    where, _, field = name.partition("#")
    mount, _, path = where.partition("/")
    headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
    if vault.namespace:
        headers["X-Vault-Namespace"] = vault.namespace
    url = f"{vault.address}/v1/{quote(mount, safe='')}/data/{quote(path)}"
    try:
        return member(await ask("GET", url, headers=headers, ca=vault.ca), field)
    except SecretUnavailable as error:
        raise SecretUnavailable(f"vault:{name}: {error}") from None


def member(reply: Reply, field: str) -> str:
    """The field of the version in an answer. Raises SecretUnavailable."""
    version = parsed(reply)
    if reply.status == 404:
        gone = isinstance(version.get("metadata"), dict)
        raise SecretUnavailable(
            "its latest version is deleted" if gone else "not there (404), or its mount is no KV of version 2"
        )
    if reply.status != 200:
        raise SecretUnavailable(PROBLEMS.get(reply.status, f"Vault answers {reply.status}"))
    fields = version.get("data")
    if not isinstance(fields, dict):
        raise SecretUnavailable("Vault's answer is not that of a KV of version 2")
    if field not in fields:
        raise SecretUnavailable("the secret there has no such field")
    if not isinstance(fields[field], str):
        raise SecretUnavailable("the field is not text")
    secret: str = fields[field]
    return secret


def parsed(reply: Reply) -> Mapping[str, Any]:
    """The `data` of an answer, empty where it has none: errors have only `errors`, whose text may quote anything."""
    try:
        document = json.parse(reply.body)
    except BodyUnreadable:
        return {}
    data = document.get("data") if isinstance(document, dict) else None
    return data if isinstance(data, dict) else {}
