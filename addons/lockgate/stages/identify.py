"""Who is calling: a verified token to a principal, on CONNECT, on plain requests and in reverse mode."""

from __future__ import annotations

import ipaddress
import time
from functools import lru_cache

from mitmproxy import http

from lockgate.errors import (
    AssertionUnverified,
    KeysUnavailable,
    Refused,
    RevocationsUnavailable,
    TokenRejected,
    UnknownKey,
)
from lockgate.exchange import OWN_HOST, Exchange, Session, exchange, hide_token, is_reverse, own_page, seen_message
from lockgate.identity.presented import Presented, read_presented
from lockgate.limits import Attempts, HeldTokens
from lockgate.model import Principal
from lockgate.recordings.digests import Wire
from lockgate.refusals import NOT_KNOWN, TOKEN_INSIDE, Refusal
from lockgate.runtime import Runtime

HOW = "Send a valid token: as HTTPS_PROXY=http://agent:TOKEN@HOST:PORT, or as Bearer."
NO_KEYS = Refusal(503, "The token issuer's keys cannot be had.", "Try again soon; if it stays so, tell the operator.")
TOO_MANY = Refusal(
    429, "Too many callers from this address could not be identified.", "Try again soon.", close=True, retry_after=1
)
FAILURES_AT_ONCE, FAILURES_A_SECOND = 300, 50  # from one address, before it is not looked any more who asks
GONE = Refusal(400, "The caller hung up before it was identified.", close=True)


class Identify:
    """A tunnel uses its CONNECT's token, verified anew on every request: it may have expired, its key may be gone, the
    rules may be others. The rules in force when a request is whole are those it is decided by, to its end.

    A token that has held before is looked at whoever else has tried from the same address; others only while few have
    failed there.

    A request waits only where an issuer's keys do not tell who it is, and may be fetched, and while a SAML assertion is
    verified, which is slow.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._attempts = Attempts(FAILURES_A_SECOND, FAILURES_AT_ONCE)
        self._held = HeldTokens()

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        found = self._begin(flow)
        if found.session.tunnel:
            raise Refused(Refusal(400, "This connection is a tunnel already.", "Open another.", close=True))
        await self._identify(flow, found, 407)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        found = self._begin(flow)
        if found.session.tunnel and found.identity_values:
            detail = "A second identity was sent inside the tunnel."
            raise Refused(Refusal(400, detail, "Send it on CONNECT only.", close=True))
        await self._identify(flow, found, 401 if found.session.tunnel or is_reverse(flow.client_conn) else 407)

    async def request(self, flow: http.HTTPFlow) -> None:
        """A body may take its time: nobody keeps rules that are gone by sending one slowly."""
        found = exchange(flow)
        if found.wire.request_received is not None:
            found.wire.request_received.body = flow.request.raw_content or b""
        if found.generation is not self._runtime.current.generation:
            await self.requestheaders(flow)

    async def ws_message(self, flow: http.HTTPFlow) -> None:
        """As a request inside a tunnel: whoever opened the WebSocket may have lost what it was opened with."""
        found = self._begin(flow)
        assert found.message is not None
        arrived = seen_message(found.message)
        found.wire = Wire(request_received=arrived) if found.message.from_agent else Wire(response_received=arrived)
        await self._identify(flow, found, 401)

    def _begin(self, flow: http.HTTPFlow) -> Exchange:
        found = exchange(flow)
        found.generation = self._runtime.current.generation
        return found

    async def _identify(self, flow: http.HTTPFlow, found: Exchange, status: int) -> None:
        session, presented = found.session, None
        try:
            presented = session.presented if session.tunnel else _presented(session, found.identity_values)
            held = presented is not None and presented.token in self._held
            if not held and self._attempts.too_many(flow.client_conn.peername[0], time.monotonic()):
                raise Refused(TOO_MANY)
            if presented is None:
                raise TokenRejected("no token was sent")
            if hide_token(flow.request, presented):
                raise Refused(TOKEN_INSIDE)
            principal = await self._verified(flow, found, presented.token)
            if self._runtime.revocations.find(principal, None, time.time()):
                raise TokenRejected("revoked")
        except TokenRejected as rejected:
            self._attempts.failed(flow.client_conn.peername[0], time.monotonic())
            if presented is not None:
                self._held.discard(presented.token)
            detail = f"The caller is not identified: {rejected.reason}."
            # Inside a tunnel a fresh token needs a fresh CONNECT.
            raise Refused(Refusal(status, detail, HOW, close=session.tunnel is not None)) from None
        except KeysUnavailable:
            raise Refused(NO_KEYS) from None
        except RevocationsUnavailable:
            raise Refused(NOT_KNOWN) from None
        if not _is_same(session, presented, principal):
            detail = "This connection belongs to another principal."
            raise Refused(Refusal(403, detail, "Open a connection of your own.", close=True))
        if not held:
            self._held.add(presented.token)
        session.principal, session.presented = principal, presented
        found.principal, found.presented = principal, presented

    async def _verified(self, flow: http.HTTPFlow, found: Exchange, token: str) -> Principal:
        """Whom a token identifies by the rules now in force, which may be others after a wait."""
        exchanging, local = _is_for_exchange(flow), _is_loopback(flow.client_conn.peername[0])
        while True:
            current = self._runtime.current
            found.generation = current.generation
            try:
                return current.verifier.verify(token, time.time(), local, exchanging)
            except AssertionUnverified:
                await current.verifier.verify_assertion(token, time.time())
            except (UnknownKey, KeysUnavailable):
                if not await current.verifier.renew_keys(token):
                    raise
            if not flow.client_conn.connected:
                raise Refused(GONE)


def _is_same(session: Session, presented: Presented, principal: Principal) -> bool:
    """Whether a connection's principal is still the same: with the same token, though the rules now give it others
    roles; or with another one of the same issuer, subject and roles.
    """
    held, token = session.principal, session.presented
    if held is None or (token is not None and token.token == presented.token):
        return True
    return (held.issuer, held.subject, held.roles) == (principal.issuer, principal.subject, principal.roles)


def _is_for_exchange(flow: http.HTTPFlow) -> bool:
    """Whether it can come to no more than the exchange of an assertion for a token."""
    if flow.request.method == "CONNECT":
        return flow.request.host == OWN_HOST
    return own_page(flow) == "/saml"


def _presented(session: Session, values: tuple[str, ...]) -> Presented | None:
    """What is presented; as it was read before, where a connection presents the same again. Raises TokenRejected."""
    known = session.presented
    return known if known is not None and values == (known.value,) else read_presented(values)


@lru_cache(maxsize=1024)
def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback
