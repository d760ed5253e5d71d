from __future__ import annotations

import pytest

from lockgate.model import Decision, Verdict
from lockgate.stages.decide import explain


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        pytest.param(Decision(Verdict.DENY, "support/x", "Ask first."), "Ask first.", id="its-own-words"),
        pytest.param(Decision(Verdict.DENY, "support/x"), "The rule support/x denies this.", id="rule"),
        pytest.param(Decision(Verdict.DENY), "No rule allows this DELETE.", id="default"),
    ],
)
def test_explain(decision: Decision, said: str) -> None:
    assert explain(decision, "DELETE") == said
