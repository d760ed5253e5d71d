"""Keeping what came over the wire out of logs: mitmproxy's own messages quote it (a token in a half-sent CONNECT,
an unmasked line of an answer). Known messages pass, or are put in fixed words; all others lose their text.
"""

from __future__ import annotations

import logging
import re

WITHHELD = "A connection was refused or broke off (what came over it is withheld from logs)."
PASS = re.compile(
    r"client (dis)?connect$|client kill connection$|(closing transports|transports closed)[.!]*$"
    r"|server (dis)?connect [\w.:\[\]-]+( \([\w.:\[\]-]+\))?$|mitmproxy has crashed!$"
)
FIXED = (
    (
        "Client TLS handshake failed. The client does not trust",
        "TLS with a client failed: it does not trust the gateway's CA.",
    ),
    (
        "Client TLS handshake failed. The client disconnected",
        "TLS with a client failed: it hung up, as one does that does not trust the gateway's CA.",
    ),
    ("Client TLS handshake failed.", "TLS with a client failed."),
    (
        "Server TLS handshake failed.",
        "TLS with a target failed: its certificate does not verify, it takes none of ours, or it speaks no TLS.",
    ),
    ("TLS Error: ", "TLS broke off with an alert: a target does so that takes no certificate of ours."),
    ("error establishing server connection", "A target cannot be connected to."),
    ("server connection to", "A connection was refused: its address is not one the rules allow."),
    ("Closing connection due to inactivity", "An idle connection was closed."),
)
LOGGERS = (
    "mitmproxy.proxy.server",
    "mitmproxy.addonmanager",
    "mitmproxy.master",
    "asyncio",
    "mitmproxy.addons.tlsconfig",
    "tornado.access",
    "tornado.application",
    "tornado.general",
)


class Withhold(logging.Filter):
    """Rewrites a record in place; never drops one."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        message = record.getMessage()
        if record.name.startswith("tornado"):
            message = "mitmweb, or the approvals page, could not answer a request."
        elif not PASS.match(message):
            fixed = next((text for start, text in FIXED if message.startswith(start)), WITHHELD)
            message = fixed if kind is None else "Fault inside mitmproxy."
        record.msg = message if kind is None else f"{message} ({kind.__name__})"
        record.args = ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


# What the gateway asks on its own account: they log every request, and what is sent and answered at the finest level.
QUIET = ("httpx", "httpcore")


def install() -> None:
    """Filter the loggers through which connection handling speaks, and silence those of our own HTTP client."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(Withhold())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
