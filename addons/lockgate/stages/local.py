"""The gateway's own answers, at a name no network has: `https://lockgate.invalid` through the proxy, and
`/.well-known/lockgate/` in reverse mode.
"""

from __future__ import annotations

import json

from mitmproxy import ctx, http

from lockgate.errors import Refused
from lockgate.exchange import Exchange, exchange, is_reverse
from lockgate.refusals import Refusal

HOST = "lockgate.invalid"
PREFIX = "/.well-known/lockgate"
UNKNOWN = Refusal(404, "The gateway has no such page.", "It has /whoami and /ca.pem.")
READ_ONLY = Refusal(405, "The gateway's own pages are read only.", "Use GET.")


class Local:
    """Answers what is asked of the gateway itself; nothing of it goes to a target."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        page = _page(flow)
        if page is None:
            return
        if flow.request.method != "GET":
            raise Refused(READ_ONLY)
        found = exchange(flow)
        if page == "/whoami":
            content, kind = self._whoami(found), "application/json"
        elif page == "/ca.pem":
            content, kind = ctx.master.addons.get("tlsconfig").certstore.default_ca.to_pem(), "application/x-pem-file"
        else:
            raise Refused(UNKNOWN)
        found.own = True
        flow.response = http.Response.make(200, content, {"content-type": kind, "cache-control": "no-store"})

    def _whoami(self, found: Exchange) -> bytes:
        principal = found.principal
        assert principal is not None and found.generation is not None
        known = [role for role in principal.roles if found.generation.policy.knows(role)]
        who = {
            "issuer": principal.issuer,
            "subject": principal.subject,
            "roles": known,
            "expires_at": principal.expires_at,
            "generation": found.generation.id,
        }
        return json.dumps(who).encode() + b"\n"


def _page(flow: http.HTTPFlow) -> str | None:
    """The gateway's own page that a request asks for; None where it is for a target."""
    path = flow.request.path.partition("?")[0]
    if is_reverse(flow.client_conn):
        return path.removeprefix(PREFIX) if path.startswith(PREFIX + "/") else None
    return path if flow.request.host == HOST else None
