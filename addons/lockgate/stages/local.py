"""The gateway's own answers, at a name no network has: `https://lockgate.invalid` through the proxy, and
`/.well-known/lockgate/` in reverse mode.
"""

from __future__ import annotations

import json
import logging
import time
from secrets import token_hex

from mitmproxy import ctx, http

from lockgate.actions.http import parse_query
from lockgate.approvals.ahead import asked_ahead, requester
from lockgate.approvals.approval import Approval
from lockgate.errors import (
    AssertionUnverified,
    KeysUnavailable,
    Refused,
    RequestUnreadable,
    StoreUnavailable,
    TokenRejected,
    TooManyHeld,
)
from lockgate.exchange import Exchange, exchange, own_page, status_url
from lockgate.refusals import FULL, NOBODY, NOT_KEPT, Refusal
from lockgate.runtime import Runtime

UNKNOWN = Refusal(404, "The gateway has no such page.", "It has /whoami, /ca.pem, /saml and /approvals.")
NOT_YOURS = Refusal(404, "There is no such approval of yours.", "Those that are over are kept for ten minutes.")

READ_ONLY = Refusal(405, "The gateway's own pages are read only.", "Use GET.")
POST_TO_ASK = Refusal(405, "A grant is asked for by POST.", "Use POST; what was asked is at /approvals/ID.")
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
        status = 200
        if page == "/saml":
            content, kind = await self._exchanged(flow, found), "application/json"
        elif page == "/approvals":
            content, kind = await self._asked_ahead(flow, found), "application/json"
            status = 202
        elif flow.request.method != "GET":
            raise Refused(READ_ONLY)
        elif page.startswith("/approvals/"):
            content, kind = self._approval(flow, found, page.removeprefix("/approvals/")), "application/json"
        elif page == "/whoami":
            content, kind = self._whoami(found), "application/json"
        elif page == "/ca.pem":
            content, kind = ctx.master.addons.get("tlsconfig").certstore.default_ca.to_pem(), "application/x-pem-file"
        else:
            raise Refused(UNKNOWN)
        found.own = True
        flow.response = http.Response.make(status, content, {"content-type": kind, "cache-control": "no-store"})

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

    async def _asked_ahead(self, flow: http.HTTPFlow, found: Exchange) -> bytes:
        """Ask persons for a grant."""
        principal, generation = found.principal, found.generation
        assert principal is not None and generation is not None
        config = generation.gateway.approvals
        if flow.request.method != "POST":
            raise Refused(POST_TO_ASK)
        if config.listen is None:
            raise Refused(NOBODY)
        try:
            query = parse_query(flow.request.path.partition("?")[2])
        except RequestUnreadable as error:
            raise Refused(Refusal(400, f"The query cannot be read: {error.reason}.")) from None
        asker = requester(principal, config.requester)
        draft = asked_ahead(asker, principal, generation, query, time.time(), token_hex(16))
        try:
            asked = await self._runtime.desk.ask(draft, most=config.pending, most_of_one=config.per_principal)
        except TooManyHeld:
            raise Refused(FULL) from None
        except StoreUnavailable:
            raise Refused(NOT_KEPT) from None
        return _status(flow, asked)

    def _approval(self, flow: http.HTTPFlow, found: Exchange, approval_id: str) -> bytes:
        """What became of something that the caller itself has asked for."""
        asked = self._runtime.desk.get(approval_id)
        assert found.principal is not None
        caller = (found.principal.issuer, found.principal.subject)
        if asked is None or (asked.requester.issuer, asked.requester.subject) != caller:
            raise Refused(NOT_YOURS)
        return _status(flow, asked)

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


def _status(flow: http.HTTPFlow, asked: Approval) -> bytes:
    said = {
        "approval_id": asked.id,
        "status_url": status_url(flow, asked.id),
        "state": str(asked.state),
        "rules": [hold.rule for hold in asked.holds],
        "asked_at": moment(asked.asked_at),
        "expires_at": moment(asked.expires_at),
        "outcome": asked.outcome,
    }
    return json.dumps({name: value for name, value in said.items() if value}).encode() + b"\n"


def moment(at: float) -> str:
    """UTC, to the second (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _token(token: str, expires_at: int) -> bytes:
    return json.dumps({"token": token, "expires_at": expires_at}).encode() + b"\n"
