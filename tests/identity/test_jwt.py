from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.errors import KeysUnavailable, SetupError, TokenRejected, UnknownKey
from lockgate.identity import jwt as verifying
from lockgate.identity.dev import mint
from lockgate.identity.jwks import parse_keys
from lockgate.identity.jwt import Verifier
from lockgate.identity.remote import COOL_DOWN, KeyCaches
from lockgate.model import Issuer

NOW = 1_800_000_000


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: object, claims: object, signature: bytes = b"") -> str:
    """A token with any header and claims; each an object or the very bytes."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    return ".".join([b64(parts[0]), b64(parts[1]), b64(signature)])


@pytest.fixture
def verifier(issuer, tmp_path):
    return Verifier([issuer], tmp_path / "state")


@pytest.fixture
def verify(verifier):
    return lambda token, now=NOW: verifier.verify(token, now, False)


@pytest.fixture
def reject(verify):
    def reject(token, now=NOW):
        with pytest.raises(TokenRejected) as caught:
            verify(token, now)
        return caught.value.reason

    return reject


@pytest.fixture
def rs256(private_keys):
    """Signs any header and claims with the issuer's own RSA key: what a careless issuer might."""

    def rs256(header: object, claims: object) -> str:
        unsigned = forge(header, claims).rsplit(".", 1)[0]
        return f"{unsigned}.{b64(private_keys.rsa.sign(unsigned.encode(), padding.PKCS1v15(), SHA256()))}"

    return rs256


class TestAccepted:
    def test_principal(self, verify, sign, claims):
        principal = verify(sign(claims))
        assert (principal.issuer, principal.subject) == ("https://login.example", "agent-7")
        assert principal.roles == ("reader", "support")
        assert (principal.expires_at, principal.token_id) == (NOW + 600 + 30, "t-1")
        assert principal.claims["realm_access"]["roles"][0] == "reader"

    @pytest.mark.parametrize(
        ("key", "algorithm"),
        [("rsa", "RS256"), ("rsa", "PS256"), ("p256", "ES256"), ("ed25519", "EdDSA"), ("ed448", "EdDSA")],
    )
    def test_algorithms(self, verify, sign, claims, key, algorithm):
        assert verify(sign(claims, key, algorithm)).subject == "agent-7"

    def test_audience_in_a_list(self, verify, sign, claims):
        assert verify(sign({**claims, "aud": ["other", "lockgate"]})).subject == "agent-7"

    def test_access_token_type(self, verify, sign, claims):
        assert verify(sign(claims, typ="at+jwt")).subject == "agent-7"
        assert verify(sign(claims, typ="application/at+JWT")).subject == "agent-7"

    def test_no_kid_with_one_fitting_key(self, verify, sign, claims):
        assert verify(sign(claims, kid=None)).subject == "agent-7"

    def test_fractions_of_a_second(self, verify, sign, claims):
        assert verify(sign({**claims, "exp": NOW + 0.5, "iat": NOW - 0.5})).expires_at == NOW + 30.5

    def test_no_roles(self, verify, sign, claims):
        assert verify(sign({**claims, "realm_access": {}})).roles == ()
        assert verify(sign({**claims, "realm_access": {"roles": "admin"}})).roles == ()

    @pytest.mark.parametrize(
        ("change", "now"),
        [
            pytest.param({}, NOW + 600 + 29, id="just-expired"),
            pytest.param({}, NOW - 30, id="issued-just-ahead"),
            pytest.param({"nbf": NOW + 30}, NOW, id="valid-from-just-ahead"),
        ],
    )
    def test_leeway(self, verify, sign, claims, change, now):
        assert verify(sign({**claims, **change}), now).subject == "agent-7"


class TestRejectedClaims:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            pytest.param({"exp": NOW - 30}, "expired", id="expired"),
            pytest.param({"exp": 0}, "expired", id="expired-at-the-epoch"),
            pytest.param({"exp": -1}, "expired", id="expired-before-the-epoch"),
            pytest.param({"nbf": NOW + 31}, "not yet valid", id="not-before"),
            pytest.param({"iat": NOW + 31}, "not yet valid", id="issued-ahead"),
            pytest.param({"exp": NOW + 3601}, "lifetime too long", id="lifetime"),
            pytest.param({"iat": NOW - 3601}, "lifetime too long", id="lifetime-from-the-past"),
            pytest.param({"aud": "other"}, "wrong audience", id="audience"),
            pytest.param({"aud": ["other"]}, "wrong audience", id="audiences"),
            pytest.param({"aud": ["lockgate", 1]}, "wrong audience", id="audience-not-text"),
            pytest.param({"aud": {"lockgate": 1}}, "wrong audience", id="audience-object"),
            pytest.param({"aud": "lockgate-approvals"}, "wrong audience", id="audience-prefix"),
            pytest.param({"aud": "LOCKGATE"}, "wrong audience", id="audience-case"),
            pytest.param({"iss": "https://evil.example"}, "unknown issuer", id="issuer"),
            pytest.param({"iss": "https://login.example/"}, "unknown issuer", id="issuer-slash"),
            pytest.param({"sub": 7}, "malformed", id="subject-number"),
            pytest.param({"sub": ""}, "missing claim", id="subject-empty"),
            pytest.param({"jti": 7}, "malformed", id="token-id-number"),
            pytest.param({"exp": str(NOW + 600)}, "malformed", id="exp-text"),
            pytest.param({"exp": True}, "malformed", id="exp-bool"),
            pytest.param({"exp": [NOW + 600]}, "malformed", id="exp-list"),
            pytest.param({"exp": 10**30}, "malformed", id="exp-huge"),
            pytest.param({"exp": 1e300}, "malformed", id="exp-huge-float"),
            pytest.param({"exp": -(10**30)}, "malformed", id="exp-huge-negative"),
            pytest.param({"nbf": "0"}, "malformed", id="nbf-text"),
            pytest.param({"nbf": None}, "malformed", id="nbf-null"),
            pytest.param({"nbf": False}, "malformed", id="nbf-bool"),
            pytest.param({"iat": "0"}, "malformed", id="iat-text"),
            pytest.param({"exp": None}, "missing claim", id="exp-null"),
            pytest.param({"aud": None}, "missing claim", id="aud-null"),
            pytest.param({"aud": []}, "missing claim", id="aud-empty"),
            pytest.param({"sub": None}, "missing claim", id="sub-null"),
        ],
    )
    def test_claim(self, reject, sign, claims, change, reason):
        assert reject(sign({**claims, **change})) == reason

    @pytest.mark.parametrize("iss", [None, 1, ["https://login.example"], {}], ids=repr)
    def test_issuer_that_is_no_text(self, reject, rs256, claims, iss):
        assert reject(rs256({"alg": "RS256", "kid": "rsa"}, {**claims, "iss": iss})) == "unknown issuer"

    @pytest.mark.parametrize("name", ["exp", "iss", "aud", "sub", "iat"])
    def test_missing_claim(self, reject, sign, claims, name):
        del claims[name]
        assert reject(sign(claims)) == "missing claim"

    def test_iat_is_not_needed_without_max_ttl(self, issuer, tmp_path, sign, claims):
        del claims["iat"]
        verifier = Verifier([replace(issuer, max_ttl=None)], tmp_path)
        assert verifier.verify(sign(claims), NOW, False).subject == "agent-7"

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param('{"sub": "a", %s}', id="duplicate-claim"),
            pytest.param('{"exp": NaN, %s}', id="nan"),
            pytest.param('{"x": Infinity, %s}', id="infinity"),
            pytest.param("[{%s}]", id="list"),
            pytest.param("{%s", id="cut-short"),
            pytest.param('{"x": "\\ud800", %s}', id="half-surrogate"),
        ],
    )
    def test_claims_without_one_meaning(self, reject, rs256, claims, text):
        inner = json.dumps(claims)[1:-1]
        assert reject(rs256({"alg": "RS256", "kid": "rsa"}, (text % inner).encode())) == "malformed"

    @pytest.mark.parametrize("exp", [b"1e999", b"-1e999", b"1" * 400])
    def test_exp_out_of_range(self, reject, rs256, claims, exp):
        text = json.dumps({**claims, "exp": "EXP"}).encode().replace(b'"EXP"', exp)
        assert reject(rs256({"alg": "RS256", "kid": "rsa"}, text)) == "malformed"


class TestRejectedKeysAndAlgorithms:
    def test_unknown_kid(self, reject, sign, claims):
        assert reject(sign(claims, kid="other")) == "unknown key"

    @pytest.mark.parametrize("kid", ["../../etc/passwd", "", "RSA", "rsa\0"])
    def test_strange_kid(self, reject, sign, claims, kid):
        assert reject(sign(claims, kid=kid)) == "unknown key"

    @pytest.mark.parametrize("kid", [7, ["rsa"], {"rsa": 1}, True], ids=repr)
    def test_kid_that_is_no_text(self, reject, rs256, claims, kid):
        assert reject(rs256({"alg": "RS256", "kid": kid}, claims)) == "malformed"

    def test_another_key_under_a_known_kid(self, reject, sign, claims):
        assert reject(sign(claims, "other_rsa", kid="rsa")) == "bad signature"

    def test_no_kid_with_two_fitting_keys(self, reject, sign, claims):
        assert reject(sign(claims, "ed25519", "EdDSA", kid=None)) == "unknown key"

    def test_algorithm_that_the_issuer_does_not_use(self, reject, sign, claims):
        assert reject(sign(claims, algorithm="RS512")) == "algorithm not allowed"
        assert reject(sign(claims, "p384", "ES384")) == "algorithm not allowed"

    def test_es256_with_a_p384_key(self, reject, claims, private_keys):
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        for kid, reason in [("p384", "unknown key"), ("p256", "bad signature")]:
            unsigned = forge({"alg": "ES256", "kid": kid}, claims).rsplit(".", 1)[0]
            r, s = utils.decode_dss_signature(private_keys.p384.sign(unsigned.encode(), ec.ECDSA(SHA256())))
            signature = r.to_bytes(48, "big") + s.to_bytes(48, "big")
            assert reject(f"{unsigned}.{b64(signature)}") == reason

    def test_rs256_header_on_an_ec_key(self, reject, rs256, claims):
        assert reject(rs256({"alg": "RS256", "kid": "p256"}, claims)) == "unknown key"

    @pytest.mark.parametrize(
        "alg", ["none", "None", "NONE", "nOnE", "", None, "HS256", "rs256", 7, ["RS256"]], ids=repr
    )
    def test_algorithm_of_the_tokens_choice(self, reject, rs256, claims, alg):
        assert reject(rs256({"alg": alg, "kid": "rsa"}, claims)) == "algorithm not allowed"
        assert reject(forge({"alg": alg, "kid": "rsa"}, claims)) == "algorithm not allowed"

    def test_no_algorithm(self, reject, rs256, claims):
        assert reject(rs256({"kid": "rsa"}, claims)) == "algorithm not allowed"

    @pytest.mark.parametrize("algorithm", ["HS256", "RS256"])
    @pytest.mark.parametrize("form", ["pem", "pem-pkcs1", "der", "jwk", "modulus"])
    def test_hmac_with_the_public_key_as_secret(self, reject, claims, private_keys, to_jwk, algorithm, form):
        public = private_keys.rsa.public_key()
        encoding, formats = serialization.Encoding, serialization.PublicFormat
        secret = {
            "pem": public.public_bytes(encoding.PEM, formats.SubjectPublicKeyInfo),
            "pem-pkcs1": public.public_bytes(encoding.PEM, formats.PKCS1),
            "der": public.public_bytes(encoding.DER, formats.SubjectPublicKeyInfo),
            "jwk": json.dumps(to_jwk(private_keys.rsa, kid="rsa", use="sig")).encode(),
            "modulus": to_jwk(private_keys.rsa)["n"].encode(),
        }[form]
        unsigned = forge({"alg": algorithm, "kid": "rsa"}, claims).rsplit(".", 1)[0]
        signature = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
        expected = "algorithm not allowed" if algorithm == "HS256" else "bad signature"
        assert reject(f"{unsigned}.{b64(signature)}") == expected


class TestRejectedHeaders:
    @pytest.mark.parametrize(
        "extra",
        [
            pytest.param({"crit": ["exp"], "exp": NOW}, id="crit"),
            pytest.param({"crit": []}, id="crit-empty"),
            pytest.param({"b64": False, "crit": ["b64"]}, id="unencoded"),
            pytest.param({"b64": True}, id="b64"),
            pytest.param({"jku": "https://evil.example/jwks"}, id="jku"),
            pytest.param({"x5u": "https://evil.example/cert"}, id="x5u"),
            pytest.param({"x5c": ["MIIB"]}, id="x5c"),
            pytest.param({"zip": "DEF"}, id="zip"),
            pytest.param({"enc": "A128GCM"}, id="enc"),
        ],
    )
    def test_header(self, reject, rs256, claims, extra):
        assert reject(rs256({"alg": "RS256", "kid": "rsa", **extra}, claims)) == "header not accepted"

    def test_embedded_key(self, reject, sign, claims, private_keys, to_jwk):
        token = sign(claims, "other_rsa", jwk=to_jwk(private_keys.other_rsa), kid="rsa")
        assert reject(token) == "header not accepted"

    @pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "JWE", "", 7, None], ids=repr)
    def test_type(self, reject, rs256, claims, kind):
        assert reject(rs256({"alg": "RS256", "kid": "rsa", "typ": kind}, claims)) == "type not accepted"

    def test_duplicate_member(self, reject, rs256, claims):
        assert reject(rs256(b'{"alg": "none", "alg": "RS256", "kid": "rsa"}', claims)) == "malformed"


class TestRejectedForms:
    @pytest.mark.parametrize(
        "token",
        [
            pytest.param("", id="empty"),
            pytest.param(".", id="dot"),
            pytest.param("..", id="dots"),
            pytest.param("a.b", id="two-parts"),
            pytest.param("a.b.c", id="no-base64"),
            pytest.param("a.b.c.d.e", id="jwe"),
            pytest.param("not a token", id="text"),
            pytest.param("é.é.é", id="not-ascii"),
            pytest.param("ａ.ａ.ａ", id="full-width"),
            pytest.param("\ud800.a.a", id="surrogate"),
            pytest.param("e30.e30.", id="empty-objects"),
            pytest.param("\0", id="nul"),
        ],
    )
    def test_not_a_token(self, reject, token):
        assert reject(token) in {"malformed", "missing claim"}

    def test_oversized(self, reject, sign, claims):
        assert reject(sign({**claims, "x": "x" * 20_000})) == "too long"

    def test_deeply_nested(self, reject, rs256):
        assert reject(rs256({"alg": "RS256", "kid": "rsa"}, b"[" * 8000)) == "malformed"

    def test_every_truncation(self, reject, sign, claims):
        token = sign(claims)
        for length in range(0, len(token), 7):
            assert reject(token[:length]) in {"malformed", "bad signature", "missing claim"}

    def test_every_changed_character_of_the_signature(self, reject, sign, claims):
        token = sign(claims)
        start = token.rindex(".") + 1
        for at in range(start, len(token), 29):
            changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            assert reject(changed) in {"bad signature", "malformed"}

    def test_claims_changed_after_signing(self, reject, sign, claims):
        header, _, signature = sign(claims).split(".")
        changed = b64(json.dumps({**claims, "sub": "root"}).encode())
        assert reject(f"{header}.{changed}.{signature}") == "bad signature"

    def test_signature_left_out(self, reject, sign, claims):
        assert reject(sign(claims).rsplit(".", 1)[0] + ".") == "bad signature"

    @pytest.mark.parametrize("junk", [" ", "\n", "\t", "!", ".", "\0"], ids=repr)
    def test_junk_around_a_good_token(self, reject, sign, claims, junk):
        token = sign(claims)
        for broken in (junk + token, token + junk, token[:40] + junk + token[40:]):
            assert reject(broken) in {"malformed", "bad signature", "missing claim"}

    @settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.text(max_size=300))
    def test_any_text(self, verifier, text):
        with pytest.raises(TokenRejected):
            verifier.verify(text, NOW, True)

    def test_rejection_quotes_nothing(self, verify, sign, claims):
        token = sign({**claims, "exp": NOW - 60})
        with pytest.raises(TokenRejected) as caught:
            verify(token)
        assert token[:20] not in repr(caught.value)
        assert str(caught.value) == "expired"


class TestKnownTokens:
    """What a cached token may not outlive."""

    def test_is_verified_once(self, verifier, sign, claims, monkeypatch):
        token = sign(claims)
        first = verifier.verify(token, NOW, False)
        monkeypatch.setattr(verifying, "identify", lambda *_: pytest.fail("verified again"))
        assert verifier.verify(token, NOW + 1, False) is first

    def test_expires(self, verify, reject, sign, claims):
        token = sign(claims)
        verify(token)
        assert reject(token, NOW + 630) == "expired"
        assert reject(token, NOW - 31) == "not yet valid"

    def test_ends_with_its_key(self, verify, reject, sign, claims, jwks_file, jwks):
        token = sign(claims)
        verify(token)
        rest = [key for key in jwks["keys"] if key["kid"] != "rsa"]
        jwks_file.write_text(json.dumps({"keys": rest}))
        assert reject(token) == "unknown key"
        jwks_file.write_text(json.dumps(jwks))
        assert verify(token).subject == "agent-7"

    def test_ends_with_the_key_file(self, verify, sign, claims, jwks_file):
        token = sign(claims)
        verify(token)
        jwks_file.unlink()
        with pytest.raises(KeysUnavailable):
            verify(token)

    def test_are_bounded(self, verifier, sign, claims, monkeypatch):
        monkeypatch.setattr(verifying, "MAX_CACHED", 3)
        tokens = [sign({**claims, "jti": str(number)}) for number in range(5)]
        for token in tokens:
            verifier.verify(token, NOW, False)
        verifier.verify(tokens[2], NOW, False)
        verifier.verify(sign({**claims, "jti": "last"}), NOW, False)
        assert len(verifier._cache) == 3
        assert hashlib.sha256(tokens[2].encode()).digest() in verifier._cache

    def test_rejected_ones_are_not_kept(self, verifier, reject, sign, claims):
        reject(sign({**claims, "exp": NOW - 60}))
        reject(sign({**claims, "aud": "other"}))
        assert not verifier._cache


class TestDevelopmentIssuer:
    @pytest.fixture
    def dev(self):
        return Issuer("lockgate-dev", "lockgate", ("EdDSA",), "$.roles[*]", dev=True)

    def test_from_loopback_only(self, dev, tmp_path):
        verifier = Verifier([dev], tmp_path)
        token = mint(tmp_path, ["support", "reader"], 60, NOW, subject="me")
        principal = verifier.verify(token, NOW, True)
        assert (principal.issuer, principal.subject) == ("lockgate-dev", "me")
        assert (principal.roles, principal.expires_at) == (("support", "reader"), NOW + 60 + 30)
        with pytest.raises(TokenRejected, match="another machine"):
            verifier.verify(token, NOW, False)
        assert verifier.verify(token, NOW, True) is not None

    def test_only_where_the_rules_name_it(self, issuer, tmp_path):
        token = mint(tmp_path, ["support"], 60, NOW)
        with pytest.raises(TokenRejected, match="unknown issuer"):
            Verifier([issuer], tmp_path).verify(token, NOW, True)

    def test_beside_another_issuer(self, dev, issuer, tmp_path, sign, claims):
        verifier = Verifier([issuer, dev], tmp_path)
        assert verifier.verify(mint(tmp_path, ["x"], 60, NOW), NOW, True).issuer == "lockgate-dev"
        assert verifier.verify(sign(claims), NOW, False).issuer == "https://login.example"

    def test_key_of_another_issuer(self, dev, issuer, tmp_path, sign, claims):
        verifier = Verifier([issuer, dev], tmp_path)
        mint(tmp_path, ["x"], 60, NOW)
        forged = sign({**claims, "iss": "lockgate-dev"}, "ed25519", "EdDSA")
        with pytest.raises(TokenRejected, match="unknown key"):
            verifier.verify(forged, NOW, True)

    def test_before_there_is_a_key(self, dev, tmp_path):
        verifier = Verifier([dev], tmp_path / "gateway")
        token = mint(tmp_path / "elsewhere", ["x"], 60, NOW)
        with pytest.raises(KeysUnavailable, match="no key yet"):
            verifier.verify(token, NOW, True)
        with pytest.raises(KeysUnavailable):
            verifier.verify(token, NOW, True)
        minted = mint(tmp_path / "gateway", ["x"], 60, NOW)
        assert verifier.verify(minted, NOW, True).roles == ("x",)
        with pytest.raises(TokenRejected, match="unknown key"):
            verifier.verify(token, NOW, True)

    def test_max_ttl(self, dev, tmp_path):
        verifier = Verifier([replace(dev, max_ttl=60.0)], tmp_path)
        with pytest.raises(TokenRejected, match="lifetime"):
            verifier.verify(mint(tmp_path, ["x"], 61, NOW), NOW, True)


class TestSetup:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            pytest.param({"algorithms": ("RS256", "HS256")}, "HS256", id="symmetric"),
            pytest.param({"algorithms": ("none",)}, "none", id="none"),
            pytest.param({"algorithms": ()}, "algorithms", id="no-algorithm"),
            pytest.param({"roles": "roles["}, "roles", id="roles-path"),
            pytest.param({"jwks_file": None, "issuer": "http://a.example"}, "https only", id="discovery-over-http"),
            pytest.param({"jwks_file": None, "issuer": "agents"}, "https only", id="discovery-of-a-name"),
            pytest.param({"jwks_file": None, "jwks": "http://a.example/keys"}, "https only", id="keys-over-http"),
        ],
    )
    def test_unusable_issuer(self, issuer, tmp_path, change, message):
        with pytest.raises(SetupError, match=message):
            Verifier([replace(issuer, **change)], tmp_path)

    def test_the_same_issuer_twice(self, issuer, tmp_path):
        with pytest.raises(SetupError, match="twice"):
            Verifier([issuer, replace(issuer, audience="other")], tmp_path)

    def test_no_issuers(self, tmp_path, sign, claims):
        with pytest.raises(TokenRejected, match="unknown issuer"):
            Verifier([], tmp_path).verify(sign(claims), NOW, True)

    def test_keys_unavailable(self, issuer, tmp_path, sign, claims):
        os.truncate(issuer.jwks_file, 10)
        with pytest.raises(KeysUnavailable):
            Verifier([issuer], tmp_path).verify(sign(claims), NOW, False)


class TestFetchedKeys:
    @pytest.fixture
    def remote(self, issuer):
        return replace(issuer, jwks_file=None)

    @pytest.fixture
    def published(self, jwks):
        """What the issuer publishes; a test may change it."""
        return {"keys": list(jwks["keys"])}

    @pytest.fixture
    def clock(self):
        return [1000.0]

    @pytest.fixture
    def caches(self, published, clock):
        async def fetch(where):
            if not published:
                raise KeysUnavailable("down")
            return parse_keys(json.dumps(published).encode(), where.issuer)

        return KeyCaches(fetch, lambda: clock[0])

    @pytest.fixture
    def make(self, remote, caches, tmp_path):
        return lambda **changes: Verifier([replace(remote, **changes)], tmp_path, caches)

    async def test_before_and_after_they_are_there(self, make, sign, claims):
        verifier, token = make(), sign(claims)
        with pytest.raises(KeysUnavailable):
            verifier.verify(token, NOW, False)
        assert await verifier.renew_keys(token) is True
        assert verifier.verify(token, NOW, False).subject == "agent-7"

    async def test_warmed(self, make, sign, claims):
        verifier = make()
        verifier.warm()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        assert verifier.verify(sign(claims), NOW, False).subject == "agent-7"

    async def test_rotation(self, make, sign, claims, published, clock, private_keys, to_jwk):
        verifier, old, new = make(), sign(claims), sign(claims, "other_rsa", kid="new")
        await verifier.renew_keys(old)
        verifier.verify(old, NOW, False)
        published["keys"] = [to_jwk(private_keys.other_rsa, kid="new")]
        with pytest.raises(UnknownKey):
            verifier.verify(new, NOW, False)
        assert await verifier.renew_keys(new) is False
        clock[0] += COOL_DOWN
        assert await verifier.renew_keys(new) is True
        assert verifier.verify(new, NOW, False).subject == "agent-7"
        with pytest.raises(UnknownKey):  # though it was known
            verifier.verify(old, NOW, False)

    @pytest.mark.parametrize(
        ("change", "kept"),
        [
            pytest.param({"audience": "lockgate", "alias": {}, "max_ttl": None}, True, id="what-tokens-must-say"),
            pytest.param({"keys_max_age": 86400.0}, True, id="for-how-long-they-serve"),
            pytest.param({"jwks": "https://login.example/keys"}, False, id="where-they-are"),
            pytest.param({"ca": Path("/etc/ca.pem")}, False, id="whom-to-trust"),
        ],
    )
    async def test_a_reload_while_the_issuer_is_down(self, make, sign, claims, published, change, kept):
        before, token = make(), sign(claims)
        await before.renew_keys(token)
        before.verify(token, NOW, False)
        published.clear()
        after = make(**change)
        if kept:
            assert after.verify(token, NOW, False).subject == "agent-7"
        else:
            with pytest.raises(KeysUnavailable):
                after.verify(token, NOW, False)

    async def test_a_known_token_ends_with_the_age_of_its_key(self, make, sign, claims, published, clock):
        verifier, token = make(keys_max_age=600.0), sign(claims)
        await verifier.renew_keys(token)
        published.clear()
        clock[0] += 599
        verifier.verify(token, NOW, False)
        clock[0] += 1
        with pytest.raises(KeysUnavailable):
            verifier.verify(token, NOW, False)

    async def test_keys_in_a_file_are_not_fetched(self, verifier, sign, claims):
        assert await verifier.renew_keys(sign(claims)) is False

    async def test_nobody_is_asked_for_a_token_of_a_stranger(self, make, sign, claims):
        with pytest.raises(TokenRejected, match="unknown issuer"):
            await make().renew_keys(sign({**claims, "iss": "https://evil.example"}))
