from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lockgate.errors import KeysUnavailable
from lockgate.identity.jwks import MAX_FILE, KeyFile, parse_keys


def encode(*keys) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    ("key", "fitting"),
    [
        ("rsa", {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ("p256", {"ES256"}),
        ("p384", {"ES384"}),
        ("ed25519", {"EdDSA"}),
        ("ed448", {"EdDSA"}),
    ],
)
def test_a_key_fits_its_own_algorithms(private_keys, to_jwk, key, fitting):
    [parsed] = parse_keys(encode(to_jwk(getattr(private_keys, key))), "x").keys
    every = [
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "ES256K",
        "EdDSA",
        "HS256",
        "none",
    ]
    assert {algorithm for algorithm in every if parsed.fits(algorithm)} == fitting


def test_a_keys_own_algorithm_is_the_only_one(private_keys, to_jwk):
    [key] = parse_keys(encode(to_jwk(private_keys.rsa, alg="PS256")), "x").keys
    assert key.fits("PS256")
    assert not key.fits("RS256")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"use": "enc"}, id="for-encryption"),
        pytest.param({"use": 7}, id="use-not-text"),
        pytest.param({"key_ops": ["encrypt"]}, id="other-operations"),
        pytest.param({"key_ops": "verify"}, id="operations-not-a-list"),
        pytest.param({"kid": 7}, id="kid-not-text"),
        pytest.param({"alg": 7}, id="alg-not-text"),
        pytest.param({"kty": "AKP"}, id="unknown-type"),
        pytest.param({"kty": None}, id="no-type"),
        pytest.param({"n": "AQAB"}, id="tiny-modulus"),
        pytest.param({"n": "!"}, id="no-number"),
        pytest.param({"n": 7}, id="modulus-not-text"),
        pytest.param({"e": ""}, id="no-exponent"),
    ],
)
def test_unusable_keys_are_left_out(private_keys, to_jwk, change):
    good = to_jwk(private_keys.p256, kid="good")
    keys = parse_keys(encode(to_jwk(private_keys.rsa) | change, good), "x").keys
    assert [key.kid for key in keys] == ["good"]


def test_weak_rsa_keys_are_left_out(private_keys, to_jwk):
    with pytest.raises(KeysUnavailable, match="no usable"):
        parse_keys(encode(to_jwk(private_keys.weak_rsa)), "x")


def test_off_curve_points_are_left_out(private_keys, to_jwk):
    jwk = to_jwk(private_keys.p256)
    with pytest.raises(KeysUnavailable, match="no usable"):
        parse_keys(encode(jwk | {"x": jwk["y"]}), "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "strict JSON", id="empty"),
        pytest.param(b"[]", "not a JWK Set", id="list"),
        pytest.param(b'{"keys": {}}', "not a JWK Set", id="keys-not-a-list"),
        pytest.param(b'{"keys": []}', "no usable", id="no-keys"),
        pytest.param(b'{"keys": ["x"]}', "not an object", id="key-not-an-object"),
        pytest.param(b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "secret key", id="symmetric"),
        pytest.param(b'{"keys": [{"kty": "EC", "d": "AA"}]}', "secret key", id="private"),
        pytest.param(b'{"keys": [], "keys": []}', "same key twice", id="duplicate"),
        pytest.param(b" " * (MAX_FILE + 1), "larger", id="large"),
    ],
)
def test_refused_sets(content, message):
    with pytest.raises(KeysUnavailable, match=message):
        parse_keys(content, "keys.json")


def test_select(private_keys, to_jwk):
    keys = parse_keys(
        encode(
            to_jwk(private_keys.rsa, kid="a"),
            to_jwk(private_keys.p256, kid="a"),
            to_jwk(private_keys.ed25519, kid="b"),
            to_jwk(private_keys.ed448, kid="b"),
        ),
        "x",
    )
    assert keys.select("a", "RS256") is keys.keys[0]
    assert keys.select("a", "ES256") is keys.keys[1]
    assert keys.select(None, "ES256") is keys.keys[1]
    assert keys.select("b", "RS256") is None
    assert keys.select("b", "EdDSA") is None  # two of them
    assert keys.select(None, "EdDSA") is None


class TestKeyFile:
    def test_is_read_again_when_replaced(self, jwks_file, private_keys, to_jwk):
        source = KeyFile(jwks_file)
        before = source.keys()
        assert source.keys() is before
        new = jwks_file.with_name("new.json")
        new.write_bytes(encode(to_jwk(private_keys.other_rsa, kid="new")))
        new.replace(jwks_file)
        after = source.keys()
        assert [key.kid for key in after.keys] == ["new"]
        assert after.version != before.version

    def test_a_touch_keeps_the_version(self, jwks_file):
        source = KeyFile(jwks_file)
        before = source.keys()
        os.utime(jwks_file, ns=(1, 1))
        assert source.keys().version == before.version

    def test_broken_and_mended(self, jwks_file):
        source = KeyFile(jwks_file)
        content = jwks_file.read_bytes()
        version = source.keys().version
        jwks_file.write_bytes(content[:50])
        for _ in range(2):
            with pytest.raises(KeysUnavailable, match=r"jwks\.json"):
                source.keys()
        jwks_file.write_bytes(content)
        assert source.keys().version == version

    def test_missing(self, tmp_path):
        with pytest.raises(KeysUnavailable, match="No such file"):
            KeyFile(tmp_path / "none.json").keys()

    def test_directory(self, tmp_path):
        with pytest.raises(KeysUnavailable):
            KeyFile(Path(tmp_path)).keys()
