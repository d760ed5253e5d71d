"""What the gateway asks other services on its own account, for secrets and tokens: bounded, and sent nowhere else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx

from lockgate.errors import SecretUnavailable
from lockgate.model import Sensitive

TIMEOUT = 10.0  # seconds, for all of it
MAX_ANSWER = 256 * 1024  # bytes


class Reply(Sensitive):
    """An answer, in which secrets may be."""

    __slots__ = ("body", "content_type", "status")

    def __init__(self, status: int, content_type: str | None, body: bytes) -> None:
        self.status = status
        self.content_type = content_type
        self.body = body


async def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None = None,
    ca: Path | None = None,
) -> Reply:
    """The answer to one request, with the fields of `form` as its body where there are some.

    Follows no redirect, takes no proxy or anything else from the environment, and trusts `ca` (PEM) where it is given,
    the public CAs otherwise. Raises SecretUnavailable, which says nothing of what went over the wire.
    """
    fixed = {"Accept": "application/json", "Accept-Encoding": "identity"}
    # httpcore leaves a socket open whose TLS handshake is cancelled: its own, shorter time limits come before ours.
    limits = httpx.Timeout(TIMEOUT, connect=TIMEOUT * 0.4)
    try:
        context = await asyncio.to_thread(trust, ca)
        async with (
            asyncio.timeout(TIMEOUT),
            httpx.AsyncClient(verify=context, trust_env=False, follow_redirects=False, timeout=limits) as client,
            client.stream(method, url, headers={**fixed, **headers}, data=form) as response,
        ):
            return Reply(response.status_code, response.headers.get("content-type"), await body(response))
    except (TimeoutError, httpx.TimeoutException):
        raise SecretUnavailable(f"no answer after {TIMEOUT:g} seconds") from None
    except httpx.ConnectError as error:
        raise SecretUnavailable(refused(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SecretUnavailable(f"the connection broke off ({type(error).__name__})") from None


def trust(ca: Path | None) -> ssl.SSLContext:
    """Blocks: reads files. Raises SecretUnavailable."""
    if ca is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise SecretUnavailable(f"its ca {ca} cannot be used: {error.strerror or 'not PEM'}") from None


async def body(response: httpx.Response) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise SecretUnavailable("its answer is encoded, though none was asked for")
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MAX_ANSWER:
            raise SecretUnavailable(f"its answer is larger than {MAX_ANSWER} bytes")
    return content


def refused(error: httpx.ConnectError) -> str:
    """Why no connection was made, as far as it is the operator's to mend."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate does not verify; name the CA with ca, where it is one of your own"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS as it should"
        cause = cause.__cause__ or cause.__context__
    return "it cannot be connected to"
