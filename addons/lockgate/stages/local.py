"""The gateway's own answers, at a name no network has: `https://lockgate.invalid` through the proxy, and
`/.well-known/lockgate/` in reverse mode.
"""

from __future__ import annotations

import json
import logging
import time

from mitmproxy import ctx, http

from lockgate.errors import AssertionUnverified, KeysUnavailable, Refused, StoreUnavailable, TokenRejected
from lockgate.exchange import Exchange, exchange, own_page
from lockgate.refusals import Refusal
from lockgate.runtime import Runtime

UNKNOWN = Refusal(404, "The gateway has no such page.", "It has /whoami, /ca.pem and /saml.")
READ_ONLY = Refusal(405, "The gateway's own pages are read only.", "Use GET.")
POST_ONLY = Refusal(405, "An assertion is exchanged by POST: it is used up.", "Use POST.")
FRESH = "Get a fresh assertion from the identity provider, and exchange it once."
CHANGED = Refusal(503, "The rules have changed meanwhile.", "Send the same again.")
UNAVAILABLE = Refusal(503, "Assertions cannot be exchanged now.", "Tell the operator.")

log = logging.getLogger(__name__)


class Local:
    """Answers what is asked of the gateway itself; nothing of it goes to a target."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        page = own_page(flow)
        if page is None:
            return
        found = exchange(flow)
        if page == "/saml":
            content, kind = await self._exchanged(flow, found), "application/json"
        elif flow.request.method != "GET":
            raise Refused(READ_ONLY)
        elif page == "/whoami":
            content, kind = self._whoami(found), "application/json"
        elif page == "/ca.pem":
            content, kind = ctx.master.addons.get("tlsconfig").certstore.default_ca.to_pem(), "application/x-pem-file"
        else:
            raise Refused(UNKNOWN)
        found.own = True
        flow.response = http.Response.make(200, content, {"content-type": kind, "cache-control": "no-store"})

    async def _exchanged(self, flow: http.HTTPFlow, found: Exchange) -> bytes:
        """A token for the caller's assertion; what is shown and kept of the answer is without it."""
        assert found.presented is not None
        if flow.request.method != "POST":
            raise Refused(POST_ONLY)
        try:
            issued = await self._runtime.current.verifier.exchange(found.presented.token, time.time())
        except TokenRejected as rejected:
            raise Refused(Refusal(400, f"The assertion is not exchanged: {rejected.reason}.", FRESH)) from None
        except AssertionUnverified:
            raise Refused(CHANGED) from None
        except (KeysUnavailable, StoreUnavailable) as unavailable:
            log.warning("An assertion could not be exchanged: %s.", unavailable)
            raise Refused(UNAVAILABLE) from None
        found.handed = _token(issued.token, issued.expires_at)
        return _token("[redacted]", issued.expires_at)

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


def _token(token: str, expires_at: int) -> bytes:
    return json.dumps({"token": token, "expires_at": expires_at}).encode() + b"\n"
