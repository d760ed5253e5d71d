"""The approvals API and the approvals page, put together and served inside the gateway's process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tornado.web import Application

from lockgate.approvals.desk import Desk
from lockgate.approvals.recent import Recent
from lockgate.model import Approvals, Issuer, SecretSource
from lockgate.web import api, pages
from lockgate.web.server import Server, serve
from lockgate.web.services import Services, Verify
from lockgate.web.sign_in import SignIns

AT_MOST = 2.0  # seconds for connections to end
TEMPLATES = Path(__file__).with_name("templates")


class Site:
    """For one event loop."""

    def __init__(
        self,
        desk: Desk,
        config: Callable[[], Approvals],
        verify: Verify,
        recent: Callable[[str, str], Sequence[Recent]],
        secret: Callable[[SecretSource], Awaitable[str]],
        issuers: Callable[[], Sequence[Issuer]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`config` and `issuers` are what the rules in force say, asked each time; `listen`, `url` and
        `tls` count as they are at `start`.

        `verify` says whom an approver's token identifies, given whether it comes from this machine: it raises
        TokenRejected, KeysUnavailable, RevocationsUnavailable. `recent` are the last decisions about an issuer's
        subject, `secret` is what a source has, for the client that the page is at the OpenID provider: it raises
        SecretUnavailable.
        """
        self._services = Services(desk, config, verify, recent, SignIns(config, issuers, secret, clock), clock)
        self._server: Server | None = None

    async def start(self) -> None:
        """Serve, where the rules say that anybody decides. Raises SetupError: the address or the certificate cannot be
        used.
        """
        started, current = self._services.config(), self._services.config
        if started.listen is None:
            return
        self._services.config = lambda: replace(current(), listen=started.listen, url=started.url, tls=started.tls)
        self._server = serve(application(self._services), started)

    async def close(self) -> None:
        """Break off whatever is open."""
        if self._server is not None:
            self._server.stop()
            await asyncio.wait([asyncio.create_task(self._server.close_all_connections())], timeout=AT_MOST)


def application(services: Services) -> Application:
    made = {"services": services}
    return Application(
        [(pattern, handler, made) for pattern, handler in (*api.ROUTES, *pages.ROUTES)],
        default_handler_class=pages.NotFound,
        default_handler_args=made,
        log_function=unlogged,
        template_path=str(TEMPLATES),
    )


def unlogged(handler: Any) -> None:
    """What counts is in the recordings; a URL may have a code of the sign-in in it."""
