"""How much a principal uses at once: open connections, requests under way, bytes kept of their bodies."""

from __future__ import annotations

from functools import partial

from mitmproxy import http
from mitmproxy.connection import Client

from lockgate.errors import Refused
from lockgate.exchange import Exchange, exchange, session
from lockgate.limits import Holder, Usage
from lockgate.model import GatewayLimits, Principal
from lockgate.refusals import Refusal

SOON = "Wait for some to end, then try again."
CONNECTIONS = Refusal(429, "The caller has too many connections open.", SOON, close=True, retry_after=1)
REQUESTS = Refusal(429, "The caller has too many requests under way.", SOON, retry_after=1)


class Limit:
    """Comes behind Identify. What is used is given back when the exchange or the connection is over."""

    sees_refusals = True

    def __init__(self) -> None:
        self._usage = Usage()

    def http_connect(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.principal is not None and not found.refusal:
            self._connect(flow, found, found.principal)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.principal is None or found.refusal:
            return
        limits = self._connect(flow, found, found.principal)
        holder = holder_of(found.principal)
        if not self._usage.begin(holder, found.id, limits.requests):
            raise Refused(REQUESTS)
        found.used_by = holder
        found.may_keep = partial(self._usage.keep, holder, found.id, most=limits.buffered)

    def response(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.refusal or flow.response is None or flow.response.status_code != 101:  # a WebSocket goes on
            self._end(found)

    def error(self, flow: http.HTTPFlow) -> None:
        self._end(exchange(flow))

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        self._end(exchange(flow))

    def client_disconnected(self, client: Client) -> None:
        principal = session(client).principal
        if principal is not None:
            self._usage.disconnect(holder_of(principal), client.id)

    def _connect(self, flow: http.HTTPFlow, found: Exchange, principal: Principal) -> GatewayLimits:
        assert found.generation is not None
        limits = found.generation.gateway.limits
        if not self._usage.connect(holder_of(principal), flow.client_conn.id, limits.connections):
            raise Refused(CONNECTIONS)
        return limits

    def _end(self, found: Exchange) -> None:
        if found.used_by is not None:
            self._usage.end(found.used_by, found.id)


def holder_of(principal: Principal) -> Holder:
    return (principal.issuer, principal.subject)
