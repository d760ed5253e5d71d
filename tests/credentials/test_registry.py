from __future__ import annotations

import time
from base64 import b64encode
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.token_endpoint import TokenEndpoint
from lockgate.credentials.registry import Credentials
from lockgate.errors import SecretUnavailable
from lockgate.model import AwsKeys, CertificateFiles, HmacKey, OAuth2, SecretSource, SignedJwt, SigningKey

SOURCE = SecretSource("env", "CRM_TOKEN")
UNSET = SecretSource("env", "LOCKGATE_TEST_UNSET")


@pytest.fixture
def credentials(tmp_path):
    tmp_path.chmod(0o700)
    return Credentials(tmp_path, b"k" * 32)


@pytest.mark.parametrize(
    ("kind", "members", "path", "name"),
    [
        ("bearer", {}, "/", b"Authorization"),
        ("basic", {"user": "gateway"}, "/", b"Authorization"),
        ("header", {"field": "X-Api-Key"}, "/", b"X-Api-Key"),
        ("query", {"field": "key"}, "/?key=correct-horse-battery", None),
    ],
)
async def test_each_kind_that_shows_its_secret(credentials, spec, secret, target, kind, members, path, name):
    applied, headers = (await credentials.get(spec(kind, **members), target)).apply("/", ())
    assert applied == path
    assert [field for field, _ in headers] == ([name] if name else [])


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("aws", AwsKeys(SOURCE, SOURCE, "eu-west-1", "execute-api")),
        ("hmac", HmacKey(SOURCE, "{body}", (("X-Signature", "{signature}"),))),
    ],
)
async def test_each_kind_that_signs(credentials, spec, secret, target, kind, source):
    signer = await credentials.get(spec(kind, source=source), target)
    assert signer.scrub(secret.encode())[1] >= 1


@pytest.fixture
def mutual(spec, authority, tmp_path, monkeypatch):
    """An entry of a client certificate; its file and its key's variable are written by `issue`."""

    def issue():
        chain, key = authority.issue("gateway.example")
        (tmp_path / "crm.pem").write_text(chain)
        monkeypatch.setenv("CRM_KEY", key)

    issue()
    key = SecretSource("env", "CRM_KEY", form="pem")
    return spec("client_cert", source=CertificateFiles(tmp_path / "crm.pem", key)), issue


async def test_a_client_certificate_is_another_once_it_is_rotated(credentials, target, mutual):
    entry, issue = mutual
    first = await credentials.certificate(entry, target)
    assert first.name == "crm-token"
    assert await credentials.certificate(entry, target) is first
    issue()
    assert await credentials.certificate(entry, target) is not first


async def test_a_client_certificate_that_cannot_be_had(credentials, target, mutual, authority, tmp_path, caplog):
    entry, _ = mutual
    (tmp_path / "crm.pem").write_text(authority.issue("gateway.example")[0])
    with pytest.raises(SecretUnavailable, match="is not the key of"):
        await credentials.certificate(entry, target)
    (tmp_path / "crm.pem").unlink()
    with pytest.raises(SecretUnavailable, match="No such file"):
        await credentials.certificate(entry, target)
    with pytest.raises(SecretUnavailable, match="not for the host"):
        await credentials.certificate(entry, replace(target, host="evil.example"))
    assert len(caplog.records) == 3


async def test_a_certificate_is_no_credential_of_a_request(credentials, spec, secret, target, mutual):
    with pytest.raises(SecretUnavailable):
        await credentials.get(mutual[0], target)
    with pytest.raises(SecretUnavailable):
        await credentials.certificate(spec("bearer"), target)


async def test_environment_is_read_without_waiting(credentials, spec, secret, target):
    getting = credentials.get(spec("bearer"), target)
    with pytest.raises(StopIteration) as caught:
        getting.send(None)
    assert caught.value.value.name == "crm-token"


async def test_hosts_have_no_letter_case(credentials, spec, secret, target):
    held = await credentials.get(spec("bearer", hosts=("API.crm.example",)), replace(target, host="api.CRM.example"))
    assert held.name == "crm-token"


@pytest.mark.parametrize(
    "host", ["evil.example", "api.crm.example.evil.example", "crm.example", "xapi.crm.example", "api.crm.example.", ""]
)
async def test_another_host(credentials, spec, secret, target, host):
    await credentials.get(spec("bearer"), target)
    with pytest.raises(SecretUnavailable, match="not for the host") as caught:
        await credentials.get(spec("bearer"), replace(target, host=host))
    assert secret not in str(caught.value)


async def test_no_hosts(credentials, spec, secret, target):
    with pytest.raises(SecretUnavailable):
        await credentials.get(spec("bearer", hosts=()), target)


async def test_a_missing_secret_is_logged_once(credentials, spec, secret, target, caplog):
    for _ in range(3):
        with pytest.raises(SecretUnavailable, match="env:LOCKGATE_TEST_UNSET"):
            await credentials.get(spec("bearer", source=UNSET), target)
    assert [record.getMessage() for record in caplog.records] == [
        "Credential crm-token: env:LOCKGATE_TEST_UNSET: not set in the gateway's environment."
    ]
    await credentials.get(spec("bearer"), target)
    with pytest.raises(SecretUnavailable):
        await credentials.get(spec("bearer", source=UNSET), target)
    assert len(caplog.records) == 2


async def test_the_same_one_while_its_secret_is_the_same(credentials, spec, secret, target, monkeypatch):
    """What is looked for in answers is costly to prepare."""
    first = await credentials.get(spec("bearer"), target)
    assert await credentials.get(spec("bearer"), target) is first
    monkeypatch.setenv("CRM_TOKEN", "another-secret")
    second = await credentials.get(spec("bearer"), target)
    assert second is not first
    assert second.apply("/", ())[1] == ((b"Authorization", b"Bearer another-secret"),)
    assert first.apply("/", ())[1] == ((b"Authorization", f"Bearer {secret}".encode()),)


async def test_an_entry_that_changed_is_another(credentials, spec, secret, target):
    await credentials.get(spec("header", field="X-One"), target)
    changed = await credentials.get(spec("header", field="X-Two"), target)
    assert changed.apply("/", ())[1][0][0] == b"X-Two"


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("CLIENT_SECRET", "secret-of-the-client")
    return TokenEndpoint(secrets={"lockgate": "secret-of-the-client", "other": "secret-of-the-client"})


@pytest.fixture
def oauth2(serve, endpoint, authority):
    endpoint.url = f"https://localhost:{serve(endpoint.answer).port}/token"
    return OAuth2(endpoint.url, "lockgate", SecretSource("env", "CLIENT_SECRET", "text"), ca=authority.pem)


async def test_a_token_is_fetched_once_and_shown(credentials, spec, target, oauth2, endpoint):
    entry = spec("bearer", source=oauth2)
    first = await credentials.get(entry, target)
    assert first.apply("/", ())[1] == ((b"Authorization", f"Bearer {endpoint.issued[0]}".encode()),)
    assert await credentials.get(entry, target) is first
    assert len(endpoint.issued) == 1


async def test_the_token_and_what_it_was_obtained_with_are_scrubbed(credentials, spec, target, oauth2, endpoint):
    held = await credentials.get(spec("bearer", source=oauth2), target)
    (token,) = endpoint.issued
    pair = b64encode(f"lockgate:{'secret-of-the-client'}".encode())
    scrubbed, count = held.scrub(f"{token} secret-of-the-client ".encode() + pair)
    assert count == 3
    assert token.encode() not in scrubbed
    assert b"secret-of-the-client" not in scrubbed
    assert pair not in scrubbed


@pytest.mark.parametrize(
    "members",
    [
        {"client_id": "other"},
        {"scope": "less"},
        {"audience": "https://api.crm.example"},
        {"auth": "post"},
        {"resource": "https://api.crm.example"},
    ],
    ids=str,
)
async def test_no_entry_is_given_a_token_that_was_asked_for_otherwise(
    credentials, spec, target, oauth2, endpoint, members
):
    await credentials.get(spec("bearer", source=oauth2), target)
    held = await credentials.get(spec("bearer", source=replace(oauth2, **members)), target)
    assert len(endpoint.issued) == 2
    assert held.apply("/", ())[1][0][1].endswith(endpoint.issued[1].encode())


async def test_a_token_endpoint_that_refuses(credentials, spec, target, oauth2, endpoint, caplog):
    endpoint.secrets.clear()
    for _ in range(3):
        with pytest.raises(SecretUnavailable, match="invalid_client"):
            await credentials.get(spec("bearer", source=oauth2), target)
    assert len(endpoint.forms) == 1
    assert len(caplog.records) == 1
    assert "secret-of-the-client" not in caplog.text


async def test_a_jwt_is_signed_once_and_shown(credentials, spec, target, monkeypatch):
    key = ec.generate_private_key(ec.SECP256R1())
    monkeypatch.setenv("APP_KEY", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    source = SignedJwt(SigningKey(SecretSource("env", "APP_KEY", "pem"), "ES256"), issuer="app-7")
    held = await credentials.get(spec("bearer", source=source), target)
    ((name, value),) = held.apply("/", ())[1]
    assert name == b"Authorization"
    token = value.decode().removeprefix("Bearer ")
    assert jwt.decode(token, key.public_key(), algorithms=["ES256"], issuer="app-7")["exp"] > time.time()
    assert await credentials.get(spec("bearer", source=source), target) is held
