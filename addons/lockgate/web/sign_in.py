"""Signing in on the page: OpenID Connect, authorization code with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636).

An attempt is known by a cookie of its own and used once: what comes back must be what this browser went out for.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import quote_plus, urlencode

from lockgate.bodies import json
from lockgate.errors import (
    BodyUnreadable,
    KeysUnavailable,
    SecretUnavailable,
    TokenRejected,
    Unanswered,
    UnknownKey,
)
from lockgate.identity.jwt import Verifier
from lockgate.identity.oidc import configuration_url, is_https
from lockgate.identity.remote import KeyCaches
from lockgate.model import Approvals, Issuer, Principal, SecretSource, Sensitive, SignIn
from lockgate.outbound import Reply, ask
from lockgate.web.problem import Problem

BACK = "/sign-in/back"
WITHIN = 600.0  # seconds to sign in at the provider
MOST = 1000  # attempts under way
TIMEOUT = 10.0  # seconds for one answer of the provider
FRESH = 300.0  # seconds that its configuration is used
LARGEST = 1024 * 1024  # bytes of an answer of it


class Attempt(Sensitive):
    """What a browser went out with."""

    __slots__ = ("ends_at", "issuer", "nonce", "redirect", "state", "to", "verifier")

    def __init__(self, issuer: str, redirect: str, to: str, ends_at: float) -> None:
        self.issuer = issuer
        self.redirect = redirect
        self.to = to
        self.state = token_urlsafe(32)
        self.nonce = token_urlsafe(32)
        self.verifier = token_urlsafe(48)
        self.ends_at = ends_at

    @property
    def challenge(self) -> str:
        """RFC 7636, 4.2: S256."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


class Tokens(Sensitive):
    """What the provider gave: one of them may be for the approvals."""

    __slots__ = ("access_token", "id_token")

    def __init__(self, access_token: str, id_token: str) -> None:
        self.access_token = access_token
        self.id_token = id_token


@dataclass(frozen=True, slots=True)
class Provider:
    """What an OpenID provider says of itself (OpenID Connect Discovery 1.0, 3), as far as it is used."""

    authorization_endpoint: str
    token_endpoint: str
    says_issuer: bool  # RFC 9207, 3


class NotSignedIn(Problem):
    """Raised where a sign-in comes to nothing; its text is for the person."""

    def __init__(self, detail: str) -> None:
        super().__init__(403, detail)


class SignIns:
    """For one event loop."""

    def __init__(
        self,
        config: Callable[[], Approvals],
        issuers: Callable[[], Sequence[Issuer]],
        secret: Callable[[SecretSource], Awaitable[str]],
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._issuers = issuers
        self._secret = secret
        self._clock = clock
        self._attempts: OrderedDict[bytes, Attempt] = OrderedDict()
        self._providers: dict[str, tuple[float, Provider]] = {}
        self._asking = asyncio.Lock()
        self._caches = KeyCaches()
        self._verifies: tuple[Issuer, Verifier] | None = None

    async def begin(self, origin: str, to: str) -> tuple[str, str]:
        """The number that the browser keeps, and the URL that it goes to; `to` is where it goes in the end.

        Raises NotSignedIn, Unanswered.
        """
        config, issuer = self._configured()
        provider = await self._provider(issuer)
        attempt = Attempt(issuer.issuer, origin + BACK, to, time.monotonic() + WITHIN)
        number = token_urlsafe(32)
        self._attempts[digest(number)] = attempt
        if len(self._attempts) > MOST:
            self._attempts.popitem(last=False)
        asked = {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": attempt.redirect,
            "scope": config.scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
            "audience": self._config().audience,  # what some providers choose the access token's by
        }
        mark = "&" if "?" in provider.authorization_endpoint else "?"
        return number, f"{provider.authorization_endpoint}{mark}{urlencode(asked)}"

    async def end(self, number: str, answered: Mapping[str, str]) -> tuple[Tokens, str]:
        """The tokens for what came back in the query, and where it goes now.

        Raises NotSignedIn, Unanswered, KeysUnavailable.
        """
        attempt = self._attempts.pop(digest(number), None)
        if attempt is None or time.monotonic() >= attempt.ends_at:
            raise NotSignedIn("This sign-in took too long, or was used already.")
        if not hmac.compare_digest(answered.get("state", "").encode(), attempt.state.encode()):
            raise NotSignedIn("This is not the sign-in that was begun here.")
        config, issuer = self._configured()
        provider = await self._provider(issuer)
        said = answered.get("iss")
        if (
            issuer.issuer != attempt.issuer
            or (said is None and provider.says_issuer)
            or said not in (None, issuer.issuer)
        ):
            raise NotSignedIn("The answer is another provider's than the one that was asked.")
        if "error" in answered or not answered.get("code"):
            denied = answered.get("error") == "access_denied"
            raise NotSignedIn("It was refused at the provider." if denied else "The provider reports an error.")
        tokens = await self._redeem(config, issuer, provider, attempt, answered["code"])
        await self._require_ours(tokens.id_token, issuer, config.client_id, attempt.nonce)
        return tokens, attempt.to

    def _configured(self) -> tuple[SignIn, Issuer]:
        config = self._config().sign_in
        found = next((each for each in self._issuers() if config and each.issuer == config.issuer), None)
        if config is None or found is None or found.saml or found.dev:
            raise NotSignedIn("No sign-in is configured here.")
        return config, found

    async def _provider(self, issuer: Issuer) -> Provider:
        """Raises Unanswered."""
        async with self._asking:
            fetched_at, provider = self._providers.get(issuer.issuer, (0.0, None))
            if provider is None or time.monotonic() - fetched_at >= FRESH:
                url = configuration_url(issuer.issuer)
                reply = await ask("GET", url, headers={}, ca=issuer.ca, ends_at=soon(), largest=LARGEST)
                provider = provider_of(reply, issuer.issuer)
                self._providers[issuer.issuer] = (time.monotonic(), provider)
            return provider

    async def _redeem(self, config: SignIn, issuer: Issuer, provider: Provider, attempt: Attempt, code: str) -> Tokens:
        """What the token endpoint gives for a code (RFC 6749, 4.1.3). Raises NotSignedIn, Unanswered."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect,
            "code_verifier": attempt.verifier,
        }
        headers = {"Accept": "application/json"}
        if config.client_secret is None:
            form["client_id"] = config.client_id
        else:
            try:
                headers["Authorization"] = basic(config.client_id, await self._secret(config.client_secret))
            except SecretUnavailable:
                raise NotSignedIn("The secret of the page at the provider cannot be had; tell the operator.") from None
        reply = await ask(
            "POST", provider.token_endpoint, headers=headers, form=form, ca=issuer.ca, ends_at=soon(), largest=LARGEST
        )
        document = members(reply)
        access, identity = document.get("access_token"), document.get("id_token")
        if reply.status != 200 or not isinstance(access, str) or not isinstance(identity, str):
            raise NotSignedIn("The provider gives no tokens for this sign-in.")
        return Tokens(access, identity)

    async def _require_ours(self, id_token: str, issuer: Issuer, client_id: str, nonce: str) -> None:
        """Raises NotSignedIn unless the provider says by it that somebody signed in here, just now (3.1.3.7), and
        KeysUnavailable.
        """
        try:
            claims = (await self._identified(id_token, issuer, client_id)).claims
        except TokenRejected as error:
            raise NotSignedIn(f"The provider's id_token is not taken: {error.reason}.") from None
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        fits_client = claims.get("azp", client_id) == client_id and (len(audiences) == 1 or "azp" in claims)
        given = claims.get("nonce")
        if not fits_client or not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise NotSignedIn("The provider's id_token is of another sign-in.")

    async def _identified(self, id_token: str, issuer: Issuer, client_id: str) -> Principal:
        client = replace(issuer, audience=client_id, max_ttl=None)
        if self._verifies is None or self._verifies[0] != client:
            self._verifies = client, Verifier([client], Path(os.devnull), self._caches)
        _, verifier = self._verifies
        while True:
            try:
                return verifier.verify(id_token, self._clock(), peer_is_loopback=False)
            except (UnknownKey, KeysUnavailable):
                if not await verifier.renew_keys(id_token):
                    raise


def provider_of(reply: Reply, issuer: str) -> Provider:
    """Raises Unanswered for what is not the configuration of this issuer (Discovery, 4.3), endpoints over https."""
    document = members(reply)
    if reply.status != 200 or document.get("issuer") != issuer:
        raise Unanswered("it does not describe this issuer")
    return Provider(
        endpoint(document, "authorization_endpoint"),
        endpoint(document, "token_endpoint"),
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def endpoint(document: Mapping[str, object], name: str) -> str:
    url = document.get(name)
    if not isinstance(url, str) or not is_https(url):
        raise Unanswered(f"it names no {name} over https")
    return url


def members(reply: Reply) -> Mapping[str, object]:
    """The answer's JSON object. Raises Unanswered."""
    try:
        document = json.parse(reply.body)
    except BodyUnreadable:
        document = None
    if not isinstance(document, dict):
        raise Unanswered(f"it answers {reply.status} with something that is not a JSON object")
    return document


def basic(client_id: str, secret: str) -> str:
    """RFC 6749, 2.3.1: each form-encoded first."""
    return "Basic " + b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def digest(number: str) -> bytes:
    return sha256(number.encode("utf-8", "surrogateescape")).digest()


def soon() -> float:
    return asyncio.get_running_loop().time() + TIMEOUT
