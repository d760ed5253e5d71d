"""The gateway's HTTP interfaces, asked from the command line: bounded in time and size, and nothing sent elsewhere.

Follows no redirect and takes nothing from the environment but what is said here. What it raises is the operator's to
read: one line each, in which nothing that came over the wire moves the cursor, and no token stands.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import httpx

from lockgate.bodies import sse
from lockgate.bodies.content_type import media_type
from lockgate.bodies.json import parse
from lockgate.bodies.visible import visible
from lockgate.errors import BodyTooLarge, BodyUnreadable, SecretUnavailable, Unanswered
from lockgate.outbound import trust, unconnected
from lockgate.policy.schema.addresses import is_loopback

WITHIN = 30.0  # seconds that one answer may take
SILENCE = 10.0  # seconds that its sender may be silent
QUIET = 40.0  # seconds that a stream of events may be: the gateway sends something every 15
LARGEST = 32 * 1024 * 1024  # bytes of an answer
LARGEST_EVENT = 4 * 1024 * 1024  # bytes
MOST_TOLD = 500  # characters of what an answer says is wrong

PROBLEM = "application/problem+json"
HOST = re.compile(r"[A-Za-z0-9._:-]+")
NEW_TOKEN = "get a new one, and set LOCKGATE_TOKEN or give --token-file"


class NotDone(click.ClickException):
    """Raised when the gateway says no: `status` is its answer's, the message is what it says, harmless."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Lost(click.ClickException):
    """Raised when there is no connection, or none any more: another one may do."""


class Client:
    """One origin of a gateway. `url` is scheme, host and port; `token` goes to it as Bearer, where one is given."""

    def __init__(
        self, url: str, token: str | None, ca: Path | None, *, else_see: str, proxy: httpx.Proxy | None = None
    ) -> None:
        """Through `proxy`, where one is given. `else_see` is what to look at where something else answers there.

        Raises ClickException for a `ca` that cannot be used.
        """
        self.url = url
        self._else_see = else_see
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            context = trust(ca) if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        except Unanswered as error:
            raise click.ClickException(str(error)) from None
        self._http = httpx.Client(
            headers=headers, verify=context, proxy=proxy, trust_env=False, follow_redirects=False, timeout=SILENCE
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> Any:
        """The answer's JSON document. `path` has its parts quoted.

        Raises NotDone, Lost, ClickException.
        """
        ends_at = time.monotonic() + WITHIN
        with self._broken(), self._http.stream(method, self.url + path, params=query, json=document) as response:
            content = bytearray()
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > LARGEST:
                    raise click.ClickException(f"{self.url}: its answer is larger than {LARGEST} bytes")
                if time.monotonic() > ends_at:
                    raise Lost(f"{self.url}: no whole answer within {WITHIN:g} seconds")
        self._require_fine(response, bytes(content))
        try:
            return parse(bytes(content))
        except BodyUnreadable:
            raise click.ClickException(self._stranger()) from None

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[sse.Event]]:
        """A stream of server-sent events, from now on until it breaks off: then the iterator raises Lost.

        Raises NotDone, Lost, ClickException.
        """
        limits = httpx.Timeout(SILENCE, read=QUIET)
        with (
            self._broken(),
            self._http.stream(
                "GET", self.url + path, headers={"Accept": "text/event-stream"}, timeout=limits
            ) as response,
        ):
            if response.status_code != HTTPStatus.OK or not sse.is_sse(response.headers.get("content-type")):
                self._require_fine(response, next(response.iter_raw(MOST_TOLD * 8), b""))
                raise click.ClickException(self._stranger())
            yield self._parsed(response)

    def _parsed(self, response: httpx.Response) -> Iterator[sse.Event]:
        parser = sse.Parser(LARGEST_EVENT)
        for chunk in response.iter_raw():
            yield from parser.feed(chunk)
        raise Lost(f"{self.url}: the connection has ended")

    def _require_fine(self, response: httpx.Response, content: bytes) -> None:
        """Raises NotDone, ClickException unless it is the answer that was asked for."""
        status = response.status_code
        if response.is_success:
            return
        if response.is_redirect:
            raise click.ClickException(f"{self.url}: it redirects, and is not followed: name the gateway itself")
        if status == HTTPStatus.UNAUTHORIZED:
            why = told(content).partition(". ")[0] or "the token is not taken"
            raise NotDone(status, f"{self.url}: {why}; {NEW_TOKEN}")
        if status == HTTPStatus.NOT_FOUND and media_type(response.headers.get("content-type")) != PROBLEM:
            raise NotDone(status, self._stranger())
        raise NotDone(status, told(content) or f"{self.url}: it answers {status}")

    def _stranger(self) -> str:
        return f"{self.url}: what answers there is not the gateway's approvals; see {self._else_see}"

    @contextmanager
    def _broken(self) -> Iterator[None]:
        """Raises Lost, ClickException for what befalls a connection."""
        try:
            yield
        except httpx.ConnectError as error:
            why = unconnected(error)
            if is_tls(error):
                raise click.ClickException(f"{self.url}: {why.replace('with ca', 'with --ca')}") from None
            raise Lost(f"{self.url}: {why}; is the gateway running?") from None
        except httpx.ProxyError as error:
            why = visible(str(error))[:MOST_TOLD]
            hint = "; the token in HTTPS_PROXY is not taken" if why.startswith("407") else ""
            raise click.ClickException(f"the proxy does not let it through: {why}{hint}") from None
        except httpx.TimeoutException:
            raise Lost(f"{self.url}: no answer in time") from None
        except (BodyTooLarge, BodyUnreadable):
            raise click.ClickException(self._stranger()) from None
        except httpx.HTTPError as error:
            raise Lost(f"{self.url}: the connection broke off ({type(error).__name__})") from None


def told(content: bytes) -> str:
    """What a problem says of itself (RFC 9457), in one harmless line; empty where it says nothing."""
    try:
        problem = parse(content)
    except BodyUnreadable:
        return ""
    if not isinstance(problem, dict):
        return ""
    text = problem.get("detail") or problem.get("title")
    if not isinstance(text, str):
        return ""
    shown = visible(text).rstrip(".")
    return shown if len(shown) <= MOST_TOLD else f"{shown[:MOST_TOLD]}…"


def is_tls(error: BaseException) -> bool:
    """Whether TLS is why no connection was made."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def origin(url: str, name: str) -> str:
    """A gateway's URL, as given by `name`, without what follows the port. Raises UsageError; never quotes it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname or ""
    more = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in ("http", "https") or more or not HOST.fullmatch(host):
        raise click.UsageError(f"{name} is no address of a gateway: write scheme, host and port only")
    if parts.scheme == "http" and not is_loopback(host):
        raise click.UsageError(f"{name} would send the token over the network in the clear: write https://")
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}" + ("" if port is None else f":{port}")


def bearer(token_file: Path | None) -> str:
    """The token in `token_file` or, without one, in LOCKGATE_TOKEN. Raises UsageError, without the token."""
    from lockgate.launch.tokens import beginning, checked

    where = str(token_file) if token_file else "LOCKGATE_TOKEN"
    try:
        text = beginning(token_file) if token_file else os.environ.get("LOCKGATE_TOKEN", "")
        if not token_file and not text:
            raise click.UsageError("who decides? set LOCKGATE_TOKEN to your token, or give --token-file")
        return checked(text)
    except SecretUnavailable as error:
        raise click.UsageError(f"{where}: {error}") from None
    except OSError as error:
        raise click.UsageError(f"{where}: {error.strerror}") from None
    except UnicodeError:
        raise click.UsageError(f"{where}: what it gives is no token") from None


def authorities(ca: Path | None) -> Path | None:
    """The CAs to trust: what --ca names or, without it, SSL_CERT_FILE; None for the public ones."""
    named = os.environ.get("SSL_CERT_FILE")
    return ca or (Path(named) if named else None)


def dump(document: Any) -> None:
    """A document that came over the wire, for programs; harmless on a terminal too."""
    click.echo(json.dumps(document, indent=2))
