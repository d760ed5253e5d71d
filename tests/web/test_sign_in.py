"""What a provider may answer, and what is made of it; tests/e2e/test_approvals_sign_in.py has a real one."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.errors import KeysUnavailable, SecretUnavailable, Unanswered
from lockgate.model import Approvals, Issuer, SecretSource, SignIn
from lockgate.outbound import Reply
from lockgate.web import sign_in
from lockgate.web.sign_in import NotSignedIn, SignIns, basic, provider_of

ISSUER, CLIENT = "https://login.example", "page"
CONFIGURATION = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize?tenant=7",
    "token_endpoint": f"{ISSUER}/token",
}
KEY = ec.generate_private_key(ec.SECP256R1())


class Provider:
    """Answers as it is told; records what it was asked."""

    def __init__(self) -> None:
        self.configuration: dict[str, Any] = dict(CONFIGURATION)
        self.claims: dict[str, Any] = {}
        self.tokens: Callable[[], Any] = lambda: {"access_token": "opaque", "id_token": self.id_token()}
        self.status = 200
        self.nonce = ""
        self.asked: list[tuple[str, str, dict[str, str], dict[str, str] | None]] = []

    def id_token(self, key: Any = KEY) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": CLIENT, "sub": "fiona", "exp": now + 60, "iat": now, "nonce": self.nonce}
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "k1"})

    async def ask(self, method: str, url: str, **more: Any) -> Reply:
        self.asked.append((method, url, more["headers"], more.get("form")))
        if url.endswith("/.well-known/openid-configuration"):
            return Reply(200, "application/json", json.dumps(self.configuration).encode())
        assert (method, url) == ("POST", f"{ISSUER}/token")
        return Reply(self.status, "application/json", json.dumps(self.tokens()).encode())


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    provider = Provider()
    monkeypatch.setattr(sign_in, "ask", provider.ask)
    return provider


@pytest.fixture
def issuers(tmp_path: Any) -> list[Issuer]:
    public = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "k1", "alg": "ES256"}
    public.pop("key_ops", None)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [public]}))
    return [Issuer(ISSUER, "lockgate", ("ES256",), "$.roles[*]", jwks_file=file, max_ttl=30.0)]


@pytest.fixture
def config() -> dict[str, Approvals]:
    return {"approvals": Approvals(sign_in=SignIn(ISSUER, CLIENT, scope="openid roles"))}


@pytest.fixture
def sign_ins(config: dict[str, Approvals], issuers: list[Issuer]) -> SignIns:
    async def secret(source: SecretSource) -> str:
        if source.name == "GONE":
            raise SecretUnavailable("env:GONE is not set")
        return "a b:c"

    return SignIns(lambda: config["approvals"], lambda: issuers, secret, time.time)


async def begun(sign_ins: SignIns, provider: Provider) -> tuple[str, dict[str, str]]:
    """The browser's number, and what comes back for it."""
    number, url = await sign_ins.begin("https://approvals.example", "/grants")
    asked = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
    assert asked["tenant"] == "7" and asked["redirect_uri"] == "https://approvals.example/sign-in/back"
    provider.nonce = asked["nonce"]
    return number, {"state": asked["state"], "code": "the-code"}


async def test_redeems_the_code(sign_ins: SignIns, provider: Provider) -> None:
    number, answered = await begun(sign_ins, provider)
    tokens, to = await sign_ins.end(number, answered)
    assert to == "/grants"
    assert tokens.access_token == "opaque" and tokens.id_token.count(".") == 2
    _, _, headers, form = provider.asked[-1]
    assert form is not None and "Authorization" not in headers
    assert (form["grant_type"], form["code"], form["client_id"]) == ("authorization_code", "the-code", CLIENT)
    assert len(form["code_verifier"]) >= 43
    assert "opaque" not in repr(tokens)


async def test_with_a_secret(sign_ins: SignIns, provider: Provider, config: dict[str, Approvals]) -> None:
    config["approvals"] = Approvals(sign_in=SignIn(ISSUER, CLIENT, SecretSource("env", "PAGE_SECRET")))
    await sign_ins.end(*await begun(sign_ins, provider))
    _, _, headers, form = provider.asked[-1]
    assert headers["Authorization"] == basic(CLIENT, "a b:c")
    assert form is not None and "client_id" not in form and "client_secret" not in form


async def test_the_secret_cannot_be_had(sign_ins: SignIns, provider: Provider, config: dict[str, Approvals]) -> None:
    config["approvals"] = Approvals(sign_in=SignIn(ISSUER, CLIENT, SecretSource("env", "GONE")))
    number, answered = await begun(sign_ins, provider)
    with pytest.raises(NotSignedIn, match="secret of the page"):
        await sign_ins.end(number, answered)


def test_basic() -> None:
    """RFC 6749, 2.3.1: a colon, a plus, a percent sign survive."""
    user, _, password = b64decode(basic("a:b", "c+d %e").removeprefix("Basic ")).decode().partition(":")
    assert (unquote_plus(user), unquote_plus(password)) == ("a:b", "c+d %e")


async def test_a_configuration_is_kept_for_a_while(sign_ins: SignIns, provider: Provider) -> None:
    for _ in range(3):
        await begun(sign_ins, provider)
    assert len(provider.asked) == 1


OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        pytest.param({"nonce": "another"}, "of another sign-in", id="nonce"),
        pytest.param({"nonce": None}, "of another sign-in", id="no-nonce"),
        pytest.param({"nonce": 7}, "of another sign-in", id="nonce-is-a-number"),
        pytest.param({"aud": "another"}, "wrong audience", id="audience"),
        pytest.param({"aud": [CLIENT, "another"]}, "of another sign-in", id="two-audiences"),
        pytest.param({"azp": "another"}, "of another sign-in", id="azp"),
        pytest.param({"iss": "https://evil.example"}, "unknown issuer", id="issuer"),
        pytest.param({"exp": 1}, "expired", id="expired"),
        pytest.param({"sub": ""}, "missing claim", id="nobody"),
    ],
)
async def test_an_id_token_that_is_not_ours(
    sign_ins: SignIns, provider: Provider, claims: dict[str, Any], why: str
) -> None:
    number, answered = await begun(sign_ins, provider)
    provider.claims = claims
    with pytest.raises(NotSignedIn, match=why):
        await sign_ins.end(number, answered)


async def test_several_audiences_where_ours_is_said(sign_ins: SignIns, provider: Provider) -> None:
    number, answered = await begun(sign_ins, provider)
    provider.claims = {"aud": [CLIENT, "another"], "azp": CLIENT}
    await sign_ins.end(number, answered)


@pytest.mark.parametrize(
    "tokens",
    [
        pytest.param(lambda provider: {"access_token": "opaque"}, id="no-id-token"),
        pytest.param(lambda provider: {"id_token": provider.id_token()}, id="no-access-token"),
        pytest.param(lambda provider: {"access_token": 7, "id_token": provider.id_token()}, id="number"),
        pytest.param(lambda provider: {"access_token": "x", "id_token": provider.id_token(OTHER_KEY)}, id="other-key"),
        pytest.param(lambda provider: {"access_token": "x", "id_token": "x"}, id="no-jwt"),
    ],
)
async def test_tokens_that_are_none(
    sign_ins: SignIns, provider: Provider, tokens: Callable[[Provider], dict[str, Any]]
) -> None:
    number, answered = await begun(sign_ins, provider)
    provider.tokens = lambda: tokens(provider)
    with pytest.raises(NotSignedIn):
        await sign_ins.end(number, answered)


async def test_an_answer_that_is_none(sign_ins: SignIns, provider: Provider) -> None:
    number, answered = await begun(sign_ins, provider)
    provider.tokens = lambda: ["x"]
    with pytest.raises(Unanswered, match="not a JSON object"):
        await sign_ins.end(number, answered)
    number, answered = await begun(sign_ins, provider)
    provider.tokens, provider.status = (lambda: {"error": "invalid_grant"}), 400
    with pytest.raises(NotSignedIn, match="gives no tokens"):
        await sign_ins.end(number, answered)


@pytest.mark.parametrize(
    ("answered", "why"),
    [
        pytest.param({"state": "x"}, "not the sign-in that was begun", id="state"),
        pytest.param({"state": "é"}, "not the sign-in that was begun", id="state-not-ascii"),
        pytest.param({"iss": "https://evil.example"}, "another provider's", id="iss"),
        pytest.param({"error": "access_denied"}, "refused at the provider", id="denied"),
        pytest.param({"error": "<b>"}, "reports an error", id="error"),
        pytest.param({"code": ""}, "reports an error", id="no-code"),
    ],
)
async def test_what_comes_back(sign_ins: SignIns, provider: Provider, answered: dict[str, str], why: str) -> None:
    number, whole = await begun(sign_ins, provider)
    with pytest.raises(NotSignedIn, match=why):
        await sign_ins.end(number, whole | answered)
    with pytest.raises(NotSignedIn, match="used already"):
        await sign_ins.end(number, whole)
    assert len(provider.asked) == 1, "the provider was asked for tokens"


async def test_iss_is_needed_where_it_is_promised(sign_ins: SignIns, provider: Provider) -> None:
    provider.configuration["authorization_response_iss_parameter_supported"] = True
    number, answered = await begun(sign_ins, provider)
    with pytest.raises(NotSignedIn, match="another provider's"):
        await sign_ins.end(number, answered)
    number, answered = await begun(sign_ins, provider)
    await sign_ins.end(number, answered | {"iss": ISSUER})


async def test_it_takes_too_long(sign_ins: SignIns, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "WITHIN", 0.0)
    number, answered = await begun(sign_ins, provider)
    with pytest.raises(NotSignedIn, match="too long"):
        await sign_ins.end(number, answered)


async def test_another_provider_by_now(
    sign_ins: SignIns, provider: Provider, issuers: list[Issuer], config: dict[str, Approvals]
) -> None:
    number, answered = await begun(sign_ins, provider)
    config["approvals"] = Approvals()
    with pytest.raises(NotSignedIn, match="No sign-in is configured"):
        await sign_ins.end(number, answered)


async def test_keys_that_cannot_be_had(sign_ins: SignIns, provider: Provider, issuers: list[Issuer]) -> None:
    number, answered = await begun(sign_ins, provider)
    assert issuers[0].jwks_file
    issuers[0].jwks_file.unlink()
    with pytest.raises(KeysUnavailable):
        await sign_ins.end(number, answered)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        pytest.param({"issuer": f"{ISSUER}/"}, "does not describe this issuer", id="another-issuer"),
        pytest.param({"token_endpoint": "http://login.example/token"}, "no token_endpoint over https", id="http"),
        pytest.param({"authorization_endpoint": None}, "no authorization_endpoint over https", id="none"),
        pytest.param({"authorization_endpoint": "javascript:alert(1)"}, "no authorization_endpoint", id="script"),
        pytest.param({"authorization_endpoint": "https://a.example/\r\nX: y"}, "no authorization_endpoint", id="lines"),
    ],
)
def test_configurations(document: dict[str, Any], why: str) -> None:
    with pytest.raises(Unanswered, match=why):
        provider_of(Reply(200, None, json.dumps(CONFIGURATION | document).encode()), ISSUER)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"issuer":"a","issuer":"b"}', b"<html>"])
def test_no_configurations(body: bytes) -> None:
    with pytest.raises(Unanswered, match="not a JSON object"):
        provider_of(Reply(200, None, body), ISSUER)


async def test_many_are_begun(sign_ins: SignIns, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "MOST", 2)
    started = [await begun(sign_ins, provider) for _ in range(3)]
    with pytest.raises(NotSignedIn, match="took too long, or was used"):
        await sign_ins.end(*started[0])
    assert len(sign_ins._attempts) == 2
