"""Refresh tokens that took the place of an earlier one (RFC 6749, 6): kept, since the earlier one may be void by now.

What an operator put at a credential's source counts until a token endpoint answers with another; that one is written to
the state directory before anything is done with the answer, so that it is still known after a restart. A new one at the
source counts again.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from hashlib import sha256
from pathlib import Path

from lockgate import state
from lockgate.errors import SecretUnavailable
from lockgate.model import OAuth2, Sensitive

log = logging.getLogger(__name__)


class Successor(Sensitive):
    """The latest refresh token, and a keyed digest of the one at the source that it goes back to."""

    __slots__ = ("origin", "token")

    def __init__(self, origin: str, token: str) -> None:
        self.origin = origin
        self.token = token


class RefreshTokens:
    """Those of every credential, in files of their own in `directory`; `key` is for digests."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._directory = directory
        self._key = key
        self._known: dict[Path, Successor] = {}

    async def current(self, spec: OAuth2, original: str) -> str:
        """The token to use, where `original` is the one at the source. Raises SecretUnavailable."""
        path = self._path(spec)
        known = self._known.get(path) or await asyncio.to_thread(read, path)
        return known.token if known and hmac.compare_digest(known.origin, self._digest(original)) else original

    async def keep(self, spec: OAuth2, original: str, token: str) -> None:
        """Use `token` from now on. Where it cannot be written it counts until the gateway ends, which is logged."""
        path = self._path(spec)
        successor = self._known[path] = Successor(self._digest(original), token)
        content = json.dumps({"origin": successor.origin, "token": successor.token}).encode("ascii")
        try:
            await asyncio.to_thread(state.replace, path, content)
        except OSError as error:
            log.error(  # noqa: TRY400 - nothing to trace
                "%s: its new refresh token cannot be kept (%s), and is lost when the gateway ends.",
                spec,
                error.strerror,
            )

    def _path(self, spec: OAuth2) -> Path:
        """One file for each source of a refresh token, whatever else its entry says."""
        identity = "\n".join([spec.token_url, spec.client_id, str(spec.refresh_token)])
        return self._directory / f"refresh-{sha256(identity.encode()).hexdigest()[:32]}.json"

    def _digest(self, token: str) -> str:
        return hmac.digest(self._key, token.encode("ascii"), "sha256").hex()


def read(path: Path) -> Successor | None:
    """What is kept at `path`, None where nothing is. Raises SecretUnavailable."""
    try:
        content, _ = state.read(path)
        document = json.loads(content)
        return Successor(str(document["origin"]), str(document["token"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretUnavailable(f"the refresh token in {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise SecretUnavailable(f"{path} holds no refresh token; delete it, and the source's counts again") from None
