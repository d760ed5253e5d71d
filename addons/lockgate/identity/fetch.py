"""Documents that issuers publish, such as their keys: fetched over HTTPS, bounded in size and time."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx

from lockgate.errors import KeysUnavailable

MAX_DOCUMENT = 1024 * 1024  # bytes
HEADERS = {"Accept": "application/json, application/jwk-set+json", "Accept-Encoding": "identity"}


async def get(url: str, ca: Path | None, ends_at: float) -> bytes:
    """The document at `url`, had before `ends_at` (by the clock of the running loop) or not at all.

    Follows no redirect, takes no proxy or anything else from the environment, and trusts `ca` (PEM) where it is given,
    the public CAs otherwise. Raises KeysUnavailable, which quotes nothing of the answer.
    """
    left = max(ends_at - asyncio.get_running_loop().time(), 0.0)
    # httpcore leaves a socket open whose TLS handshake is cancelled: its own, shorter time limits come before ours.
    limits = httpx.Timeout(left, connect=left * 0.4)
    try:
        async with asyncio.timeout_at(ends_at):
            context = await asyncio.to_thread(trust, ca)
            async with (
                httpx.AsyncClient(verify=context, trust_env=False, follow_redirects=False, timeout=limits) as client,
                client.stream("GET", url, headers=HEADERS) as response,
            ):
                return await body(response)
    except (TimeoutError, httpx.TimeoutException):
        problem = "no whole answer in time"
    except httpx.ConnectError as error:
        problem = unconnected(error)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = f"the connection broke off ({type(error).__name__})"
    except Unusable as unusable:
        problem = str(unusable)
    raise KeysUnavailable(f"{url}: {problem}")


class Unusable(ValueError):
    """Raised for an answer that is no document, or a CA that cannot be read; says why."""


def trust(ca: Path | None) -> ssl.SSLContext:
    """Blocks: reads files."""
    if ca is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        why = "it is not PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise Unusable(f"its ca {ca} cannot be used: {why}") from None


async def body(response: httpx.Response) -> bytes:
    if response.status_code != httpx.codes.OK:
        raise Unusable(f"it answers {response.status_code}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unusable("its answer is encoded, though none was asked for")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MAX_DOCUMENT:
            raise Unusable(f"its answer is larger than {MAX_DOCUMENT} bytes")
    return bytes(content)


def unconnected(error: httpx.ConnectError) -> str:
    """Why no connection was made, as far as it is the operator's to mend."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate does not verify; name the CA with ca, where it is one of your own"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS as it should"
        cause = cause.__cause__ or cause.__context__
    return "it cannot be connected to"
