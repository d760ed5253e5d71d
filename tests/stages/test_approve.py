from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from mitmproxy import http

from lockgate.exchange import exchange
from lockgate.model import Decision, Verdict
from lockgate.stages.approve import Approve


@pytest.mark.parametrize(
    "decision",
    [
        pytest.param(None, id="none"),
        pytest.param(Decision(Verdict.ALLOW), id="allow"),
        pytest.param(Decision(Verdict.DENY), id="deny"),
    ],
)
async def test_what_needs_nobody_goes_on(ask: Callable[..., http.HTTPFlow], decision: Decision | None) -> None:
    flow = ask()
    exchange(flow).decision = decision
    await Approve(SimpleNamespace()).request(flow)
    assert exchange(flow).decision is decision
    assert exchange(flow).held is None
