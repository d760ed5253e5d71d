from __future__ import annotations

from collections.abc import Callable

import pytest
from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import exchange
from lockgate.model import Decision, Verdict
from lockgate.stages.approve import Approve

CANNOT = "Approvals cannot be given on this gateway yet."


@pytest.mark.parametrize(
    ("decision", "detail"),
    [
        pytest.param(Decision(Verdict.HOLD, "support/big", "Ask finance."), f"Ask finance. {CANNOT}", id="its-words"),
        pytest.param(
            Decision(Verdict.HOLD, "support/big"),
            f"The rule support/big holds this for a person. {CANNOT}",
            id="no-words",
        ),
    ],
)
def test_what_needs_a_person_is_refused(ask: Callable[..., http.HTTPFlow], decision: Decision, detail: str) -> None:
    flow = ask()
    exchange(flow).decision = decision
    with pytest.raises(Refused) as refused:
        Approve().request(flow)
    refusal = refused.value.refusal
    assert (refusal.status, refusal.detail, refusal.rule) == (503, detail, "support/big")
    assert not refusal.close


@pytest.mark.parametrize("decision", [None, Decision(Verdict.ALLOW), Decision(Verdict.DENY)])
def test_what_needs_nobody_goes_on(ask: Callable[..., http.HTTPFlow], decision: Decision | None) -> None:
    flow = ask()
    exchange(flow).decision = decision
    Approve().request(flow)
    assert exchange(flow).decision is decision
