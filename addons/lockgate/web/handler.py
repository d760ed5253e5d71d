"""What every handler does: answers to its own name only, says nothing that can be framed, kept or guessed at."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from tornado.web import HTTPError, RequestHandler

from lockgate.errors import LockgateError
from lockgate.policy.schema.addresses import is_loopback
from lockgate.web.documents import Document, dumps, problem
from lockgate.web.origins import is_forwarded, origins
from lockgate.web.problem import Problem, Told, phrase, told
from lockgate.web.services import Services

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HSTS = "max-age=31536000"

log = logging.getLogger(__name__)


class Handler(RequestHandler):
    """Base of all handlers. `origin` is ours, as the browser that asks names it."""

    services: Services
    origin: str

    def initialize(self, services: Services) -> None:
        self.services = services

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> Any:
        known = origins(self.services.config())
        origin = known.get(self.request.host.lower())
        if origin is None:
            raise Problem(421, f"Approvals are at {self.services.config().url}.")
        self.origin = origin
        if self.is_secure:
            self.set_header("Strict-Transport-Security", HSTS)

    @property
    def is_secure(self) -> bool:
        """Whether the browser speaks TLS, with us or with what stands before us."""
        return self.origin.startswith("https:")

    @property
    def address(self) -> str:
        return str(self.request.remote_ip)

    @property
    def is_on_this_machine(self) -> bool:
        return is_loopback(self.address) and not is_forwarded(self.request.headers)

    def give(self, document: Document, status: int = 200, kind: str = "application/json") -> None:
        self.set_status(status)
        self.set_header("Content-Type", kind)
        self.finish(dumps(document))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer an error, by what was raised."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if self._headers_written:
            if not self._finished:
                self.finish()
            return
        self.clear()
        if hasattr(self, "origin") and self.is_secure:
            self.set_header("Strict-Transport-Security", HSTS)
        answer = told(error, status_code)
        if isinstance(error, Problem) and error.retry_after is not None:
            self.set_header("Retry-After", str(error.retry_after))
        if answer.status == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="lockgate approvals"')
        self.set_status(answer.status)
        self.tell(answer)

    def tell(self, answer: Told) -> None:
        """Write an error: as JSON, where a handler does not know better."""
        document = problem(answer.status, phrase(answer.status), answer.detail)
        self.give(document, answer.status, "application/problem+json")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Where a fault arose and of which kind: its text may quote what was sent."""
        if isinstance(value, (HTTPError, LockgateError)):
            return
        *_, (frame, line) = traceback.walk_tb(tb)
        log.error("Fault in the approvals page: %s at %s:%d.", typ.__name__, frame.f_code.co_filename, line)

    def compute_etag(self) -> None:
        """None: nothing is kept."""
