"""A credential's entry in the rules, with its secret in the environment; what secrets are read and fetched with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.pki import Authority
from harness.upstream import Answer, RecordingUpstream
from lockgate.credentials.cache import Cache
from lockgate.credentials.sources import Secrets
from lockgate.model import CredentialSpec, SecretSource, Target

SECRET = "correct-horse-battery"
NAME = "localhost"


class Clock:
    """Seconds, which go forward when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Cache:
    return Cache(clock)


@pytest.fixture
def secrets(cache: Cache) -> Secrets:
    return Secrets(cache)


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CRM_TOKEN", SECRET)
    return SECRET


@pytest.fixture
def target() -> Target:
    return Target("crm", "https", "api.crm.example", 443)


@pytest.fixture
def spec() -> Callable[..., CredentialSpec]:
    """`spec(kind, **members)`: an entry named `crm-token` for api.crm.example, its secret in `CRM_TOKEN`."""

    def spec(kind: str, **members: Any) -> CredentialSpec:
        source = SecretSource("env", "CRM_TOKEN")
        return CredentialSpec(
            **{"name": "crm-token", "kind": kind, "hosts": ("api.crm.example",), "source": source, **members}
        )

    return spec


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[..., RecordingUpstream]]:
    """Serves on loopback with TLS, under a certificate of `authority`; `tls=False` without."""
    servers: list[RecordingUpstream] = []

    def serve(answer: Answer, *, tls: bool = True) -> RecordingUpstream:
        servers.append(RecordingUpstream(answer, authority.server_context(NAME) if tls else None))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()
