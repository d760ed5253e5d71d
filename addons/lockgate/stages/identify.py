"""Who is calling: a verified token to a principal, on CONNECT, on plain requests and in reverse mode."""

from __future__ import annotations

import ipaddress
import time

from mitmproxy import http

from lockgate.errors import KeysUnavailable, Refused, TokenRejected
from lockgate.exchange import Exchange, exchange, hide_token, is_reverse
from lockgate.identity.presented import read_presented
from lockgate.refusals import TOKEN_INSIDE, Refusal
from lockgate.runtime import Runtime

HOW = "Send a valid token: as HTTPS_PROXY=http://agent:TOKEN@HOST:PORT, or as Bearer."


class Identify:
    """A tunnel uses its CONNECT's token, verified anew on every request: it may have expired, its key may be gone."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def http_connect(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.session.tunnel:
            raise Refused(Refusal(400, "This connection is a tunnel already.", "Open another.", close=True))
        self._identify(flow, found, 407)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.session.tunnel and found.identity_values:
            detail = "A second identity was sent inside the tunnel."
            raise Refused(Refusal(400, detail, "Send it on CONNECT only.", close=True))
        self._identify(flow, found, 401 if found.session.tunnel or is_reverse(flow.client_conn) else 407)

    def _identify(self, flow: http.HTTPFlow, found: Exchange, status: int) -> None:
        found.generation = self._runtime.generation
        session = found.session
        try:
            presented = session.presented if session.tunnel else read_presented(found.identity_values)
            if presented is None:
                raise TokenRejected("no token was sent")
            if hide_token(flow.request, presented):
                raise Refused(TOKEN_INSIDE)
            principal = self._runtime.verifier.verify(presented.token, time.time(), _is_loopback(flow))
        except TokenRejected as rejected:
            detail = f"The caller is not identified: {rejected.reason}."
            # Inside a tunnel a fresh token needs a fresh CONNECT.
            raise Refused(Refusal(status, detail, HOW, close=session.tunnel is not None)) from None
        except KeysUnavailable:
            raise Refused(Refusal(503, "The token issuer's keys cannot be read.", "Tell the operator.")) from None
        held = session.principal
        if held and (held.issuer, held.subject, held.roles) != (principal.issuer, principal.subject, principal.roles):
            detail = "This connection belongs to another principal."
            raise Refused(Refusal(403, detail, "Open a connection of your own.", close=True))
        session.principal, session.presented = principal, presented
        found.principal, found.presented = principal, presented


def _is_loopback(flow: http.HTTPFlow) -> bool:
    return ipaddress.ip_address(flow.client_conn.peername[0]).is_loopback
