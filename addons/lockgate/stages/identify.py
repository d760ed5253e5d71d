"""Who is calling: a verified token to a principal, on CONNECT, on plain requests and in reverse mode."""

from __future__ import annotations

import ipaddress
import time

from mitmproxy import http

from lockgate.errors import KeysUnavailable, Refused, TokenRejected
from lockgate.exchange import Exchange, exchange, is_reverse
from lockgate.identity.presented import Presented, read_presented
from lockgate.model import Principal
from lockgate.refusals import Refusal
from lockgate.runtime import Runtime

HOW = "Send a valid token: as HTTPS_PROXY=http://agent:TOKEN@HOST:PORT, or as Bearer."


class Identify:
    """A tunnel uses its CONNECT's token; expiry is checked again on every request."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def http_connect(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        presented, principal = self._verify(found, flow, status=407)
        self._bind(found, presented, principal)
        found.session.tunnel = (flow.request.host, flow.request.port)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        found.generation = self._runtime.generation
        session = found.session
        if session.tunnel is None:
            status = 401 if is_reverse(flow.client_conn) else 407
            presented, principal = self._verify(found, flow, status)
            self._bind(found, presented, principal)
        elif found.identity_values:
            raise Refused(
                Refusal(400, "A second identity was sent inside the tunnel.", "Send it on CONNECT only.", close=True)
            )
        assert session.principal is not None
        if session.principal.expires_at <= time.time():
            raise _unidentified("expired", 401, close=True)
        found.principal, found.presented = session.principal, session.presented

    def _verify(self, found: Exchange, flow: http.HTTPFlow, status: int) -> tuple[Presented, Principal]:
        found.generation = self._runtime.generation
        try:
            presented = read_presented(found.identity_values)
            if presented is None:
                raise _unidentified("no token was sent", status)
            principal = self._runtime.verifier.verify(presented.token, time.time(), _is_loopback(flow))
        except TokenRejected as rejected:
            raise _unidentified(rejected.reason, status) from None
        except KeysUnavailable:
            raise Refused(Refusal(503, "The token issuer's keys cannot be read.", "Tell the operator.")) from None
        return presented, principal

    def _bind(self, found: Exchange, presented: Presented, principal: Principal) -> None:
        """One client connection, one principal: another one's token on it ends it."""
        session = found.session
        held = session.principal
        if held and (held.issuer, held.subject, held.roles) != (principal.issuer, principal.subject, principal.roles):
            raise Refused(
                Refusal(
                    403, "This connection belongs to another principal.", "Open a connection of your own.", close=True
                )
            )
        session.principal, session.presented = principal, presented
        found.principal, found.presented = principal, presented


def _unidentified(reason: str, status: int, *, close: bool = False) -> Refused:
    return Refused(Refusal(status, f"The caller is not identified: {reason}.", HOW, close=close))


def _is_loopback(flow: http.HTTPFlow) -> bool:
    return ipaddress.ip_address(flow.client_conn.peername[0]).is_loopback
