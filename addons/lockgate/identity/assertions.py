"""SAML assertions as identity: verified off the loop, exchanged once for a token of the gateway's own.

What belongs here: which providers are trusted, what has been verified, what has been used. What never does: XML.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from lockgate.errors import AssertionUnverified, SetupError, TokenRejected
from lockgate.identity import gateway_token, saml
from lockgate.identity.gateway_token import GatewayKeys
from lockgate.identity.jwt import roles_of
from lockgate.identity.metadata import MetadataFile
from lockgate.identity.used import UsedAssertions
from lockgate.masking import paths
from lockgate.model import Issuer, Principal, Saml, Sensitive

MAX_ASSERTION = 32 * 1024  # characters
MAX_CACHED = 1000


class Provider:
    """One identity provider, ready to verify with."""

    def __init__(self, issuer: Issuer, spec: Saml) -> None:
        try:
            paths.parse(issuer.roles)
        except ValueError as error:
            raise SetupError(f"issuer {issuer.issuer}: roles: {error}") from error
        self.config = issuer
        self.spec = spec
        self.metadata = MetadataFile(spec.metadata, issuer.issuer)


@dataclass(frozen=True, slots=True)
class Held:
    """An assertion that held, and the provider by whose metadata, and which state of it."""

    assertion: saml.Assertion
    provider: Provider
    version: str


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Issued(Sensitive):
    """A token of the gateway's own, and when it ends, in seconds since the epoch."""

    token: str
    expires_at: int


class Assertions:
    """Verifies assertions of the providers a generation of the rules trusts, and the gateway's tokens for them.

    For one event loop.
    """

    def __init__(self, issuers: Sequence[Issuer], state_dir: Path) -> None:
        """Raises SetupError."""
        self._providers = {issuer.issuer: Provider(issuer, issuer.saml) for issuer in issuers if issuer.saml}
        self._cache: OrderedDict[bytes, Held] = OrderedDict()  # by SHA-256 of the token, the latest used last
        self._used = UsedAssertions(state_dir)
        self.keys = GatewayKeys(state_dir)

    def principal(self, token: str, now: float, exchanging: bool) -> Principal:
        """Who an assertion identifies at `now`; for the exchange only, unless its provider's are taken directly.

        Raises TokenRejected, KeysUnavailable, and AssertionUnverified where `verify` comes first.
        """
        held = self._held(token, now)
        if not exchanging and (not held.provider.spec.direct or held.assertion.one_time):
            raise TokenRejected("an assertion is exchanged for a token first")
        return held.assertion.principal

    async def verify(self, token: str, now: float) -> None:
        """Verify an assertion, so that `principal` knows it. Raises TokenRejected and KeysUnavailable."""
        held = await asyncio.to_thread(self._verified, token, now)
        self._cache[digest(token)] = held
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)

    async def exchange(self, token: str, now: float) -> Issued:
        """The gateway's token for an assertion, which is used up by it, durably, before there is one.

        Raises TokenRejected, KeysUnavailable, AssertionUnverified and StoreUnavailable.
        """
        held = self._held(token, now)
        issuer, assertion = held.provider.config.issuer, held.assertion
        issued = Issued(*self.keys.mint(assertion, now))
        await asyncio.to_thread(self._used.use, issuer, assertion.identifier, assertion.ends_at, now)
        return issued

    def vouched(self, claims: Mapping[str, Any], expires_at: float) -> Principal:
        """Who a verified token of the gateway's own identifies, by the rules now in force. Raises TokenRejected."""
        _, said = gateway_token.vouched(claims)
        issuer = self._provider(said["iss"]).config
        if said["aud"] != issuer.audience:
            raise TokenRejected("wrong audience")
        return Principal(issuer.issuer, said["sub"], roles_of(said, issuer), expires_at, said["jti"], said)

    def require_standing(self, claims: Mapping[str, Any], now: float) -> None:
        """Raise TokenRejected where the provider no longer has the certificate that signed the assertion behind a
        token, KeysUnavailable where that cannot be told.
        """
        certificate, said = gateway_token.vouched(claims)
        if certificate not in self._provider(said["iss"]).metadata.read(now).certificates:
            raise TokenRejected("unknown key")

    def _held(self, token: str, now: float) -> Held:
        key = digest(token)
        held = self._cache.get(key)
        if held is None or held.provider.metadata.read(now).version != held.version:
            raise AssertionUnverified
        saml.require_current(held.assertion, held.provider.config, now)
        self._cache.move_to_end(key)
        return held

    def _verified(self, token: str, now: float) -> Held:
        if len(token) > MAX_ASSERTION:
            raise TokenRejected("too long")
        document = saml.read(token)
        provider = self._provider(saml.named_issuer(document))
        metadata = provider.metadata.read(now)
        assertion = saml.verify(document, provider.config, provider.spec.recipient, metadata, now)
        saml.require_current(assertion, provider.config, now)
        return Held(assertion, provider, metadata.version)

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            raise TokenRejected("unknown issuer")
        return self._providers[name]


def digest(token: str) -> bytes:
    return sha256(token.encode("ascii")).digest()
