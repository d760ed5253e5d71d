"""What every answer to an approver has in common: the headers that keep a browser from being used against them, the
Host it was asked by, and faults that say nothing.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado import web

if TYPE_CHECKING:
    from lockgate.web.site import Site

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind} 'self'" for kind in ("style-src", "script-src", "connect-src", "img-src", "form-action")),
        *("base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"),
    ]
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ONLY_TLS = "max-age=31536000"

log = logging.getLogger(__name__)


class Problem(web.HTTPError):
    """Raised for an answer that is a problem (RFC 9457): `detail` is for the person who asked."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status)
        self.detail = detail


class Handler(web.RequestHandler):
    """Of the API and of the page."""

    site: Site

    def initialize(self, site: Site) -> None:
        self.site = site

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)
        if self.request.protocol == "https":
            self.set_header("Strict-Transport-Security", ONLY_TLS)

    def prepare(self) -> None:
        """A name that is not ours is somebody else's page, which leads here by its DNS."""
        if self.request.host.lower() not in self.site.hosts:
            raise Problem(421, "This is not the address of the approvals page.")

    @property
    def address(self) -> str:
        """Who asks, by address."""
        return self.request.remote_ip or ""

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False

    def header(self, name: str) -> str | None:
        """A header's value, None where there is none. Raises Problem where it was sent more than once."""
        values = self.request.headers.get_list(name)
        if len(values) > 1:
            raise Problem(400, f"{name} was sent more than once.")
        return values[0] if values else None

    def send_json(self, document: Mapping[str, Any], status: int = 200, kind: str = "application/json") -> None:
        self.set_status(status)
        self.set_header("Content-Type", kind)
        self.finish(json.dumps(document) + "\n")

    def write_error(self, status_code: int, **context: Any) -> None:
        fault = (context.get("exc_info") or (None, None))[1]
        detail = fault.detail if isinstance(fault, Problem) else phrase(status_code)
        self.tell(status_code, detail)

    def tell(self, status: int, detail: str) -> None:
        """Say what is wrong. The page says it in its own way."""
        title = phrase(status)
        self.send_json({"status": status, "title": title, "detail": detail}, status, "application/problem+json")

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        """Where a fault arose and of which kind: its text may quote what was sent."""
        if isinstance(value, web.HTTPError):
            return
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown place"
        log.error("Fault in the approvals page: %s at %s.", getattr(kind, "__name__", kind), place)


class NoPage(Handler):
    """What there is no page for."""

    def prepare(self) -> None:
        super().prepare()
        raise Problem(404, "There is no such page.")


def phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
