from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.answers import message
from harness.vault import FakeVault
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource, Vault

TOKEN = "hvs.CAESIJ-a-token-of-vault"


@pytest.fixture
def vault(monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    vault = FakeVault(tokens={TOKEN: ("", ("secret/data/", "kv1/", "team-kv/data/"))})
    vault.put("secret/crm/api", {"token": "correct-horse", "number": 12345678, "nested": {"a": "b"}})
    return vault


@pytest.fixture
def server(serve, vault):
    return serve(vault.answer)


@pytest.fixture
def config(server, authority):
    return Vault(f"https://localhost:{server.port}", SecretSource("env", "VAULT_TOKEN"), ca=authority.pem)


@pytest.fixture
def read(secrets, config):
    def read(name, **members):
        return secrets.read(SecretSource("vault", name, vault=replace(config, **members)))

    return read


async def test_read(read, server):
    assert await read("secret/crm/api#token") == "correct-horse"
    (seen,) = server.requests
    assert (seen.method, seen.target) == ("GET", "/v1/secret/data/crm/api")
    assert seen.header("x-vault-token") == TOKEN
    assert seen.header("x-vault-request") == "true"
    assert seen.header("x-vault-namespace") is None


async def test_the_latest_version_counts_once_what_is_held_has_ended(read, vault, server, clock):
    assert await read("secret/crm/api#token") == "correct-horse"
    vault.put("secret/crm/api", {"token": "rotated-horse"})
    assert await read("secret/crm/api#token") == "correct-horse"
    assert len(server.requests) == 1
    clock.now += 300
    assert await read("secret/crm/api#token") == "rotated-horse"


async def test_namespaces(read, vault, server):
    other = "hvs.of-the-team-0123"
    vault.tokens = {other: ("team-a", ("secret/data/",)), **vault.tokens}
    vault.mounts.add(("team-a", "secret"))
    vault.put("secret/crm/api", {"token": "of-the-team"}, namespace="team-a")
    with pytest.raises(SecretUnavailable, match="403"):
        await read("secret/crm/api#token", namespace="team-a")
    vault.tokens[TOKEN] = vault.tokens[other]
    with pytest.raises(SecretUnavailable, match="403"):
        await read("secret/crm/api#token")
    assert [seen.header("x-vault-namespace") for seen in server.requests] == ["team-a", None]


async def test_another_namespace_is_another_secret(read, vault, clock):
    vault.tokens[TOKEN] = ("team-a", ("secret/data/",))
    vault.mounts.add(("team-a", "secret"))
    vault.put("secret/crm/api", {"token": "of-the-team"}, namespace="team-a")
    assert await read("secret/crm/api#token", namespace="team-a") == "of-the-team"
    vault.tokens[TOKEN] = ("", ("secret/data/",))
    assert await read("secret/crm/api#token") == "correct-horse"


def address(server):
    return f"https://localhost:{server.port}"


def of_kv1(vault):
    vault.mounts.add(("", "kv1"))


def deleted(vault):
    vault.put("secret/crm/api", {"token": "second-horse"})
    vault.secrets["", "secret/crm/api"][-1].deleted = True


def destroyed(vault):
    vault.secrets["", "secret/crm/api"][-1].destroyed = True


def sealed(vault):
    vault.sealed = True


def no_token(vault):
    vault.tokens.clear()


def answers(status):
    def change(vault):
        vault.status = status

    return change


@pytest.mark.parametrize(
    ("change", "name", "problem"),
    [
        pytest.param(None, "secret/crm/none#token", r"not there \(404\)", id="no-such-path"),
        pytest.param(None, "secret/crm/api#none", "no such field", id="no-such-field"),
        pytest.param(None, "secret/crm/api#number", "not text", id="number"),
        pytest.param(None, "secret/crm/api#nested", "not text", id="object"),
        pytest.param(None, "other/crm/api#token", r"denies it \(403\)", id="not-permitted"),
        pytest.param(None, "team-kv/crm/api#token", r"not there \(404\)", id="no-such-mount"),
        pytest.param(of_kv1, "kv1/crm/api#token", "no KV of version 2", id="kv-1"),
        pytest.param(deleted, "secret/crm/api#token", "latest version is deleted", id="deleted"),
        pytest.param(destroyed, "secret/crm/api#token", "latest version is deleted", id="destroyed"),
        pytest.param(sealed, "secret/crm/api#token", r"sealed or in maintenance \(503\)", id="sealed"),
        pytest.param(no_token, "secret/crm/api#token", r"denies it \(403\)", id="wrong-token"),
        pytest.param(answers(307), "secret/crm/api#token", "answers 307", id="redirect"),
        pytest.param(answers(400), "secret/crm/api#token", "namespace", id="bad-request"),
        pytest.param(answers(429), "secret/crm/api#token", "busy", id="busy"),
        pytest.param(answers(473), "secret/crm/api#token", "standby", id="standby"),
        pytest.param(answers(500), "secret/crm/api#token", "answers 500", id="fault"),
    ],
)
async def test_refused(read, vault, server, clock, change, name, problem):
    if change:
        change(vault)
    for _ in range(3):
        with pytest.raises(SecretUnavailable, match=problem) as caught:
            await read(name)
        assert str(caught.value).startswith(f"vault:{name}: ")
        assert not any(secret in str(caught.value) for secret in (TOKEN, "horse", "12345678"))
    assert len(server.requests) == 1
    assert server.requests[0].target == f"/v1/{name.partition('#')[0].replace('/', '/data/', 1)}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"hunter2",
        b'{"data": {"token": "hunter2"}}',
        b'{"data": {"data": [1]}}',
        b'{"data": {}, "data": {}}',
    ],
)
async def test_what_is_no_kv(read, serve, body):
    server = serve(lambda connection, seen: connection.send(message("200 OK", [], body)))
    with pytest.raises(SecretUnavailable, match="not that of a KV of version 2") as caught:
        await read("secret/crm/api#token", address=address(server))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [("", "is empty"), ("correct horse", "has a space"), ("horse", "is shorter than 8")],
)
async def test_the_secret_is_checked(read, vault, secret, problem):
    vault.put("secret/crm/api", {"token": secret})
    with pytest.raises(SecretUnavailable, match=f"vault:secret/crm/api#token: the secret {problem}"):
        await read("secret/crm/api#token")


async def test_a_path_keeps_its_shape(read, vault, server):
    vault.put("secret/a b/c?d", {"token": "correct-horse"})
    assert await read("secret/a b/c?d#token") == "correct-horse"
    assert server.requests[0].target == "/v1/secret/data/a%20b/c%3Fd"


async def test_its_token_is_read_anew_each_time(read, vault, tmp_path, clock, secrets):
    """Vault Agent keeps one in a file, renewed or replaced."""
    path = tmp_path / "token"
    path.write_text("hvs.expired-token-of-before")
    path.chmod(0o600)
    token = SecretSource("file", str(path))
    with pytest.raises(SecretUnavailable, match="403"):
        await read("secret/crm/api#token", token=token)
    path.write_text(TOKEN)
    clock.now += 10
    assert await read("secret/crm/api#token", token=token) == "correct-horse"


async def test_without_a_token(read, server, monkeypatch):
    monkeypatch.delenv("VAULT_TOKEN")
    with pytest.raises(SecretUnavailable, match="env:VAULT_TOKEN: not set"):
        await read("secret/crm/api#token")
    assert server.connections == []


async def test_nobody_there(read, server):
    server.close()
    with pytest.raises(SecretUnavailable, match=r"vault:secret/crm/api#token: it cannot be connected to"):
        await read("secret/crm/api#token")


async def test_another_vault_shares_nothing(read, serve, vault):
    other = FakeVault(tokens={TOKEN: ("", ("secret/data/",))})
    other.put("secret/crm/api", {"token": "battery-staple"})
    assert await read("secret/crm/api#token") == "correct-horse"
    assert await read("secret/crm/api#token", address=address(serve(other.answer))) == "battery-staple"


def test_the_fake_answers_as_vault_does(vault):
    """A deleted version: 404 with its metadata, as the API's documentation has it."""
    deleted(vault)
    version = vault.secrets["", "secret/crm/api"][-1]
    status, body = version.answer(2)
    assert status == 404
    assert json.loads(json.dumps(body))["data"]["metadata"]["version"] == 2


async def test_without_a_vault(secrets):
    with pytest.raises(SecretUnavailable, match="vault:secret/crm#token: no Vault is named"):
        await secrets.read(SecretSource("vault", "secret/crm#token"))
