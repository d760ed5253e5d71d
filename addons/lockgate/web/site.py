"""The approvals API and page as a server: on the gateway's own event loop, at an address of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tornado import httpserver, netutil, web
from tornado.routing import URLSpec

from lockgate.approvals.desk import Desk
from lockgate.approvals.recent import Recent
from lockgate.errors import SetupError
from lockgate.limits import Attempts
from lockgate.model import Approvals as Config
from lockgate.model import Principal, SecretSource
from lockgate.web import api, base

FAILURES_A_SECOND, FAILURES_AT_ONCE = 1, 30  # tokens from one address that were not taken
FOLLOWERS, FOLLOWERS_OF_ONE = 200, 10
MAX_HEAD = 64 * 1024  # bytes
MAX_BODY = 64 * 1024  # bytes
SLOW = 20.0  # seconds for a body to come
IDLE = 60.0  # seconds without a request

Verify = Callable[[str, bool], Awaitable[Principal]]
"""Whom an approver's token identifies, given whether it came from this machine. Raises TokenRejected, KeysUnavailable,
RevocationsUnavailable."""


class Site:
    """`start` before, `close` after."""

    def __init__(
        self,
        desk: Desk,
        config: Callable[[], Config],
        verify: Verify,
        recent: Callable[[str, str], Sequence[Recent]],
        secret: Callable[[SecretSource], Awaitable[str]],
    ) -> None:
        """`config` is what the rules in force say; where to listen counts as it was at the start."""
        self.desk = desk
        self.config = config
        self.verify = verify
        self.recent = recent
        self.secret = secret
        self.attempts = Attempts(FAILURES_A_SECOND, FAILURES_AT_ONCE)
        self.closing = False
        self.hosts: frozenset[str] = frozenset()
        self._followers: Counter[tuple[str, str]] = Counter()
        self._server: httpserver.HTTPServer | None = None

    async def start(self) -> None:
        """Serve. Raises SetupError: the address or the certificate cannot be used."""
        config = self.config()
        if config.listen is None:
            return
        host, port = config.listen
        self.hosts = hosts_of(host, port, config.url)
        application = web.Application(
            [*self._handlers()],
            default_handler_class=base.NoPage,
            default_handler_args={"site": self},
            log_function=quiet,
        )
        self._server = httpserver.HTTPServer(
            application,
            ssl_options=context_of(*config.tls) if config.tls else None,
            max_header_size=MAX_HEAD,
            max_body_size=MAX_BODY,
            body_timeout=SLOW,
            idle_connection_timeout=IDLE,
        )
        try:
            sockets = netutil.bind_sockets(port, host)
        except OSError as error:
            raise SetupError(f"Approvals cannot listen on {host}:{port}: {error.strerror}.") from error
        self._server.add_sockets(sockets)

    async def close(self) -> None:
        """Take no more connections, and end those there are."""
        self.closing = True
        if self._server is not None:
            self._server.stop()
            async with asyncio.timeout(2):
                await self._server.close_all_connections()

    def follow(self, who: tuple[str, str]) -> bool:
        """Whether one more may follow what changes; `unfollow` must."""
        if self._followers.total() >= FOLLOWERS or self._followers[who] >= FOLLOWERS_OF_ONE:
            return False
        self._followers[who] += 1
        return True

    def unfollow(self, who: tuple[str, str]) -> None:
        self._followers[who] -= 1
        if not self._followers[who]:
            del self._followers[who]

    def _handlers(self) -> list[URLSpec]:
        own = {"site": self}
        return [
            URLSpec(r"/api/whoami", api.Whoami, own),
            URLSpec(r"/api/approvals", api.Approvals, own),
            URLSpec(r"/api/approvals/events", api.Events, own),
            URLSpec(r"/api/approvals/([A-Za-z0-9_-]{1,64})", api.One, own),
            URLSpec(r"/api/grants", api.Grants, own),
            URLSpec(r"/api/grants/([A-Za-z0-9_-]{1,64})", api.OneGrant, own),
        ]


def hosts_of(host: str, port: int, url: str) -> frozenset[str]:
    """What a Host header may say."""
    own = f"[{host}]" if ":" in host else host
    found = {f"{own}:{port}", urlsplit(url).netloc.lower()}
    if host in ("127.0.0.1", "::1"):
        found.add(f"localhost:{port}")
    return frozenset(found)


def context_of(cert: Path, key: Path) -> ssl.SSLContext:
    """Raises SetupError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or "they do not belong together"
        raise SetupError(f"The approvals page cannot use {cert} with {key}: {why}.") from error
    return context


def quiet(handler: web.RequestHandler) -> None:
    """No line for each request: what is asked for is in nobody's log."""
