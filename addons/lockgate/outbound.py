"""What the gateway asks other services on its own account, issuers and token endpoints among them: bounded in size and
time, and sent nowhere else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx

from lockgate.errors import Unanswered
from lockgate.model import Sensitive


class Reply(Sensitive):
    """An answer, in which secrets may be. `retry_after` is the field as it came (RFC 9110, 10.2.3)."""

    __slots__ = ("body", "content_type", "retry_after", "status")

    def __init__(self, status: int, content_type: str | None, body: bytes, retry_after: str | None = None) -> None:
        self.status = status
        self.content_type = content_type
        self.body = body
        self.retry_after = retry_after


async def ask(
    method: str,
    url: str,
    *,
    ends_at: float,
    largest: int,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None = None,
    content: bytes | None = None,
    ca: Path | None = None,
) -> Reply:
    """The whole answer to one request, had before `ends_at` (by the clock of the running loop) or not at all.

    `form` are the fields of its body, `content` is the body where it is no form; `largest` is how many bytes an
    answer's body may have; where it is 0 the body is not read at all.
    Follows no redirect, takes no proxy or anything else from the environment, and trusts `ca` (PEM) where it is given,
    the public CAs otherwise. Raises Unanswered, which quotes nothing that went over the wire.
    """
    left = max(ends_at - asyncio.get_running_loop().time(), 0.0)
    # httpcore leaves a socket open whose TLS handshake is cancelled: its own, shorter time limits come before ours.
    limits = httpx.Timeout(left, connect=left * 0.4)
    try:
        async with asyncio.timeout_at(ends_at):
            context = await asyncio.to_thread(trust, ca)
            async with (
                httpx.AsyncClient(verify=context, trust_env=False, follow_redirects=False, timeout=limits) as client,
                client.stream(
                    method, url, headers={"Accept-Encoding": "identity", **headers}, data=form, content=content
                ) as response,
            ):
                content_type, retry_after = (response.headers.get(name) for name in ("content-type", "retry-after"))
                answer = await body(response, largest) if largest else b""
                return Reply(response.status_code, content_type, answer, retry_after)
    except (TimeoutError, httpx.TimeoutException):
        raise Unanswered("no whole answer in time") from None
    except httpx.ConnectError as error:
        raise Unanswered(unconnected(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unanswered(f"the connection broke off ({type(error).__name__})") from None


def trust(ca: Path | None) -> ssl.SSLContext:
    """Blocks: reads files. Raises Unanswered."""
    if ca is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        why = "it is not PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise Unanswered(f"its ca {ca} cannot be used: {why}") from None


async def body(response: httpx.Response, largest: int) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unanswered("its answer is encoded, though none was asked for")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > largest:
            raise Unanswered(f"its answer is larger than {largest} bytes")
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
