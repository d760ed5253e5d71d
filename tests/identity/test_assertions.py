"""Assertions through the verifier: off the loop, remembered, exchanged."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from harness import identity_provider as idp
from harness.identity_provider import AUDIENCE, ENTITY, RECIPIENT, IdentityProvider
from lockgate.errors import AssertionUnverified, KeysUnavailable, SetupError, StoreUnavailable, TokenRejected
from lockgate.identity import assertions, saml
from lockgate.identity.jwt import Verifier
from lockgate.model import Issuer, Principal, Saml

NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    return IdentityProvider()


@pytest.fixture
def config(tmp_path: Path, provider: IdentityProvider) -> Issuer:
    path = tmp_path / "idp.xml"
    path.write_text(provider.metadata)
    return Issuer(ENTITY, AUDIENCE, (), "$.attributes.groups[*]", saml=Saml(path, RECIPIENT))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def verifier(config: Issuer, home: Path) -> Verifier:
    return Verifier([config], home)


def direct(config: Issuer) -> Issuer:
    assert config.saml is not None
    return replace(config, saml=replace(config.saml, direct=True))


async def who(verifier: Verifier, token: str, now: float = NOW, exchanging: bool = True) -> Principal:
    with pytest.raises(AssertionUnverified):
        verifier.verify(token, now, False, exchanging)
    await verifier.verify_assertion(token, now)
    return verifier.verify(token, now, False, exchanging)


async def test_who_it_is(verifier: Verifier, provider: IdentityProvider) -> None:
    token = provider.token("a", now=NOW)
    principal = await who(verifier, token)
    assert (principal.issuer, principal.subject, principal.roles) == (ENTITY, idp.SUBJECT, ("a",))
    assert verifier.verify(token, NOW + 1, False, exchanging=True) is principal
    with pytest.raises(TokenRejected, match="expired"):
        verifier.verify(token, NOW + idp.LIFETIME + 30, False, exchanging=True)
    assert not await verifier.renew_keys(token)


async def test_it_is_verified_in_a_thread(
    verifier: Verifier, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    read = saml.read
    monkeypatch.setattr(saml, "read", lambda token: seen.append(threading.current_thread()) or read(token))
    await verifier.verify_assertion(provider.token("a", now=NOW), NOW)
    assert len(seen) == 1 and seen[0] is not threading.main_thread()


async def test_it_is_for_the_exchange_only(verifier: Verifier, provider: IdentityProvider) -> None:
    token = provider.token("a", now=NOW)
    await verifier.verify_assertion(token, NOW)
    with pytest.raises(TokenRejected, match="exchanged for a token first"):
        verifier.verify(token, NOW, True)


async def test_it_is_taken_directly_where_the_rules_say_so(
    config: Issuer, home: Path, provider: IdentityProvider
) -> None:
    verifier = Verifier([direct(config)], home)
    token = provider.token("a", now=NOW)
    assert (await who(verifier, token, exchanging=False)).roles == ("a",)
    once = provider.token("a", now=NOW, conditions="<saml:OneTimeUse/>")
    await verifier.verify_assertion(once, NOW)
    with pytest.raises(TokenRejected, match="exchanged for a token first"):
        verifier.verify(once, NOW, False)


async def test_an_exchange(verifier: Verifier, provider: IdentityProvider) -> None:
    token = provider.token("a", now=NOW)
    await verifier.verify_assertion(token, NOW)
    issued = await verifier.exchange(token, NOW)
    assert issued.token not in repr(issued)
    principal = verifier.verify(issued.token, NOW, False)
    assert (principal.issuer, principal.subject, principal.roles) == (ENTITY, idp.SUBJECT, ("a",))
    assert principal.token_id == jwt.decode(issued.token, options={"verify_signature": False})["jti"]
    assert principal.claims["attributes"] == {"groups": ["a"]}
    assert principal.expires_at == issued.expires_at
    assert verifier.verify(issued.token, issued.expires_at - 1, False) is principal
    with pytest.raises(TokenRejected, match="expired"):
        verifier.verify(issued.token, issued.expires_at, False)
    with pytest.raises(TokenRejected, match="used before"):
        await verifier.exchange(token, NOW)
    with pytest.raises(TokenRejected, match="not an assertion"):
        await verifier.exchange(issued.token, NOW)


async def test_of_two_exchanges_at_once_one_wins(verifier: Verifier, provider: IdentityProvider) -> None:
    token = provider.token("a", now=NOW)
    await verifier.verify_assertion(token, NOW)
    both = await asyncio.gather(*(verifier.exchange(token, NOW) for _ in range(2)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in both) == ["Issued", "TokenRejected"]


async def test_no_token_without_the_store(
    verifier: Verifier, provider: IdentityProvider, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = provider.token("a", now=NOW)
    await verifier.verify_assertion(token, NOW)
    (home / "used-assertions").rmdir()
    with pytest.raises(StoreUnavailable):
        await verifier.exchange(token, NOW)


async def test_an_unverified_one_is_not_exchanged(verifier: Verifier, provider: IdentityProvider, home: Path) -> None:
    with pytest.raises(AssertionUnverified):
        await verifier.exchange(provider.token("a", now=NOW), NOW)
    assert list((home / "used-assertions").iterdir()) == []


async def test_a_token_is_judged_by_the_rules_now_in_force(
    verifier: Verifier, config: Issuer, home: Path, provider: IdentityProvider
) -> None:
    token = provider.token("a", now=NOW)
    await verifier.verify_assertion(token, NOW)
    issued = await verifier.exchange(token, NOW)
    renamed = Verifier([replace(config, alias={"a": "support"})], home)
    assert renamed.verify(issued.token, NOW, False).roles == ("support",)
    with pytest.raises(TokenRejected, match="wrong audience"):
        Verifier([replace(config, audience="other")], home).verify(issued.token, NOW, False)
    with pytest.raises(TokenRejected, match="unknown issuer"):
        Verifier([replace(config, issuer="other")], home).verify(issued.token, NOW, False)
    with pytest.raises(TokenRejected, match="unknown issuer"):
        Verifier([], home).verify(issued.token, NOW, False)


async def test_a_certificate_that_is_gone_takes_its_tokens_along(
    config: Issuer, home: Path, provider: IdentityProvider
) -> None:
    verifier = Verifier([direct(config)], home)
    token = provider.token("a", now=NOW)
    await verifier.verify_assertion(token, NOW)
    issued = await verifier.exchange(token, NOW)
    assert config.saml is not None
    config.saml.metadata.write_text(IdentityProvider().metadata)
    with pytest.raises(TokenRejected, match="unknown key"):
        verifier.verify(issued.token, NOW, False)
    with pytest.raises(AssertionUnverified):
        verifier.verify(token, NOW, False)
    with pytest.raises(TokenRejected, match="bad signature"):
        await verifier.verify_assertion(token, NOW)
    config.saml.metadata.unlink()
    for known in (issued.token, token):
        with pytest.raises(KeysUnavailable):
            verifier.verify(known, NOW, False)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param("A" * (32 * 1024 + 1), "too long", id="too-long"),
        pytest.param("tokén", "malformed", id="not-ascii"),
        pytest.param("AAAA", "malformed", id="no-xml"),
    ],
)
async def test_what_is_no_assertion(verifier: Verifier, token: str, reason: str) -> None:
    with pytest.raises((AssertionUnverified, TokenRejected)):
        verifier.verify(token, NOW, False)
    with pytest.raises(TokenRejected) as caught:
        await verifier.verify_assertion(token, NOW)
    assert caught.value.reason == reason


async def test_an_unknown_issuer(verifier: Verifier) -> None:
    with pytest.raises(TokenRejected, match="unknown issuer"):
        await verifier.verify_assertion(IdentityProvider("https://other.example").token("a", now=NOW), NOW)


async def test_what_is_remembered_is_bounded(
    verifier: Verifier, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assertions, "MAX_CACHED", 2)
    tokens = [provider.token("a", now=NOW) for _ in range(3)]
    for token in tokens:
        await verifier.verify_assertion(token, NOW)
    with pytest.raises(AssertionUnverified):
        verifier.verify(tokens[0], NOW, False, exchanging=True)
    assert verifier.verify(tokens[1], NOW, False, exchanging=True)


def test_without_saml_there_is_none(home: Path, provider: IdentityProvider) -> None:
    verifier = Verifier([], home)
    with pytest.raises(TokenRejected, match="malformed"):
        verifier.verify(provider.token("a", now=NOW), NOW, True, exchanging=True)
    assert list(home.iterdir()) == []


async def test_without_saml_nothing_is_exchanged(home: Path, provider: IdentityProvider) -> None:
    verifier = Verifier([], home)
    with pytest.raises(TokenRejected, match="malformed"):
        await verifier.verify_assertion(provider.token("a", now=NOW), NOW)
    with pytest.raises(TokenRejected, match="not an assertion"):
        await verifier.exchange(provider.token("a", now=NOW), NOW)


def test_the_gateways_own_name(config: Issuer, home: Path, tmp_path: Path) -> None:
    other = Issuer("lockgate", "x", ("RS256",), "$.roles[*]", jwks_file=tmp_path / "k.json")
    Verifier([other], home)
    with pytest.raises(SetupError, match="the gateway's own name"):
        Verifier([other, config], home)
    with pytest.raises(SetupError, match="roles"):
        Verifier([replace(config, roles="$[")], home)


@pytest.mark.parametrize("missing", ["signxml", "lxml"])
def test_without_the_extra(config: Issuer, home: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("assertions", "gateway_token", "saml", "xml", "metadata"):
        monkeypatch.delitem(sys.modules, f"lockgate.identity.{name}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SetupError, match=r"pip install lockgate\[saml\]"):
        Verifier([config], home)
