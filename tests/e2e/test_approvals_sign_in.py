"""Signing in on the approvals page at a certified OpenID provider, and what somebody could make of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from harness.gateway import free_port
from harness.npm import install
from harness.openid_provider import SOURCE, OpenIdProvider
from harness.pki import Authority
from harness.scene import Scene, staged
from lockgate.errors import KeysUnavailable
from lockgate.identity.jwt import Verifier
from lockgate.model import Issuer, Principal, SecretSource, SignIn

AUDIENCE = "lockgate-approvals"
SECRET = "a secret, of the page's: 100% + more"
PUBLIC, OTHER = "page", "page-for-agents"  # the first has no secret; the other's tokens are for agents
CONFIDENTIAL = AUDIENCE  # so that its id_token is for the approvals
PORT = free_port()
BACK = f"http://127.0.0.1:{PORT}/sign-in/back"
PAGES = {
    PUBLIC: {"back": BACK, "audience": AUDIENCE},
    CONFIDENTIAL: {"back": BACK, "audience": "lockgate", "secret": SECRET},
    OTHER: {"back": BACK, "audience": "lockgate"},
}


@pytest.fixture(scope="module")
def provider(pytestconfig: pytest.Config, authority: Authority) -> Iterator[OpenIdProvider]:
    provider = OpenIdProvider(install(SOURCE, pytestconfig), authority, PAGES).start()
    yield provider
    provider.stop()


@pytest.fixture
async def scene(provider: OpenIdProvider, authority: Authority, tmp_path: Path) -> AsyncIterator[Scene]:
    """A page whose approvers are the provider's."""
    issuer = Issuer(provider.issuer, "lockgate", ("RS256",), "$.realm_access.roles[*]", ca=authority.pem)
    verifier = Verifier([replace(issuer, audience=AUDIENCE)], tmp_path)

    async def verify(token: str, here: bool) -> Principal:
        while True:
            try:
                return verifier.verify(token, time.time(), here)
            except KeysUnavailable:
                if not await verifier.renew_keys(token):
                    raise

    sign_in = SignIn(provider.issuer, PUBLIC)
    async with staged(now=time.time(), secret=SECRET, listen=("127.0.0.1", PORT), sign_in=sign_in) as scene:
        scene.people.verify = verify  # type: ignore[method-assign]
        scene.site._services.verify = verify
        scene.issuers.append(issuer)
        yield scene


def client_is(scene: Scene, client_id: str, secret: bool = False) -> None:
    assert scene.config.sign_in
    source = SecretSource("env", "PAGE_SECRET") if secret else None
    sign_in = replace(scene.config.sign_in, client_id=client_id, client_secret=source)
    scene.config = replace(scene.config, sign_in=sign_in)


async def sent_back(browser: httpx.AsyncClient, provider: OpenIdProvider, person: str = "fiona") -> str:
    """Where the provider sends a person who has signed in there."""
    off = await browser.get("/sign-in/start?to=/grants")
    assert off.status_code == 303, off.text
    return await asyncio.to_thread(provider.sign_in, off.headers["location"], person)


@pytest.mark.parametrize(
    ("client_id", "secret", "roles"),
    [
        pytest.param(PUBLIC, False, ("finance",), id="public-access-token"),
        pytest.param(CONFIDENTIAL, True, (), id="confidential-id-token"),
    ],
)
async def test_signs_in(
    scene: Scene, provider: OpenIdProvider, client_id: str, secret: bool, roles: tuple[str, ...]
) -> None:
    client_is(scene, client_id, secret)
    async with scene.browser() as browser:
        back = await sent_back(browser, provider)
        assert back.startswith(f"{BACK}?")
        page = await browser.get(back)
        assert page.status_code == 200 and "You are signed in." in page.text, page.text
        assert '<meta http-equiv="refresh" content="0; url=/grants">' in page.text
        assert set(browser.cookies) == {"lockgate"}
        home = await browser.get("/")
        assert home.status_code == 200 and ">fiona</span>" in home.text
        assert (await browser.get(back)).status_code == 403, "what came back is taken twice"
    [session] = scene.site._services.sessions._sessions.values()
    principal = await scene.people.verify(session.token, True)
    assert (principal.issuer, principal.subject, principal.roles) == (provider.issuer, "fiona", roles)


async def test_goes_out_with_all_that_protects(scene: Scene, provider: OpenIdProvider) -> None:
    async with scene.browser() as browser:
        off = await browser.get("/sign-in/start")
    url = urlsplit(off.headers["location"])
    asked = {name: value for name, [value] in parse_qs(url.query).items()}
    assert f"{url.scheme}://{url.netloc}" == provider.issuer
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert (asked["redirect_uri"], asked["client_id"], asked["scope"]) == (BACK, PUBLIC, "openid")
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert "lockgate-sign-in=" in off.headers["set-cookie"] and "SameSite=Lax" in off.headers["set-cookie"]
    assert "HttpOnly" in off.headers["set-cookie"]


async def test_neither_token_is_for_the_approvals(scene: Scene, provider: OpenIdProvider) -> None:
    client_is(scene, OTHER)
    async with scene.browser() as browser:
        page = await browser.get(await sent_back(browser, provider))
        assert page.status_code == 403 and not browser.cookies
    assert f"one with {AUDIENCE} in its aud is needed" in page.text
    assert "access_token: wrong audience; id_token: wrong audience" in page.text


def changed(url: str, **values: str | None) -> str:
    query = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()} | values
    return f"{BACK}?{urlencode({name: value for name, value in query.items() if value is not None})}"


ALTERED = {
    "no-state": {"state": None},
    "other-state": {"state": "A" * 43},
    "no-code": {"code": None},
    "other-code": {"code": "A" * 43},
    "other-issuer": {"iss": "https://evil.example"},
    "no-issuer": {"iss": None},
    "error": {"error": "access_denied"},
    "markup": {"error": "<script>alert(1)</script>", "error_description": "<script>"},
}


@pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in ALTERED.items()])
async def test_what_comes_back_altered(scene: Scene, provider: OpenIdProvider, values: dict[str, str | None]) -> None:
    async with scene.browser() as browser:
        back = await sent_back(browser, provider)
        page = await browser.get(changed(back, **values))
        assert page.status_code == 403, page.text
        assert page.text.count("<script") == 1
        assert not browser.cookies
        assert (await browser.get(back)).status_code == 403, "another try with the same cookie"
    assert not scene.site._services.sessions._sessions


async def test_nobody_is_signed_in_as_somebody_else(scene: Scene, provider: OpenIdProvider) -> None:
    """A link with a code of the attacker's own, opened in another's browser, where a sign-in was begun or not."""
    async with scene.browser() as attacker, scene.browser() as victim:
        back = await sent_back(attacker, provider, "mallory")
        assert (await victim.get(back)).status_code == 403
        await victim.get("/sign-in/start")
        assert (await victim.get(back)).status_code == 403
        assert (await victim.get(f"{back}&state=x")).status_code == 403
    assert not scene.site._services.sessions._sessions


async def test_the_provider_is_down(scene: Scene, provider: OpenIdProvider) -> None:
    provider.stop()
    try:
        async with scene.browser() as browser:
            page = await browser.get("/sign-in/start")
    finally:
        provider.start()
    assert page.status_code == 502 and "cannot be asked: it cannot be connected to" in page.text
