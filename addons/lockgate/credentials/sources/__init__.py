"""Where secrets come from: one kind of source a file. Those that cost a process or a network are used for a while."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import partial

from lockgate.credentials.cache import Cache, Fetched
from lockgate.credentials.sources import env, exec, file, keyring, vault  # noqa: A004 - a source is named as in the rules
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource

MIN_LENGTH = 8  # characters: a shorter one could not be told from ordinary text where a target echoes it
MAX_LENGTH = 8 * 1024

# What a secret is made of, by its form, and what is wrong with one that is not.
FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    # Fits every header and URL.
    "token": (re.compile(r"[!-~]+"), "has a space, a control character or one outside ASCII"),
    # RFC 6749, appendix A: VSCHAR.
    "text": (re.compile(r"[ -~]+"), "has a control character or one outside ASCII"),
    "pem": (re.compile(r"-----BEGIN [A-Z0-9 ]+-----\r?\n[\r\n -~]+"), "is not PEM: lines from -----BEGIN to -----END"),
}


class Secrets:
    """Reads secrets. What it keeps of those that are fetched lies in `cache`, by all that their source says."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def read(self, source: SecretSource) -> str:
        """The secret at `source`: of its form, 8 to 8,192 characters.

        `env` and `file` are read now, and `env` without waiting. Raises SecretUnavailable, which names the source and
        never the value.
        """
        if source.kind == "env":
            return checked(source, env.read(source.name))
        if source.kind == "file":  # may lie on a disk that is slow or gone
            return checked(source, await asyncio.to_thread(file.read, source.name))
        return (await self._cache.get(source, partial(self._fetch, source))).value

    async def _fetch(self, source: SecretSource) -> Fetched:
        if source.kind == "exec":
            secret = await exec.read(source.name)
        elif source.kind == "keyring":
            secret = await keyring.read(source.name)
        else:
            if source.vault is None:
                raise SecretUnavailable(f"{source}: no Vault is named to read it from")
            secret = await vault.read(source.vault, await self.read(source.vault.token), source.name)
        return Fetched(checked(source, secret), source.lifetime)


def checked(source: SecretSource, secret: str) -> str:
    """`secret`, if it may be used. Raises SecretUnavailable."""
    pattern, otherwise = FORMS[source.form]
    problem = None
    if not secret:
        problem = "is empty"
    elif not pattern.fullmatch(secret):
        problem = otherwise
    elif len(secret) < MIN_LENGTH:
        problem = f"is shorter than {MIN_LENGTH} characters, too short to be found and removed where a target echoes it"
    elif len(secret) > MAX_LENGTH:
        problem = f"is longer than {MAX_LENGTH} characters"
    if problem:
        raise SecretUnavailable(f"{source}: the secret {problem}")
    return secret
