"""Issuers' keys, the clock, credentials."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.identity_provider import IdentityProvider
from lockgate.credentials.registry import Credentials
from lockgate.doctor import identity
from lockgate.doctor.finding import ok
from lockgate.identity import dev
from lockgate.model import CertificateFiles, CredentialSpec, Issuer, Saml, SecretSource, Target, TargetTls

ISSUER = Issuer("https://login.example", "lockgate", ("RS256",), "$.roles[*]")
DEV = Issuer("lockgate-dev", "lockgate", ("EdDSA",), "$.roles[*]", dev=True)


def with_file(path: Path) -> Issuer:
    return Issuer(ISSUER.issuer, ISSUER.audience, ISSUER.algorithms, ISSUER.roles, jwks_file=path)


async def test_an_issuer_without_its_keys_identifies_nobody(tmp_path: Path) -> None:
    found = await identity.issuer(with_file(tmp_path / "jwks.json"), tmp_path)
    assert found.level == "wrong"
    assert "503" in found.remedy


async def test_an_identity_provider_and_its_metadata(tmp_path: Path) -> None:
    provider = IdentityProvider()
    path = tmp_path / "idp.xml"
    entry = Issuer(provider.entity, "lockgate", (), "$.attributes.groups[*]", saml=Saml(path, "https://x.example/saml"))
    assert (await identity.issuer(entry, tmp_path)).level == "wrong"
    path.write_text(provider.metadata)
    assert (await identity.issuer(entry, tmp_path)).detail == "1 certificates"


async def test_the_development_issuer_is_for_trying(tmp_path: Path) -> None:
    assert (await identity.issuer(DEV, tmp_path / "state")).level == "note"
    dev.mint(tmp_path / "state", ["support"], 60, 0)
    assert "are taken" in (await identity.issuer(DEV, tmp_path / "state")).detail


async def test_the_clock_where_no_issuer_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "own_clock", lambda: ok("clock", "synchronised"))
    assert (await identity.clock((DEV,), lambda: datetime.now(UTC))).detail == "synchronised"


@pytest.mark.parametrize(
    ("said", "level"),
    [
        pytest.param("yes", "ok", id="synchronised"),
        pytest.param("no", "note", id="not"),
        pytest.param(None, "note", id="mute"),
    ],
)
def test_what_the_system_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, level: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if said:
        (tmp_path / "timedatectl").write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / "timedatectl").chmod(0o755)
    assert identity.own_clock().level == level


@pytest.mark.parametrize(
    ("variable", "level"), [pytest.param("PATH", "ok", id="there"), pytest.param("NO_SUCH_VARIABLE", "wrong", id="not")]
)
async def test_a_credential_whose_secret_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, level: str
) -> None:
    monkeypatch.setenv("PATH", "/a/long/enough/secret")
    spec = CredentialSpec("crm-token", "bearer", ("api.crm.example",), SecretSource("env", variable))
    using = {"crm": (Target("crm", "https", "api.crm.example", 443, credential="crm-token"),)}
    found = await identity.credential(spec, using, Credentials(tmp_path, b""))
    assert found.level == level
    assert "/a/long" not in repr(found)


async def test_a_client_certificate_is_used_by_a_targets_tls(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path / "crm.pem", SecretSource("file", str(tmp_path / "crm.key"), form="pem"))
    spec = CredentialSpec("crm-mtls", "client_cert", ("api.crm.example",), files)
    tls = TargetTls(client_cert="crm-mtls")
    using = {"crm": (Target("crm", "https", "api.crm.example", 443, tls=tls),)}
    found = await identity.credential(spec, using, Credentials(tmp_path, b""))
    assert found.level == "wrong"
    assert "crm.key" in found.detail


async def test_a_credential_that_nobody_uses(tmp_path: Path) -> None:
    spec = CredentialSpec("crm-token", "bearer", ("api.crm.example",), SecretSource("env", "PATH"))
    assert (await identity.credential(spec, {}, Credentials(tmp_path, b""))).level == "note"
