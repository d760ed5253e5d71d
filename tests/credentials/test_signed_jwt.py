from __future__ import annotations

import time
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.token_endpoint import JWT_BEARER, TokenEndpoint
from lockgate.credentials import signed_jwt
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource, SignedJwt, SigningKey

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def spec(monkeypatch):
    monkeypatch.setenv("APP_KEY", KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    signing = SigningKey(SecretSource("env", "APP_KEY", "pem"), "ES256", "key-1")
    return SignedJwt(
        signing, issuer="app-7", subject="robot@example", claims=(("scope", "a b"), ("groups", ("x", "y")))
    )


@pytest.fixture
def endpoint():
    return TokenEndpoint(keys={"app-7": KEY.public_key()}, expires_in=1800)


@pytest.fixture
def server(serve, endpoint):
    server = serve(endpoint.answer)
    endpoint.url = f"https://localhost:{server.port}/token"
    return server


@pytest.fixture
def exchanged(spec, server, endpoint, authority):
    return replace(spec, token_url=endpoint.url, ca=authority.pem)


@pytest.fixture
def fetch(secrets):
    def fetch(spec):
        return signed_jwt.fetch(spec, secrets, time.time())

    return fetch


async def test_shown_as_it_is(fetch, spec):
    now = time.time()
    fetched = await fetch(replace(spec, audience="https://api.crm.example"))
    claims = jwt.decode(fetched.value, KEY.public_key(), algorithms=["ES256"], audience="https://api.crm.example")
    assert {name: claims[name] for name in ("iss", "sub", "scope", "groups")} == {
        "iss": "app-7",
        "sub": "robot@example",
        "scope": "a b",
        "groups": ["x", "y"],
    }
    assert claims["exp"] - claims["iat"] == 300
    assert now - 32 < claims["iat"] <= now - 29
    assert fetched.lifetime == pytest.approx(claims["exp"] - now, abs=1)
    assert fetched.beside == ()


async def test_only_what_is_given_is_claimed(fetch, spec):
    fetched = await fetch(SignedJwt(replace(spec.signing, kid=""), issuer="app-7", ttl=60))
    assert set(jwt.decode(fetched.value, options={"verify_signature": False})) == {"iss", "iat", "exp", "jti"}


async def test_exchanged_for_an_access_token(fetch, exchanged, endpoint):
    fetched = await fetch(replace(exchanged, scope="crm.read"))
    assert (fetched.value, fetched.lifetime) == (endpoint.issued[0], 1800)
    (form,) = endpoint.forms
    assert {**form, "assertion": ""} == {"grant_type": JWT_BEARER, "assertion": "", "scope": "crm.read"}


async def test_its_audience_may_be_another(fetch, exchanged, endpoint):
    endpoint.url = "https://issuer.example"
    with pytest.raises(SecretUnavailable, match="invalid_grant"):
        await fetch(exchanged)
    assert (await fetch(replace(exchanged, audience="https://issuer.example"))).value == endpoint.issued[0]


async def test_no_assertion_is_used_twice(fetch, exchanged, endpoint):
    for _ in range(2):
        await fetch(exchanged)
    assert len({form["assertion"] for form in endpoint.forms}) == 2


async def test_refused(fetch, exchanged, endpoint):
    endpoint.keys.clear()
    with pytest.raises(SecretUnavailable, match=f"^jwt {exchanged.token_url}: .* 400, invalid_grant$") as caught:
        await fetch(exchanged)
    assert endpoint.forms[0]["assertion"] not in repr(caught.value)


async def test_nothing_is_asked_without_the_key(fetch, exchanged, server, monkeypatch):
    monkeypatch.delenv("APP_KEY")
    with pytest.raises(SecretUnavailable, match="env:APP_KEY: not set"):
        await fetch(exchanged)
    assert server.connections == []


async def test_a_key_that_is_none(fetch, spec, monkeypatch):
    monkeypatch.setenv("APP_KEY", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")
    with pytest.raises(SecretUnavailable, match="env:APP_KEY: not a private key in PEM") as caught:
        await fetch(spec)
    assert "hunter2" not in repr(caught.value)
