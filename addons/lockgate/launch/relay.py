"""A proxy on loopback between an agent's process and the gateway: it adds the token, so that the process has none.

The process gets a password that opens this relay alone. A tunnel keeps the token of its CONNECT (the gateway holds it
to that). The gateway closes one that is used in its token's last half minute; one that lies unused is closed here, and
the client opens another. A stream that pauses for less than that goes on.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lockgate.errors import SecretUnavailable

MAX_HEAD = 64 * 1024  # bytes
HEAD_TIME = 10.0  # seconds for a head to arrive
MAX_STRANGERS = 256  # connections that have not shown the password: of agents too, which open many at once
CONNECT_TIME = 10.0  # seconds to reach the gateway
CHUNK = 64 * 1024
BEFORE_END = 60.0  # seconds before its token ends that an idle tunnel is closed; half the rest of a shorter life
QUIET = 20.0  # seconds without a byte after the gateway spoke last: then, most likely, nothing is under way
LOOK = 0.5  # seconds between looks at it
REPLACED = (b"proxy-authorization", b"proxy-connection")


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and when it ends (seconds since the epoch)."""

    value: str
    expires_at: float

    def __repr__(self) -> str:
        return f"<Token until {self.expires_at:.0f}>"


class Unreadable(Exception):
    """What came is no request that a proxy gets."""


class Relay:
    """Started once, for one event loop."""

    def __init__(self, gateway: tuple[str, int], token: Callable[[], Awaitable[Token]], password: str) -> None:
        """`gateway` is its host and port, `token` gives the one to use now or raises SecretUnavailable, `password` is
        what the agent's process must show.
        """
        self._gateway = gateway
        self._token = token
        self._expected = b"Basic " + b64encode(f"agent:{password}".encode())
        self._open: set[asyncio.StreamWriter] = set()
        self._strangers: dict[asyncio.StreamWriter, None] = {}  # the oldest first
        self.report: Callable[[str], None] = lambda _: None  # is told what an operator should know

    async def start(self) -> int:
        """Listen on a free port of loopback; return it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_HEAD)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening, and cut what is open."""
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self._take_in(writer)
        try:
            await self._relay(reader, writer)
        except (OSError, EOFError, TimeoutError):
            pass  # one side is gone, or never came to the point: there is nobody to tell
        except Unreadable as error:
            await answer(writer, 400, "Bad Request", str(error))
        finally:
            self._open.discard(writer)
            self._strangers.pop(writer, None)
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    def _take_in(self, writer: asyncio.StreamWriter) -> None:
        """One too many takes the place of the oldest: the agent's process shows its password at once."""
        if len(self._strangers) >= MAX_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.transport.abort()
        self._strangers[writer] = None

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_TIME):
            line, fields = parse(await read_head(reader))
        if not self._is_agent(fields):
            await answer(writer, 407, "Proxy Authentication Required", "This relay is another process's.")
            return
        self._strangers.pop(writer, None)
        try:
            token = await self._token()
        except SecretUnavailable as error:
            self.report(f"No token: {error}.")
            await answer(writer, 503, "Service Unavailable", "The agent's token cannot be had. Tell the operator.")
            return
        try:
            async with asyncio.timeout(CONNECT_TIME):
                to_gateway = await asyncio.open_connection(*self._gateway, limit=CHUNK)
        except (OSError, TimeoutError):
            self.report("The gateway at {}:{} cannot be reached.".format(*self._gateway))
            await answer(writer, 503, "Service Unavailable", "The gateway cannot be reached. Tell the operator.")
            return
        self._open.add(to_gateway[1])
        try:
            to_gateway[1].write(head_with_token(line, fields, token.value))
            await splice((reader, writer), to_gateway, token.expires_at)
        finally:
            self._open.discard(to_gateway[1])
            to_gateway[1].close()

    def _is_agent(self, fields: Sequence[bytes]) -> bool:
        shown = [
            value.strip()
            for name, _, value in (field.partition(b":") for field in fields)
            if name.lower() == REPLACED[0]
        ]
        return len(shown) == 1 and hmac.compare_digest(shown[0], self._expected)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise Unreadable(f"The head of a request may have {MAX_HEAD} bytes.") from None


def parse(head: bytes) -> tuple[bytes, list[bytes]]:
    """The request line and the header lines, not looked into further: the gateway reads them strictly."""
    line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if len(line.split(b" ")) != 3:
        raise Unreadable("That is no HTTP request.")
    return line, fields


def head_with_token(line: bytes, fields: Sequence[bytes], token: str) -> bytes:
    """The head as it goes to the gateway. A plain request is the only one of its connection: the next needs a token of
    its own.
    """
    dropped = REPLACED if line.startswith(b"CONNECT ") else (*REPLACED, b"connection", b"keep-alive")
    kept = [field for field in fields if field.partition(b":")[0].lower() not in dropped]
    added = [b"Proxy-Authorization: Bearer " + token.encode("ascii")]
    if dropped is not REPLACED:
        added.append(b"Connection: close")
    return b"\r\n".join([line, *kept, *added]) + b"\r\n\r\n"


async def answer(writer: asyncio.StreamWriter, status: int, title: str, detail: str) -> None:
    """A refusal of the relay's own, as the gateway's are (RFC 9457), and the end of the connection."""
    body = json.dumps({"status": status, "title": title, "detail": detail}).encode()
    head = [
        f"HTTP/1.1 {status} {title}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if status == 407:
        head.append('Proxy-Authenticate: Basic realm="lockgate run"')
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    with suppress(OSError):
        await writer.drain()


@dataclass(slots=True)
class Traffic:
    """Who spoke last in a tunnel, and when (monotonic seconds)."""

    gateway_last: bool = False
    at: float = 0.0


async def splice(
    agent: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    gateway: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    expires_at: float,
) -> None:
    """Pass bytes both ways, until both sides have ended, one is cut, or the token ends and nothing is under way."""
    traffic = Traffic(at=time.monotonic())
    copies = asyncio.gather(
        copy(agent[0], gateway[1], traffic, from_gateway=False), copy(gateway[0], agent[1], traffic, from_gateway=True)
    )
    watch = asyncio.create_task(idle_at_end(traffic, expires_at))
    try:
        await asyncio.wait((copies, watch), return_when=asyncio.FIRST_COMPLETED)
        if copies.done():
            await copies
    finally:
        for task in (copies, watch):
            task.cancel()
        await asyncio.gather(copies, watch, return_exceptions=True)


async def copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, traffic: Traffic, *, from_gateway: bool
) -> None:
    while data := await reader.read(CHUNK):
        traffic.gateway_last, traffic.at = from_gateway, time.monotonic()
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def idle_at_end(traffic: Traffic, expires_at: float) -> None:
    """Return when the token is about to end and the gateway has answered whatever was asked."""
    rest = expires_at - time.time()
    await asyncio.sleep(max(0.0, rest - min(BEFORE_END, rest / 2)))
    while not (traffic.gateway_last and time.monotonic() - traffic.at >= QUIET):  # noqa: ASYNC110 - silence is no event
        await asyncio.sleep(LOOK)
