"""The token that an agent's process calls with: where it comes from, and kept fresh for as long as the process runs."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from lockgate.credentials import oauth2
from lockgate.credentials.cache import Cache, Fetched
from lockgate.credentials.sources import Secrets
from lockgate.credentials.sources.exec import printed
from lockgate.credentials.token_endpoint import grant
from lockgate.errors import LockgateError, SecretUnavailable, TokenRejected
from lockgate.identity import jwt
from lockgate.launch.relay import Token
from lockgate.model import OAuth2

COMMAND_TIME = 60.0  # seconds: some ask a person
MAX_TOKEN = 16 * 1024  # characters
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")

Source = Callable[[], Awaitable[str]]


class Tokens:
    """One agent's token: fetched when there is none, fetched anew before it ends. For one event loop."""

    def __init__(self, source: Source) -> None:
        """`source` gives a fresh token, or raises SecretUnavailable."""
        self._source = source
        self._cache = Cache()

    async def current(self) -> Token:
        """The token to use now. Raises SecretUnavailable."""
        held = await self._cache.get("the token", self._fetch)
        return Token(held.value, ends(held.value))

    async def _fetch(self) -> Fetched:
        value = await self._source()
        left = ends(value) - time.time()
        if left <= 0:
            raise SecretUnavailable("the token had expired before it was used")
        return Fetched(value, left)


def ends(token: str) -> float:
    """When a token says it ends, in seconds since the epoch. Only the gateway verifies it. Raises SecretUnavailable."""
    try:
        return jwt.seconds(jwt.unverified(token)[1], "exp")
    except TokenRejected:
        raise SecretUnavailable("the token is no JSON Web Token that says when it ends (exp)") from None


def checked(text: str) -> str:
    """What a file or command gave, as a token. Raises SecretUnavailable, without the text."""
    token = text.strip()
    if not token:
        raise SecretUnavailable("it gives nothing")
    if len(token) > MAX_TOKEN or not TOKEN.fullmatch(token):
        raise SecretUnavailable("what it gives is no token: one line, nothing else")
    return token


async def from_file(path: Path) -> str:
    """The token in a file that somebody else keeps fresh, such as Kubernetes' projected ones."""
    try:
        text = await asyncio.to_thread(beginning, path)
    except OSError as error:
        raise SecretUnavailable(f"{path}: {error.strerror}") from None
    except UnicodeError:
        raise SecretUnavailable(f"{path}: what it gives is no token") from None
    return said_of(str(path), text)


def beginning(path: Path) -> str:
    """What a token may take of a regular file; a named pipe would be waited for."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        return file.read(MAX_TOKEN + 2).decode("ascii")


async def from_command(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The token that a command prints. What it prints as errors goes to ours, so that it can ask somebody to log in."""
    try:
        text = await printed(command, environment, COMMAND_TIME)
    except SecretUnavailable as error:
        raise SecretUnavailable(f"{command[0]}: {error}") from None
    return said_of(command[0], text)


def said_of(source: str, text: str) -> str:
    try:
        return checked(text)
    except SecretUnavailable as error:
        raise SecretUnavailable(f"{source}: {error}") from None


async def by_client_credentials(spec: OAuth2) -> str:
    """RFC 6749, 4.4."""
    form, headers, _ = await oauth2.client(spec, Secrets(Cache()), time.time())
    asked = {
        "grant_type": "client_credentials",
        "scope": spec.scope,
        "audience": spec.audience,
        "resource": spec.resource,
    }
    try:
        granted = await grant(
            spec.token_url, form | {key: value for key, value in asked.items() if value}, headers, spec.ca
        )
    except SecretUnavailable as error:
        raise SecretUnavailable(f"{spec}: {error}") from None
    return granted.access_token


async def minted(mint: Callable[[], str]) -> str:
    """A token of the development issuer, whose key lies on this machine."""
    try:
        return await asyncio.to_thread(mint)
    except LockgateError as error:
        raise SecretUnavailable(str(error)) from None
