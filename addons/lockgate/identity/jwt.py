"""Tokens to principals: JSON Web Tokens (RFC 7519), verified as RFC 8725 asks.

The rules say which algorithms and keys an issuer has; nothing in a token chooses them. The clock is the caller's.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import jwt

from lockgate.bodies import json
from lockgate.errors import BodyUnreadable, SetupError, TokenRejected, UnknownKey
from lockgate.identity.dev import DevKeys, dev_issuer
from lockgate.identity.jwks import ALGORITHMS, KeyFile, KeySet
from lockgate.identity.oidc import Published, configuration_url, is_https
from lockgate.identity.remote import KeyCache, KeyCaches, RemoteKeys
from lockgate.masking import paths
from lockgate.model import Issuer, Principal

if TYPE_CHECKING:
    from lockgate.identity.assertions import Assertions, Issued

MAX_TOKEN = 16 * 1024  # characters
MAX_CACHED = 10_000  # tokens
LATEST = 253_402_300_799  # seconds: the end of the year 9999; what lies beyond is no date

# How the gateway's own tokens are verified: for assertions, from `lockgate.identity.assertions`. It is its own clock
# that they were made by. Whom they identify is not in a role path of theirs, but in what the assertion said.
OWN_TTL = 900.0  # seconds
OWN = Issuer("lockgate", "lockgate", ("EdDSA",), "$.roles[*]", leeway=0.0, max_ttl=OWN_TTL)

# RFC 7515, 4.1: what a token may say of itself and still be taken. Nothing that brings or fetches a key (`jwk`, `jku`,
# `x5c`, `x5u`), asks for something unknown (`crit`) or changes what is signed (`b64`).
HEADER = frozenset({"alg", "kid", "typ", "cty", "x5t", "x5t#S256"})
TYPES = frozenset({"jwt", "at+jwt"})  # RFC 7519, 5.1; RFC 9068, 2.1

REASONS: Mapping[type[jwt.PyJWTError], str] = {
    jwt.InvalidAudienceError: "wrong audience",
    jwt.InvalidIssuerError: "unknown issuer",
    jwt.MissingRequiredClaimError: "missing claim",
    jwt.InvalidAlgorithmError: "algorithm not allowed",
    jwt.InvalidSignatureError: "bad signature",
}


class Keys(Protocol):
    """Where an issuer's keys come from. Raises KeysUnavailable."""

    def keys(self) -> KeySet: ...


class Trusted:
    """One issuer, ready to verify with."""

    def __init__(self, issuer: Issuer, state_dir: Path, caches: KeyCaches, own: Keys | None = None) -> None:
        """`own` are the gateway's keys, where it is the issuer itself."""
        name = issuer.issuer
        refused = sorted(set(issuer.algorithms) - ALGORITHMS)
        if refused or not issuer.algorithms:
            raise SetupError(f"issuer {name}: algorithms must be of {', '.join(sorted(ALGORITHMS))}, not {refused}")
        try:
            paths.parse(issuer.roles)
        except ValueError as error:
            raise SetupError(f"issuer {name}: roles: {error}") from error
        self.config = issuer
        self.cache: KeyCache | None = None
        self.source: Keys
        if own is not None:
            self.source = own
        elif issuer.dev:
            self.source = DevKeys(state_dir)
        elif issuer.jwks_file is not None:
            self.source = KeyFile(issuer.jwks_file)
        else:
            if not is_https(issuer.jwks or configuration_url(name)):
                raise SetupError(f"issuer {name}: its keys are fetched over https only")
            self.cache = caches.of(Published(name, issuer.jwks, issuer.ca))
            self.source = RemoteKeys(self.cache, issuer.keys_max_age)


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that held, with its claims and the version of the keys it held by."""

    principal: Principal
    trusted: Trusted
    version: str
    claims: Mapping[str, Any]


class Verifier:
    """Verifies tokens of the issuers a generation of the rules trusts. For one thread."""

    def __init__(self, issuers: Sequence[Issuer], state_dir: Path, caches: KeyCaches | None = None) -> None:
        """`state_dir` is where the development issuer keeps its key, `caches` what is fetched of the others' keys.

        Raises SetupError for what cannot be verified.
        """
        caches = caches or KeyCaches()
        self._trusted: dict[str, Trusted] = {}
        self._cache: OrderedDict[bytes, Verified] = OrderedDict()  # by SHA-256 of the token, the latest used last
        for entry in (entry for entry in issuers if entry.saml is None):
            issuer = dev_issuer(entry) if entry.dev else entry
            if issuer.issuer in self._trusted:
                raise SetupError(f"issuer {issuer.issuer}: stands twice in the rules")
            self._trusted[issuer.issuer] = Trusted(issuer, state_dir, caches)
        self._assertions = assertions_of(issuers, state_dir)
        if self._assertions is not None:
            if OWN.issuer in self._trusted:
                raise SetupError(f"issuer {OWN.issuer}: this is the gateway's own name, where assertions are taken")
            self._trusted[OWN.issuer] = Trusted(OWN, state_dir, caches, self._assertions.keys)

    def verify(self, token: str, now: float, peer_is_loopback: bool, exchanging: bool = False) -> Principal:
        """Who `token` identifies at `now` (seconds since the epoch). `exchanging`: asked for no more than the exchange
        of a SAML assertion for a token.

        Cheap for a token seen before, so that it can be asked on every request: times, the peer and whether the
        issuer still publishes the same keys are always looked at again.

        Raises TokenRejected with a reason class, and KeysUnavailable where the issuer's keys cannot be had. After the
        latter, and UnknownKey, `renew_keys` may help; after AssertionUnverified, `verify_assertion` comes first.
        """
        if not token.isascii():
            raise TokenRejected("malformed")
        if self._assertions is not None and is_assertion(token):
            return self._assertions.principal(token, now, exchanging)
        if len(token) > MAX_TOKEN:
            raise TokenRejected("too long")
        digest = sha256(token.encode("ascii")).digest()
        known = self._cache.pop(digest, None)
        trusted = known.trusted if known else self._issuer_of(token)
        if trusted.config.dev and not peer_is_loopback:
            raise TokenRejected("development token from another machine")
        keys = trusted.source.keys()
        if known is None or known.version != keys.version:
            principal = identify(token, trusted.config, keys)
            known = Verified(self._vouched(principal, trusted), trusted, keys.version, principal.claims)
        require_times(known.claims, trusted.config, now)
        if self._assertions is not None and trusted.config is OWN:
            self._assertions.require_standing(known.claims, now)
        self._cache[digest] = known
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return known.principal

    async def renew_keys(self, token: str) -> bool:
        """Fetch the keys of the issuer that `token` names; whether it was done, so that `verify` is worth asking again.

        It is not where they are in a file, or a fetch was too short ago. Raises TokenRejected.
        """
        if self._assertions is not None and is_assertion(token):
            return False
        cache = self._issuer_of(token).cache
        return cache is not None and await cache.renew()

    async def verify_assertion(self, token: str, now: float) -> None:
        """Verify what `verify` has raised AssertionUnverified for. Raises TokenRejected and KeysUnavailable."""
        if self._assertions is None:
            raise TokenRejected("malformed")
        await self._assertions.verify(token, now)

    async def exchange(self, token: str, now: float) -> Issued:
        """A token of the gateway's own for a SAML assertion, which is used up by it.

        Raises TokenRejected, where it is no assertion too, KeysUnavailable, AssertionUnverified and StoreUnavailable.
        """
        if self._assertions is None or not is_assertion(token):
            raise TokenRejected("not an assertion")
        return await self._assertions.exchange(token, now)

    def warm(self) -> None:
        """Begin to fetch the keys that are not held yet, or no longer fresh."""
        for trusted in self._trusted.values():
            if trusted.cache is not None:
                trusted.cache.warm()

    def _vouched(self, principal: Principal, trusted: Trusted) -> Principal:
        """Whom a token is about: of one of the gateway's own, who was vouched for by the assertion behind it."""
        if self._assertions is None or trusted.config is not OWN:
            return principal
        return self._assertions.vouched(principal.claims, principal.expires_at)

    def _issuer_of(self, token: str) -> Trusted:
        """Whom to ask: the token's own word, which `identify` then verifies."""
        _, claims = unverified(token)
        if "iss" not in claims:
            raise TokenRejected("missing claim")
        name = claims["iss"]
        if not isinstance(name, str) or name not in self._trusted:
            raise TokenRejected("unknown issuer")
        return self._trusted[name]


def assertions_of(issuers: Sequence[Issuer], state_dir: Path) -> Assertions | None:
    """What verifies the assertions of those that are SAML identity providers; None where none is. Raises SetupError."""
    providers = [issuer for issuer in issuers if issuer.saml is not None]
    if not providers:
        return None
    try:
        from lockgate.identity.assertions import Assertions
    except ModuleNotFoundError as error:
        raise SetupError(f"SAML needs {error.name}, which is not installed: pip install lockgate[saml]") from None
    return Assertions(providers, state_dir)


def is_assertion(token: str) -> bool:
    """Whether it is base64 of one piece: a compact JWT has dots (RFC 7515, 3.1)."""
    return "." not in token


def identify(token: str, issuer: Issuer, keys: KeySet) -> Principal:
    """The principal of a token whose signature, issuer, audience and subject hold. Its times are not looked at."""
    header, _ = unverified(token)
    algorithm = require_header(header, issuer)
    key = keys.select(header.get("kid"), algorithm)
    if key is None:
        raise UnknownKey
    try:
        claims = jwt.decode(
            token,
            key.public,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options={
                "require": ["exp", "iss", "aud", "sub"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError as error:
        reason = next((text for kind, text in REASONS.items() if isinstance(error, kind)), "malformed")
        raise TokenRejected(reason) from None
    if not claims["sub"]:
        raise TokenRejected("missing claim")
    return Principal(
        issuer=issuer.issuer,
        subject=claims["sub"],
        roles=roles_of(claims, issuer),
        expires_at=seconds(claims, "exp") + issuer.leeway,
        token_id=claims.get("jti"),
        claims=claims,
    )


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A compact token's header and claims, strictly read and not to be trusted."""
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenRejected("malformed")
    header, claims, _ = parts
    return members(decode_part(header)), members(decode_part(claims))


def decode_part(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))
    except (UnicodeError, Error):
        raise TokenRejected("malformed") from None


def members(part: bytes) -> dict[str, Any]:
    try:
        document = json.parse(part)
    except BodyUnreadable:
        raise TokenRejected("malformed") from None
    if not isinstance(document, dict):
        raise TokenRejected("malformed")
    return document


def require_header(header: Mapping[str, Any], issuer: Issuer) -> str:
    """The token's algorithm, once it is the issuer's own and the header asks for nothing else."""
    if not header.keys() <= HEADER:
        raise TokenRejected("header not accepted")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise TokenRejected("algorithm not allowed")
    if not isinstance(header.get("kid"), str | None):
        raise TokenRejected("malformed")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in TYPES:
        raise TokenRejected("type not accepted")
    return algorithm


def require_times(claims: Mapping[str, Any], issuer: Issuer, now: float) -> None:
    expires = seconds(claims, "exp")
    if now >= expires + issuer.leeway:
        raise TokenRejected("expired")
    for name in ("nbf", "iat"):
        if name in claims and seconds(claims, name) > now + issuer.leeway:
            raise TokenRejected("not yet valid")
    if issuer.max_ttl is not None and expires - seconds(claims, "iat") > issuer.max_ttl:
        raise TokenRejected("lifetime too long")


def seconds(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519, 2): a number, nothing that could pass for one."""
    if name not in claims:
        raise TokenRejected("missing claim")
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LATEST:
        raise TokenRejected("malformed")
    return float(value)


def roles_of(claims: Mapping[str, Any], issuer: Issuer) -> tuple[str, ...]:
    """The strings at the issuer's roles path, by our names, each once, in the order they stand."""
    found = [role for role in paths.find(issuer.roles, claims) if isinstance(role, str)]
    return tuple(dict.fromkeys(issuer.alias.get(role, role) for role in found))
