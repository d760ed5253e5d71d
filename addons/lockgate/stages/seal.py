"""Freezes what may pass the doors: the request as decided and recorded, the answer as masked."""

from __future__ import annotations

import time

from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import Answer, Exchange, Outgoing, exchange
from lockgate.refusals import TOKEN_INSIDE, Refusal

NOT_MASKED = Refusal(502, "The answer was not masked.", "Tell the operator the request id.")
NOT_APPROVED = Refusal(403, "The request is not what was approved.", "Send the request again.")
ENDS_SOON = 30.0  # seconds
EXPIRED = Refusal(401, "The caller is not identified: expired.", "Get a fresh token.")


class Seal:
    """Last in the chain, so that nothing it freezes is touched again."""

    sees_refusals = True

    def request(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.refusal or found.own:
            return
        assert found.principal is not None and found.presented is not None
        if found.principal.expires_at <= time.time():
            raise Refused(EXPIRED)
        outgoing = Outgoing.of(flow.request)
        if outgoing.contains(found.presented):
            raise Refused(TOKEN_INSIDE)
        if found.held is not None and not outgoing.is_what_was_held(found.held):
            raise Refused(NOT_APPROVED)
        found.outgoing = outgoing

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Of an answer that is streamed the head goes out before there is a body."""
        found = exchange(flow)
        if flow.response is not None and flow.response.stream and not (found.refusal or found.own):
            found.answer = _frozen(flow, found)

    def response(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if not (found.masked or found.refusal or found.own):
            raise Refused(NOT_MASKED)
        found.answer = _frozen(flow, found)

    def ws_message(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.refusal:
            return
        assert found.principal is not None
        if found.principal.expires_at <= time.time():
            raise Refused(EXPIRED)
        if not found.masked:
            raise Refused(NOT_MASKED)
        found.passing = found.message

    def http_connect(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        if found.refusal:
            found.answer = _frozen(flow, found)


def _frozen(flow: http.HTTPFlow, found: Exchange) -> Answer:
    assert flow.response is not None
    if flow.response.status_code != 101 and (found.closes or _ends_soon(found)):
        flow.response.headers["connection"] = "close"
    return Answer.of(flow.response)


def _ends_soon(found: Exchange) -> bool:
    """Whether the token of a tunnel is near its end: the client had better open another, with a fresh token."""
    if found.session.tunnel is None or found.principal is None:
        return False
    return found.principal.expires_at - time.time() < ENDS_SOON
