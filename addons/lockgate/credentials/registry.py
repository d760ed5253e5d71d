"""From an entry of `credentials.yaml` to the credential itself, for a host it is meant for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from lockgate.credentials import oauth2, signed_jwt
from lockgate.credentials.aws import aws
from lockgate.credentials.basic import basic
from lockgate.credentials.bearer import bearer
from lockgate.credentials.cache import Cache
from lockgate.credentials.client_cert import ClientCertificate, client_cert, read_chain
from lockgate.credentials.credential import Credential, Signer
from lockgate.credentials.header import header
from lockgate.credentials.hmac import hmac
from lockgate.credentials.query import query
from lockgate.credentials.refresh_tokens import RefreshTokens
from lockgate.credentials.sources import Secrets
from lockgate.errors import SecretUnavailable
from lockgate.model import AwsKeys, CertificateFiles, CredentialSpec, HmacKey, OAuth2, SecretSource, SignedJwt, Target

Made = Credential | Signer | ClientCertificate
Source = SecretSource | OAuth2 | SignedJwt | AwsKeys | HmacKey | CertificateFiles

# Each makes what it is named for of an entry and the secrets of its source, in their order.
KINDS: Mapping[str, Callable[..., Made]] = {
    "bearer": bearer,
    "basic": basic,
    "header": header,
    "query": query,
    "aws": aws,
    "hmac": hmac,
    "client_cert": client_cert,
}
# Their libraries take most of a second to import: not on the event loop.
SLOW = frozenset({"aws"})

log = logging.getLogger(__name__)


class Credentials:
    """The gateway's credentials, as they are now. For one event loop."""

    def __init__(self, state: Path, key: bytes) -> None:
        """`state` is where refresh tokens are kept, `key` that of digests."""
        self._cache = Cache()
        self._secrets = Secrets(self._cache)
        self._refresh_tokens = RefreshTokens(state, key)
        self._made: dict[str, tuple[CredentialSpec, tuple[str, ...], Made]] = {}
        self._failing: dict[str, str] = {}

    async def get(self, spec: CredentialSpec, target: Target) -> Credential | Signer:
        """The credential of `spec` for `target`. It stays what it is, and is the same one while its secrets are.

        Does not wait for what is in the environment. Raises SecretUnavailable where the target's host is none of the
        entry's hosts or a secret cannot be had; why is logged, once for as long as it stays so.
        """
        credential = await self._noted(spec, target)
        if isinstance(credential, ClientCertificate):
            raise SecretUnavailable("a client certificate goes into no request")
        return credential

    async def secret(self, source: SecretSource) -> str:
        """A secret that is no target's credential. Raises SecretUnavailable."""
        return await self._secrets.read(source)

    async def certificate(self, spec: CredentialSpec, target: Target) -> ClientCertificate:
        """The client certificate of `spec` for `target`: the same object for as long as its files stay the same.

        Raises SecretUnavailable as `get` does.
        """
        certificate = await self._noted(spec, target)
        if not isinstance(certificate, ClientCertificate):
            raise SecretUnavailable("not a client certificate")
        return certificate

    async def _noted(self, spec: CredentialSpec, target: Target) -> Made:
        try:
            credential = await self._get(spec, target.host)
        except SecretUnavailable as error:
            if self._failing.get(spec.name) != str(error):
                log.error("Credential %s: %s.", spec.name, error)  # noqa: TRY400 - nothing to trace
            self._failing[spec.name] = str(error)
            raise
        self._failing.pop(spec.name, None)
        return credential

    async def _get(self, spec: CredentialSpec, host: str) -> Made:
        if host.lower() not in {allowed.lower() for allowed in spec.hosts}:
            raise SecretUnavailable(f"not for the host {host}")
        secrets = await self._secrets_of(spec.source)
        # To look for echoes of a long secret is costly to prepare: that is done once for each.
        made = self._made.get(spec.name)
        if made is None or made[:2] != (spec, secrets):
            make = partial(KINDS[spec.kind], spec, *secrets)
            made = spec, secrets, await asyncio.to_thread(make) if spec.kind in SLOW else make()
            self._made[spec.name] = made
        return made[2]

    async def _secrets_of(self, source: Source) -> tuple[str, ...]:
        """All that a kind needs. Of a token: the token, then the secrets that it was obtained with."""
        if isinstance(source, SecretSource):
            return (await self._secrets.read(source),)
        if isinstance(source, AwsKeys | HmacKey):
            return tuple([await self._secrets.read(each) for each in source.secrets])
        if isinstance(source, CertificateFiles):
            return await self._secrets.read(source.key), await asyncio.to_thread(read_chain, source.cert)
        return await self._token(source)

    async def _token(self, source: OAuth2 | SignedJwt) -> tuple[str, ...]:
        now = time.time()
        if isinstance(source, OAuth2):
            fetch = partial(oauth2.fetch, source, self._secrets, self._refresh_tokens, now)
        else:
            fetch = partial(signed_jwt.fetch, source, self._secrets, now)
        fetched = await self._cache.get(source, fetch)
        return (fetched.value, *fetched.beside)
