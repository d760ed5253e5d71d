"""A HashiCorp Vault with KV secrets engines of version 2, as far as reading goes: how it answers, not what it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from harness.answers import message
from harness.upstream import Connection, Seen

CREATED = "2026-03-01T10:00:00.000000Z"


@dataclass
class Version:
    """One version of a secret; its data are gone once it is deleted (which can be undone) or destroyed."""

    data: dict[str, object]
    deleted: bool = False
    destroyed: bool = False

    def answer(self, number: int) -> tuple[int, object]:
        gone = self.deleted or self.destroyed
        metadata = {
            "created_time": CREATED,
            "custom_metadata": None,
            "deletion_time": "2026-03-02T10:00:00.000000Z" if self.deleted else "",
            "destroyed": self.destroyed,
            "version": number,
        }
        body = {
            "request_id": "3d7a4d5e-0000-0000-0000-000000000000",
            "lease_id": "",
            "renewable": False,
            "lease_duration": 0,
            "data": {"data": None if gone else self.data, "metadata": metadata},
            "wrap_info": None,
            "warnings": None,
            "auth": None,
        }
        return (404 if gone else 200), body


@dataclass
class FakeVault:
    """`tokens` are good ones, each with the prefixes of `MOUNT/data/PATH` that it may read in its namespace.

    `secrets` are by namespace and then by MOUNT/PATH. `status` answers every request in place of all else.
    """

    tokens: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    mounts: set[tuple[str, str]] = field(default_factory=lambda: {("", "secret")})
    secrets: dict[tuple[str, str], list[Version]] = field(default_factory=dict)
    sealed: bool = False
    status: int = 0

    def put(self, path: str, data: Mapping[str, object], namespace: str = "") -> None:
        """A new version."""
        self.secrets.setdefault((namespace, path), []).append(Version(dict(data)))

    def answer(self, connection: Connection, seen: Seen) -> None:
        status, body = (self.status, {"errors": ["as told"]}) if self.status else self._read(seen)
        reasons = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 503: "Service Unavailable"}
        fields = [("content-type", "application/json"), ("cache-control", "no-store")]
        if status in (301, 307):
            fields.append(("location", f"https://active.vault.example{seen.target}"))
        connection.send(message(f"{status} {reasons.get(status, 'Other')}", fields, json.dumps(body).encode()))

    def _read(self, seen: Seen) -> tuple[int, object]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        namespace = seen.header("x-vault-namespace") or ""
        own, prefixes = self.tokens.get(seen.header("x-vault-token") or "", (None, ()))
        path = unquote(seen.path).removeprefix("/v1/")
        if own != namespace or not path.startswith(prefixes):
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        mount, _, rest = path.partition("/")
        if (namespace, mount) not in self.mounts:
            return 404, {"errors": [f'no handler for route "{path}". route entry not found.']}
        versions = self.secrets.get((namespace, f"{mount}/{rest.removeprefix('data/')}"))
        if seen.method != "GET" or not rest.startswith("data/") or not versions:
            return 404, {"errors": []}
        return versions[-1].answer(len(versions))
