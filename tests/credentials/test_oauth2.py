from __future__ import annotations

import asyncio
import time
from base64 import b64decode
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.token_endpoint import TokenEndpoint
from lockgate.credentials import oauth2
from lockgate.credentials.refresh_tokens import RefreshTokens
from lockgate.errors import SecretUnavailable
from lockgate.model import OAuth2, SecretSource, SigningKey

CLIENT_SECRET = "s3cr/t +%&:of the client"
REFRESH = "refresh-of-the-operator"
SECRET_SOURCE = SecretSource("env", "CLIENT_SECRET", "text")
REFRESH_SOURCE = SecretSource("env", "REFRESH_TOKEN", "text")


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("REFRESH_TOKEN", REFRESH)
    return TokenEndpoint(secrets={"lock gate": CLIENT_SECRET}, refresh=REFRESH)


@pytest.fixture
def server(serve, endpoint):
    server = serve(endpoint.answer)
    endpoint.url = f"https://localhost:{server.port}/token"
    return server


@pytest.fixture
def spec(server, endpoint, authority):
    return OAuth2(endpoint.url, "lock gate", SECRET_SOURCE, ca=authority.pem)


@pytest.fixture
def refresh_tokens(tmp_path):
    tmp_path.chmod(0o700)
    return RefreshTokens(tmp_path, b"k" * 32)


@pytest.fixture
def fetch(secrets, refresh_tokens):
    def fetch(spec):
        return oauth2.fetch(spec, secrets, refresh_tokens, time.time())

    return fetch


@pytest.mark.parametrize("auth", ["basic", "post"])
async def test_client_credentials(fetch, spec, endpoint, server, auth):
    fetched = await fetch(replace(spec, auth=auth, scope="crm.read crm.write", audience="https://api.crm.example"))
    assert fetched.value == endpoint.issued[0]
    assert fetched.lifetime == 3600
    assert fetched.beside == (CLIENT_SECRET,)
    (form,) = endpoint.forms
    shown = {"client_id": "lock gate", "client_secret": CLIENT_SECRET} if auth == "post" else {}
    assert form == {
        "grant_type": "client_credentials",
        "scope": "crm.read crm.write",
        "audience": "https://api.crm.example",
        **shown,
    }
    (seen,) = server.requests
    assert (seen.method, seen.target) == ("POST", "/token")
    assert (seen.header("authorization") is None) == (auth == "post")


async def test_a_resource(fetch, spec, endpoint):
    await fetch(replace(spec, resource="https://api.crm.example/"))
    assert endpoint.forms == [{"grant_type": "client_credentials", "resource": "https://api.crm.example/"}]


async def test_a_client_with_a_key(fetch, spec, endpoint, server, monkeypatch):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    monkeypatch.setenv("CLIENT_KEY", pem)
    endpoint.keys["lock gate"] = key.public_key()
    signing = SigningKey(SecretSource("env", "CLIENT_KEY", "pem"), "ES256", "key-1")
    by_key = replace(spec, client_secret=None, client_key=signing)
    for _ in range(2):  # no assertion is used twice
        assert (await fetch(by_key)).beside == ()
    assert len(endpoint.issued) == 2
    assert pem.splitlines()[1] not in server.requests[0].body.decode()


async def test_a_refresh_token_is_replaced_by_each_that_comes(fetch, spec, endpoint):
    by_refresh = replace(spec, refresh_token=REFRESH_SOURCE)
    first = await fetch(by_refresh)
    assert first.beside == (CLIENT_SECRET, REFRESH, "refresh-0001-of-the-endpoint")
    second = await fetch(by_refresh)
    assert [form["refresh_token"] for form in endpoint.forms] == [REFRESH, "refresh-0001-of-the-endpoint"]
    assert second.value == endpoint.issued[1]


async def test_a_refresh_token_that_stays(fetch, spec, endpoint, tmp_path):
    endpoint.rotates = False
    by_refresh = replace(spec, refresh_token=REFRESH_SOURCE)
    for _ in range(2):
        await fetch(by_refresh)
    assert [form["refresh_token"] for form in endpoint.forms] == [REFRESH, REFRESH]
    assert list(tmp_path.glob("refresh-*")) == []


async def test_a_public_client_has_a_refresh_token_alone(fetch, spec, endpoint, server):
    await fetch(replace(spec, client_secret=None, refresh_token=REFRESH_SOURCE))
    assert endpoint.forms == [{"grant_type": "refresh_token", "refresh_token": REFRESH, "client_id": "lock gate"}]
    assert server.requests[0].header("authorization") is None


async def test_a_void_refresh_token_is_not_tried_in_another_form(fetch, spec, endpoint):
    endpoint.refresh = "another"
    with pytest.raises(SecretUnavailable, match=r"answers 400, invalid_grant$"):
        await fetch(replace(spec, refresh_token=REFRESH_SOURCE))
    assert len(endpoint.forms) == 1


def wrong_secret(endpoint):
    endpoint.secrets.clear()


def leaky(endpoint):
    endpoint.answer_as = ("418 I'm a teapot", "application/json", b'{"error": "%s"}' % CLIENT_SECRET.encode())


def no_token(endpoint):
    endpoint.answer_as = ("200 OK", "application/json", b'{"access_token": "access-0000", "token_type": "mac"}')


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(wrong_secret, "answers 401, invalid_client$", id="wrong-secret"),
        pytest.param(leaky, "answers 418$", id="says-too-much"),
        pytest.param(no_token, "no bearer token", id="another-token-type"),
    ],
)
async def test_refused(fetch, spec, endpoint, change, problem):
    change(endpoint)
    with pytest.raises(SecretUnavailable, match=f"^oauth2 {spec.token_url}: the token endpoint.*{problem}") as caught:
        await fetch(spec)
    assert CLIENT_SECRET not in repr(caught.value)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"client_secret": SecretSource("env", "LOCKGATE_TEST_UNSET")}, id="client-secret"),
        pytest.param({"refresh_token": SecretSource("env", "LOCKGATE_TEST_UNSET")}, id="refresh-token"),
    ],
)
async def test_nothing_is_asked_without_the_secrets(fetch, spec, server, members):
    with pytest.raises(SecretUnavailable, match="env:LOCKGATE_TEST_UNSET: not set"):
        await fetch(replace(spec, **members))
    assert server.connections == []


async def test_the_pair_of_basic_is_form_encoded_first(fetch, spec, server):
    """RFC 6749, 2.3.1."""
    await fetch(spec)
    pair = b64decode((server.requests[0].header("authorization") or "").removeprefix("Basic ")).decode()
    name, _, secret = pair.partition(":")
    assert parse_qs(f"a={name}&b={secret}") == {"a": ["lock gate"], "b": [CLIENT_SECRET]}


async def test_the_token_host_must_prove_who_it_is(fetch, spec, server):
    with pytest.raises(SecretUnavailable, match="certificate does not verify"):
        await fetch(replace(spec, ca=None))
    assert b"client" not in b"".join(connection.plain for connection in server.connections)


async def test_asked_once_for_all_who_wait(cache, fetch, spec, endpoint, server):
    endpoint.open.clear()
    watch = server.watch()
    waiting = [asyncio.create_task(cache.get(spec, lambda: fetch(spec))) for _ in range(20)]
    await asyncio.to_thread(watch.wait_for, 1)
    endpoint.open.set()
    assert {(await each).value for each in waiting} == {endpoint.issued[0]}
    assert len(server.requests) == 1
