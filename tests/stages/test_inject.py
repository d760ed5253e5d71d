from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy import http

from lockgate.credentials.client_cert import ClientCertificate
from lockgate.credentials.credential import Credential
from lockgate.credentials.sources import env, file
from lockgate.errors import Refused, SecretUnavailable
from lockgate.exchange import exchange
from lockgate.model import CertificateFiles, CredentialSpec, SecretSource, Target, TargetTls
from lockgate.runtime import Runtime
from lockgate.stages.inject import Inject

SECRET = "correct-horse-battery"
Targeted = Callable[..., http.HTTPFlow]


@pytest.fixture
def read_in(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads that secrets were read in."""
    threads = []

    def noting(read: Callable[[str], str]) -> Callable[[str], str]:
        def noted(name: str) -> str:
            threads.append(threading.get_ident())
            return read(name)

        return noted

    for source in (env, file):
        monkeypatch.setattr(source, "read", noting(source.read))
    return threads


@pytest.fixture
def inject(runtime: Runtime) -> Inject:
    return Inject(runtime)


def put_on_disk(flow: http.HTTPFlow, path: Path) -> None:
    found = exchange(flow)
    assert found.generation is not None
    specs = found.generation.credentials
    spec = replace(specs["on-disk"], source=SecretSource("file", str(path)))
    found.generation = replace(found.generation, credentials={**specs, "on-disk": spec})


async def test_a_credential_is_put_onto_the_exchange_alone(
    inject: Inject, targeted: Targeted, read_in: list[int]
) -> None:
    flow = targeted()
    before = repr(flow.get_state())
    await inject.request(flow)
    credential = exchange(flow).credential
    assert credential is not None
    assert credential.apply("/", ()) == ("/", ((b"Authorization", f"Bearer {SECRET}".encode()),))
    assert repr(flow.get_state()) == before
    assert SECRET not in before + repr(exchange(flow))
    assert read_in == [threading.get_ident()]


async def test_what_needs_none_gets_none(inject: Inject, targeted: Targeted) -> None:
    flow = targeted("GET", "http://plain.example/v1/x")
    await inject.request(flow)
    assert exchange(flow).credential is None


async def test_a_file_is_read_off_the_loop(
    inject: Inject, targeted: Targeted, tmp_path: Path, read_in: list[int]
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)
    flow = targeted("GET", "https://disk.example/v1/x")
    put_on_disk(flow, tmp_path / "secret")
    await inject.request(flow)
    credential = exchange(flow).credential
    assert credential is not None
    assert credential.scrub(SECRET.encode())[1] == 1
    assert len(read_in) == 1
    assert read_in[0] != threading.get_ident()


async def refused(inject: Inject, flow: http.HTTPFlow) -> None:
    with pytest.raises(Refused) as caught:
        await inject.request(flow)
    assert caught.value.refusal.status == 503
    assert caught.value.__suppress_context__
    assert exchange(flow).credential is None


async def test_a_secret_that_is_missing_keeps_the_request(
    inject: Inject, targeted: Targeted, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = targeted()
    monkeypatch.delenv("CRM_TOKEN")
    await refused(inject, flow)


async def test_a_file_that_is_missing_keeps_the_request(inject: Inject, targeted: Targeted, tmp_path: Path) -> None:
    flow = targeted("GET", "https://disk.example/v1/x")
    put_on_disk(flow, tmp_path / "secret")
    await refused(inject, flow)


async def test_no_other_host_is_given_a_credential(inject: Inject, targeted: Targeted) -> None:
    flow = targeted()
    found = exchange(flow)
    assert found.target is not None
    found.target = replace(found.target, host="other.example")
    await refused(inject, flow)


class Held:
    """Gives a certificate for `mtls`, and nothing for anything else."""

    def __init__(self) -> None:
        self.made = ClientCertificate("mtls", [], ec.generate_private_key(ec.SECP256R1()))
        self.asked: list[str] = []

    async def certificate(self, spec: CredentialSpec, target: Target) -> ClientCertificate:
        self.asked.append(spec.name)
        if spec.name != "mtls":
            raise SecretUnavailable("none")
        return self.made

    async def get(self, spec: CredentialSpec, target: Target) -> Credential:
        self.asked.append(spec.name)
        return Credential(spec.name, SECRET, query="key")


def mutual(flow: http.HTTPFlow, name: str) -> None:
    found = exchange(flow)
    assert found.target is not None and found.generation is not None
    found.target = replace(found.target, tls=TargetTls(client_cert=name))
    files = CertificateFiles(Path("/etc/crm.pem"), SecretSource("env", "KEY", form="pem"))
    spec = CredentialSpec(name, "client_cert", ("api.crm.example",), files)
    found.generation = replace(found.generation, credentials={**found.generation.credentials, name: spec})


async def test_a_certificate_comes_beside_the_credential(inject: Inject, runtime: Runtime, targeted: Targeted) -> None:
    runtime.credentials = held = Held()  # type: ignore[assignment]
    flow = targeted()
    mutual(flow, "mtls")
    await inject.request(flow)
    assert exchange(flow).certificate is held.made
    assert exchange(flow).credential is not None
    assert held.asked == ["mtls", "crm-token"]


async def test_a_certificate_that_cannot_be_had_keeps_the_request(
    inject: Inject, runtime: Runtime, targeted: Targeted
) -> None:
    runtime.credentials = held = Held()  # type: ignore[assignment]
    flow = targeted()
    mutual(flow, "other")
    await refused(inject, flow)
    assert exchange(flow).certificate is None
    assert held.asked == ["other"]


@pytest.mark.parametrize("missing", ["target", "generation"])
async def test_nothing_is_injected_into_what_was_not_read(inject: Inject, targeted: Targeted, missing: str) -> None:
    flow = targeted()
    setattr(exchange(flow), missing, None)
    with pytest.raises(AssertionError):
        await inject.request(flow)
