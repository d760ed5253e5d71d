"""What a rule and a guardrail may hold together; what the others are told is in test_wrong_files.py."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lockgate.policy.schema import Model
from lockgate.policy.schema.rules import Guardrail, Matching, Rule

MASKED = {"mask": {"$.a": "redact"}}


@pytest.mark.parametrize(
    ("model", "entry", "verdicts"),
    [
        pytest.param(Rule, {"allow": "GET crm /a"}, ["allow"], id="allow"),
        pytest.param(Rule, {"hold": "GET crm /a", "quorum": "2", "timeout": "15m"}, ["hold"], id="hold"),
        pytest.param(Rule, {"deny": ["any crm", "any billing"]}, ["deny"], id="deny"),
        pytest.param(Guardrail, {"deny": "any crm", "when": "true"}, ["deny"], id="guardrail"),
        pytest.param(Guardrail, MASKED, [], id="guardrail-of-masks"),
    ],
)
def test_taken(model: type[Matching], entry: dict[str, Any], verdicts: list[str]) -> None:
    assert model.model_validate({"id": "r", **entry}).verdicts == verdicts


@pytest.mark.parametrize(
    ("model", "entry"),
    [
        pytest.param(Rule, {}, id="no-verdict"),
        pytest.param(Rule, {"allow": "GET crm /a", "deny": "GET crm /a"}, id="two-verdicts"),
        pytest.param(Rule, {"deny": "any crm", **MASKED}, id="deny-that-masks"),
        pytest.param(Rule, {"allow": "GET crm /a", "approvers": "finance"}, id="approvers-of-no-hold"),
        pytest.param(Rule, {"allow": "GET crm /a", "types": {"body.a": "string"}}, id="types-of-no-condition"),
        pytest.param(Guardrail, {"allow": "GET crm /a"}, id="guardrail-that-allows"),
        pytest.param(Guardrail, {}, id="guardrail-of-nothing"),
        pytest.param(Guardrail, {"when": "true", **MASKED}, id="guardrail-of-masks-with-a-condition"),
    ],
)
def test_refused(model: type[Model], entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({"id": "r", **entry})
