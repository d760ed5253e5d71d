from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lockgate.credentials import assertions
from lockgate.credentials.assertions import SKEW, claims, sign
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource, SigningKey

RSA = rsa.generate_private_key(65537, 2048)
KEYS = {
    "RS256": RSA,
    "PS512": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
SOURCE = SecretSource("env", "APP_KEY", "pem")


def pem(key, encryption=NoEncryption(), form=PrivateFormat.PKCS8):  # noqa: B008
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("kid", ["", "key-1"])
def test_sign(algorithm, kid):
    key = KEYS[algorithm]
    token = sign(SigningKey(SOURCE, algorithm, kid), pem(key), {"iss": "app"})
    assert jwt.get_unverified_header(token) == {"typ": "JWT", "alg": algorithm, **({"kid": kid} if kid else {})}
    assert jwt.decode(token, key.public_key(), algorithms=[algorithm]) == {"iss": "app"}


def test_a_traditional_pem():
    """As GitHub gives them out."""
    text = pem(RSA, form=PrivateFormat.TraditionalOpenSSL)
    assert text.startswith("-----BEGIN RSA PRIVATE KEY-----")
    jwt.decode(sign(SigningKey(SOURCE, "RS256"), text, {}), RSA.public_key(), algorithms=["RS256"])


@pytest.mark.parametrize(
    ("algorithm", "text", "problem"),
    [
        pytest.param("RS256", pem(KEYS["ES256"]), "not one for RS256", id="another-kind"),
        pytest.param("EdDSA", pem(RSA), "not one for EdDSA", id="rsa-for-eddsa"),
        pytest.param("ES256", pem(KEYS["ES384"]), "not one for ES256", id="another-curve"),
        pytest.param("RS256", pem(rsa.generate_private_key(65537, 1024)), "not one for RS256", id="small"),
        pytest.param("RS256", pem(RSA, BestAvailableEncryption(b"hunter2")), "is encrypted", id="encrypted"),
        pytest.param(
            "RS256",
            RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            "not a private key in PEM",
            id="public",
        ),
        pytest.param("RS256", "-----BEGIN PRIVATE KEY-----\nhunter2\n", "not a private key in PEM", id="broken"),
    ],
)
def test_refused(algorithm, text, problem):
    with pytest.raises(SecretUnavailable, match=f"env:APP_KEY: .*{problem}") as caught:
        sign(SigningKey(SOURCE, algorithm), text, {})
    assert "hunter2" not in repr(caught.value)


def test_claims():
    found = claims(
        issuer="app", subject="", audience="https://a.example", ttl=300, now=1_000_000.5, others={"x": ["y"]}
    )
    assert found.pop("jti")
    assert found == {"iss": "app", "aud": "https://a.example", "iat": 999_970, "exp": 1_000_270, "x": ["y"]}


def test_every_one_has_an_id_of_its_own():
    made = {claims(issuer="a", subject="b", audience="c", ttl=60, now=0)["jti"] for _ in range(100)}
    assert len(made) == 100


def test_others_never_replace_the_registered():
    found = claims(issuer="app", subject="", audience="", ttl=60, now=1000, others={"iss": "other", "exp": 10**12})
    assert (found["iss"], found["exp"]) == ("app", 1000 - int(SKEW) + 60)


def test_every_algorithm_that_rules_may_name_is_known():
    from lockgate.policy.schema.values import ALGORITHMS

    known = assertions.CURVES.keys() | {"EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    assert known == set(ALGORITHMS)
