"""Entries of credentials.yaml, as the rest of the gateway gets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lockgate.model import (
    AwsKeys,
    CertificateFiles,
    CredentialSpec,
    HmacKey,
    OAuth2,
    SecretSource,
    SignedJwt,
    SigningKey,
    Vault,
)
from lockgate.policy.credentials import sources_in, with_sources
from lockgate.policy.generation import Generation

Loaded = Callable[..., Generation]

VAULT = Vault(
    "https://vault.example:8200", SecretSource("env", "VAULT_TOKEN"), namespace="team-a", ca=Path("/etc/vault.pem")
)


@pytest.mark.parametrize(
    ("entry", "spec"),
    [
        pytest.param(
            '{bearer: "env:CRM_TOKEN", hosts: [API.CRM.example]}',
            CredentialSpec("c", "bearer", ("api.crm.example",), SecretSource("env", "CRM_TOKEN")),
            id="bearer",
        ),
        pytest.param(
            '{basic: {user: gateway, password: "file:/run/secrets/crm"}, hosts: [api.crm.example]}',
            CredentialSpec(
                "c", "basic", ("api.crm.example",), SecretSource("file", "/run/secrets/crm"), user="gateway"
            ),
            id="basic",
        ),
        pytest.param(
            '{header: {name: X-Api-Key, value: "env:KEY", prefix: "Key "}, hosts: [api.crm.example, 10.0.0.5]}',
            CredentialSpec(
                "c",
                "header",
                ("api.crm.example", "10.0.0.5"),
                SecretSource("env", "KEY"),
                field="X-Api-Key",
                prefix="Key ",
            ),
            id="header",
        ),
        pytest.param(
            '{query: {name: api key, value: "env:KEY"}, hosts: ["[::1]"]}',
            CredentialSpec("c", "query", ("::1",), SecretSource("env", "KEY"), field="api key"),
            id="query",
        ),
        pytest.param(
            '{bearer: "exec:op read op://crm/token", cache: 30s, hosts: [a.example]}',
            CredentialSpec(
                "c", "bearer", ("a.example",), SecretSource("exec", "op read op://crm/token", lifetime=30.0)
            ),
            id="exec",
        ),
        pytest.param(
            '{bearer: "vault:secret/crm#token", hosts: [a.example]}',
            CredentialSpec("c", "bearer", ("a.example",), SecretSource("vault", "secret/crm#token", vault=VAULT)),
            id="vault",
        ),
        pytest.param(
            '{basic: {user: me, password: "keyring:crm/me"}, cache: 1h, hosts: [a.example]}',
            CredentialSpec("c", "basic", ("a.example",), SecretSource("keyring", "crm/me", lifetime=3600.0), user="me"),
            id="keyring",
        ),
        pytest.param(
            """{hosts: [a.example], cache: 1m, oauth2: {token_url: "https://b.example/token", client_id: "012",
            client_secret: "vault:secret/crm#client", scope: a b, audience: https://a.example, resource: "urn:a",
            auth: post, refresh_token: "file:../refresh", ca: ca.pem}}""",
            CredentialSpec(
                "c",
                "bearer",
                ("a.example",),
                OAuth2(
                    "https://b.example/token",
                    "012",
                    SecretSource("vault", "secret/crm#client", "text", 60.0, VAULT),
                    refresh_token=SecretSource("file", "RULES/../refresh", "text"),
                    auth="post",
                    scope="a b",
                    audience="https://a.example",
                    resource="urn:a",
                    ca=Path("RULES/ca.pem"),
                ),
            ),
            id="oauth2",
        ),
        pytest.param(
            """{hosts: [a.example], oauth2: {token_url: "https://b.example/token", client_id: x,
            client_key: {key: "file:/run/key.pem", algorithm: ES256, kid: k1}}}""",
            CredentialSpec(
                "c",
                "bearer",
                ("a.example",),
                OAuth2(
                    "https://b.example/token",
                    "x",
                    client_key=SigningKey(SecretSource("file", "/run/key.pem", "pem"), "ES256", "k1"),
                ),
            ),
            id="oauth2-by-key",
        ),
        pytest.param(
            '{hosts: [a.example], jwt: {key: "env:KEY", algorithm: RS256, issuer: app, ttl: 9m}}',
            CredentialSpec(
                "c",
                "bearer",
                ("a.example",),
                SignedJwt(SigningKey(SecretSource("env", "KEY", "pem"), "RS256"), issuer="app", ttl=540.0),
            ),
            id="jwt",
        ),
        pytest.param(
            """{hosts: [a.example], jwt: {key: "env:KEY", algorithm: RS256, kid: k1, issuer: app, subject: me,
            audience: them, claims: {a: b, c: [d, e]}, token_url: "http://localhost:8080/token", scope: s,
            ca: /etc/ca.pem}}""",
            CredentialSpec(
                "c",
                "bearer",
                ("a.example",),
                SignedJwt(
                    SigningKey(SecretSource("env", "KEY", "pem"), "RS256", "k1"),
                    issuer="app",
                    subject="me",
                    audience="them",
                    claims=(("a", "b"), ("c", ("d", "e"))),
                    token_url="http://localhost:8080/token",
                    scope="s",
                    ca=Path("/etc/ca.pem"),
                ),
            ),
            id="jwt-exchanged",
        ),
        pytest.param(
            """{hosts: [s3.example], cache: 1m, aws: {access_key_id: "env:ID", secret_access_key: "exec:get key",
            session_token: "file:../token", region: eu-central-1, service: execute-api}}""",
            CredentialSpec(
                "c",
                "aws",
                ("s3.example",),
                AwsKeys(
                    SecretSource("env", "ID"),
                    SecretSource("exec", "get key", lifetime=60.0),
                    "eu-central-1",
                    "execute-api",
                    SecretSource("file", "RULES/../token"),
                ),
            ),
            id="aws",
        ),
        pytest.param(
            """{hosts: [a.example], hmac: {secret: "env:KEY", content: "{body}", headers: {X-S: "v1={signature}"}}}""",
            CredentialSpec(
                "c",
                "hmac",
                ("a.example",),
                HmacKey(SecretSource("env", "KEY"), "{body}", (("X-S", "v1={signature}"),)),
            ),
            id="hmac-smallest",
        ),
        pytest.param(
            """{hosts: [a.example], hmac: {secret: "env:KEY", key_id: "env:ID", algorithm: sha512, encoding: base64,
            secret_encoding: base64, timestamp: rfc3339, content: "{timestamp}.{key_id}",
            headers: {X-S: "{signature}", X-T: "{timestamp}", X-K: "{key_id}"}}}""",
            CredentialSpec(
                "c",
                "hmac",
                ("a.example",),
                HmacKey(
                    SecretSource("env", "KEY"),
                    "{timestamp}.{key_id}",
                    (("X-S", "{signature}"), ("X-T", "{timestamp}"), ("X-K", "{key_id}")),
                    SecretSource("env", "ID"),
                    "sha512",
                    "base64",
                    "base64",
                    "rfc3339",
                ),
            ),
            id="hmac",
        ),
        pytest.param(
            """{hosts: [a.example], client_cert: {cert: crm.pem, key: "file:../crm.key"}}""",
            CredentialSpec(
                "c",
                "client_cert",
                ("a.example",),
                CertificateFiles(Path("RULES/crm.pem"), SecretSource("file", "RULES/../crm.key", "pem")),
            ),
            id="client-cert",
        ),
    ],
)
def test_credentials(loaded: Loaded, entry: str, spec: CredentialSpec, tmp_path: Path) -> None:
    targets = "targets:\n  crm: {url: https://x.example}\n"
    vault = 'vault: {address: "https://vault.example:8200/", namespace: team-a, ca: /etc/vault.pem}'
    text = f"credentials:\n  c: {entry}\n{vault}\n"
    generation = loaded({"credentials.yaml": text, "targets.yaml": targets})
    assert repr(generation.credentials) == repr({"c": spec}).replace("RULES/..", str(tmp_path)).replace(
        "RULES", str(tmp_path / "rules")
    )
    assert hash(generation.credentials["c"])


def test_the_token_for_vault_is_relative_to_the_rules(loaded: Loaded, tmp_path: Path) -> None:
    text = (
        'credentials:\n  crm-token: {bearer: "vault:secret/crm#token", hosts: [api.crm.example]}\n'
        'vault: {address: "https://vault.example", token: "file:../token"}\n'
    )
    source = loaded({"credentials.yaml": text}).credentials["crm-token"].source
    assert isinstance(source, SecretSource)
    assert source.vault == Vault("https://vault.example", SecretSource("file", str(tmp_path / "token")))


def test_a_secret_file_is_relative_to_the_rules(loaded: Loaded, tmp_path: Path) -> None:
    text = 'credentials:\n  crm-token: {bearer: "file:../secrets/crm", hosts: [api.crm.example]}\n'
    source = loaded({"credentials.yaml": text}).credentials["crm-token"].source
    assert source == SecretSource("file", str(tmp_path / "secrets/crm"))


@dataclass(frozen=True)
class Nested:
    key: SigningKey | None
    others: str = "x"
    source: SecretSource | None = None


def test_sources_are_found_wherever_they_stand() -> None:
    a, b = SecretSource("env", "A"), SecretSource("env", "B")
    whole = Nested(SigningKey(a, "RS256"), source=b)
    assert sources_in(whole) == (a, b)
    changed = with_sources(whole, lambda source: replace(source, name=source.name.lower()))
    assert changed == Nested(SigningKey(SecretSource("env", "a"), "RS256"), source=SecretSource("env", "b"))
    assert sources_in(Nested(None)) == ()
