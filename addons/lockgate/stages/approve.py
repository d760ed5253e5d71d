"""A decision to hold: refused with 503, since nobody can be asked yet."""

from __future__ import annotations

from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import exchange
from lockgate.model import Verdict
from lockgate.refusals import Refusal


class Approve:
    """Lets nothing through that needs a person."""

    def request(self, flow: http.HTTPFlow) -> None:
        decision = exchange(flow).decision
        if decision is not None and decision.verdict is Verdict.HOLD:
            reason = decision.reason or f"The rule {decision.rule} holds this for a person."
            detail = f"{reason} Approvals cannot be given on this gateway yet."
            raise Refused(Refusal(503, detail, "Ask a person to do it another way.", decision.rule))

    def ws_message(self, flow: http.HTTPFlow) -> None:
        self.request(flow)
