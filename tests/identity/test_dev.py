from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from lockgate.errors import KeysUnavailable
from lockgate.identity.dev import DevKeys, dev_issuer, key_path, mint
from lockgate.model import Issuer

NOW = 1_800_000_000


def test_token(tmp_path):
    token = mint(tmp_path, ["support", "reader"], 3600, NOW + 0.7, subject="me")
    [key] = DevKeys(tmp_path).keys().keys
    claims = jwt.decode(
        token, key.public, algorithms=["EdDSA"], audience="lockgate", options={"verify_iat": False, "verify_nbf": False}
    )
    assert claims.pop("jti")
    assert claims == {
        "iss": "lockgate-dev",
        "aud": "lockgate",
        "sub": "me",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 3600,
        "roles": ["support", "reader"],
    }
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT", "kid": key.kid}


def test_every_token_has_an_id_of_its_own(tmp_path):
    assert mint(tmp_path, [], 60, NOW) != mint(tmp_path, [], 60, NOW)


def test_key_is_made_once_and_kept_to_its_owner(tmp_path):
    state = tmp_path / "state"
    old = os.umask(0)
    try:
        mint(state, ["x"], 60, NOW)
    finally:
        os.umask(old)
    path = key_path(state)
    pem = path.read_bytes()
    assert [stat.S_IMODE(entry.stat().st_mode) for entry in (state, path.parent, path)] == [0o700, 0o700, 0o600]
    assert list(path.parent.iterdir()) == [path]
    mint(state, ["x"], 60, NOW)
    assert path.read_bytes() == pem


def test_many_at_once_agree_on_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: mint(tmp_path, ["x"], 60, NOW), range(16)))
    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == 1
    assert [path.name for path in key_path(tmp_path).parent.iterdir()] == ["key.pem"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_key_open_to_others_is_refused(tmp_path, mode):
    mint(tmp_path, ["x"], 60, NOW)
    source = DevKeys(tmp_path)
    source.keys()
    key_path(tmp_path).chmod(mode)
    with pytest.raises(KeysUnavailable, match="chmod 0600"):
        mint(tmp_path, ["x"], 60, NOW)
    with pytest.raises(KeysUnavailable, match="chmod 0600"):
        source.keys()


def test_directory_open_to_others_is_refused(tmp_path):
    mint(tmp_path, ["x"], 60, NOW)
    key_path(tmp_path).parent.chmod(0o755)
    with pytest.raises(KeysUnavailable, match="chmod 0700"):
        mint(tmp_path, ["x"], 60, NOW)


def test_link_is_refused(tmp_path):
    mint(tmp_path / "a", ["x"], 60, NOW)
    mint(tmp_path / "b", ["x"], 60, NOW)
    path = key_path(tmp_path / "b")
    path.unlink()
    path.symlink_to(key_path(tmp_path / "a"))
    with pytest.raises(KeysUnavailable):
        DevKeys(tmp_path / "b").keys()


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_damaged_key(tmp_path, content):
    mint(tmp_path, ["x"], 60, NOW)
    key_path(tmp_path).write_bytes(content)
    with pytest.raises(KeysUnavailable, match="not an Ed25519 private key"):
        DevKeys(tmp_path).keys()


def test_key_may_appear_and_change_later(tmp_path):
    source = DevKeys(tmp_path)
    with pytest.raises(KeysUnavailable, match="no key yet"):
        source.keys()
    mint(tmp_path, ["x"], 60, NOW)
    first = source.keys()
    assert source.keys() is first
    key_path(tmp_path).unlink()
    with pytest.raises(KeysUnavailable, match="no key yet"):
        source.keys()
    mint(tmp_path, ["x"], 60, NOW)
    assert source.keys().version != first.version


def test_state_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KeysUnavailable, match="file"):
        mint(tmp_path / "file", ["x"], 60, NOW)


@pytest.mark.parametrize("audience", ["lockgate", "lockgate-approvals"])
def test_issuer_is_always_the_same_but_for_its_audience(audience):
    issuer = dev_issuer(Issuer("x", audience, ("RS256",), "$.other", alias={"a": "b"}, max_ttl=60.0))
    assert issuer == Issuer(
        "lockgate-dev", audience, ("EdDSA",), "$.roles[*]", alias={"a": "b"}, max_ttl=60.0, dev=True
    )
