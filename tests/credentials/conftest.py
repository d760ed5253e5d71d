"""A credential's entry in the rules, with its secret in the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockgate.model import CredentialSpec, SecretSource

SECRET = "correct-horse-battery"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CRM_TOKEN", SECRET)
    return SECRET


@pytest.fixture
def spec() -> Callable[..., CredentialSpec]:
    """`spec(kind, **members)`: an entry named `crm-token` for api.crm.example, its secret in `CRM_TOKEN`."""

    def spec(kind: str, **members: Any) -> CredentialSpec:
        source = SecretSource("env", "CRM_TOKEN")
        return CredentialSpec(
            **{"name": "crm-token", "kind": kind, "hosts": ("api.crm.example",), "source": source, **members}
        )

    return spec
