from __future__ import annotations

from typing import Any

import pytest

from lockgate.approvals.ahead import asked_ahead, requester
from lockgate.approvals.approval import Requester
from lockgate.errors import Refused
from lockgate.model import Principal
from lockgate.policy.digests import grant_binding
from lockgate.policy.generation import Generation
from lockgate.policy.load import assemble

RULES = {
    "gateway.yaml": b"issuers: [{dev: true}]\napprovals: {timeout: 10m}\n",
    "targets.yaml": b"targets:\n  crm: {url: https://api.crm.example}\n  wiki: {url: https://wiki.example}\n",
    "roles/support.yaml": (
        b"role: support\nrules:\n"
        b"  - {id: big, hold: POST crm /refunds, approvers: [finance], max_grant: 1h}\n"
        b"  - {id: none, hold: PUT crm /refunds}\n"
        b"  - {id: read, allow: GET crm /refunds}\n"
    ),
    "roles/other.yaml": b"role: other\nrules:\n  - {id: big, hold: POST crm /refunds, max_grant: 1h, timeout: 1m}\n",
}
WHO = Principal("https://login.example", "agent-7", ("support",), 2e9)
ASKED = {"rule": ("support/big",), "target": ("crm",), "for": ("30m",), "reason": ("Month end",)}


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return assemble(RULES, tmp_path_factory.mktemp("rules"))


def test_what_persons_are_asked(generation: Generation) -> None:
    asked = asked_ahead(Requester(WHO.issuer, WHO.subject, WHO.roles), WHO, generation, ASKED, 100.0, "a1")
    assert (asked.id, asked.ahead, asked.reason, asked.target) == ("a1", 1800.0, "Month end", "crm")
    assert (asked.expires_at, [hold.rule for hold in asked.holds]) == (700.0, ["support/big"])
    assert dict(asked.grantable) == {"support/big": grant_binding(generation, asked.holds[0], "crm")}
    assert asked.shown.method == ""


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        pytest.param({"rule": ("support/read",)}, 404, id="an-allow"),
        pytest.param({"rule": ("other/big",)}, 404, id="a-rule-of-another-role"),
        pytest.param({"rule": ("support/nothing",)}, 404, id="no-rule"),
        pytest.param({"target": ("wiki",)}, 404, id="another-target"),
        pytest.param({"target": ("unknown",)}, 404, id="no-target"),
        pytest.param({"rule": ("support/none",)}, 403, id="takes-none"),
        pytest.param({"for": ("2h",)}, 403, id="too-long"),
        pytest.param({"for": ("soon",)}, 400, id="no-time"),
        pytest.param({"for": ("0m",)}, 400, id="no-time-at-all"),
        pytest.param({"for": ("10m", "20m")}, 400, id="twice"),
        pytest.param({"reason": ("x" * 501,)}, 400, id="a-long-reason"),
        pytest.param({"approvers": ("me",)}, 400, id="an-unknown-parameter"),
    ],
)
def test_what_is_not_asked(generation: Generation, changed: dict[str, Any], status: int) -> None:
    asker = Requester(WHO.issuer, WHO.subject, WHO.roles)
    with pytest.raises(Refused) as refused:
        asked_ahead(asker, WHO, generation, {**ASKED, **changed}, 100.0, "a1")
    assert refused.value.refusal.status == status


@pytest.mark.parametrize(
    ("claims", "behind"),
    [
        pytest.param({"act": {"sub": "anna"}}, ("anna",), id="one"),
        pytest.param({"act": {"sub": ["anna", ["bob"]]}}, ("anna", "bob"), id="several"),
        pytest.param({"act": {"sub": 42}}, ("42",), id="a-number"),
        pytest.param({"act": "anna"}, (), id="elsewhere"),
        pytest.param({}, (), id="none"),
    ],
)
def test_whom_a_token_names_behind_it(claims: dict[str, Any], behind: tuple[str, ...]) -> None:
    principal = Principal("iss", "agent", ("support",), 1.0, "jti", claims)
    assert requester(principal, "$.act.sub").behind == tuple(("iss", name) for name in behind)
    assert requester(principal, None).behind == ()


@pytest.mark.parametrize("named", [None, True, {"name": "anna"}, ["bob", {"name": "anna"}]])
def test_where_nobody_knows_who_is_behind_it(named: Any) -> None:
    with pytest.raises(Refused) as refused:
        requester(Principal("iss", "agent", ("support",), 1.0, "jti", {"act": {"sub": named}}), "$.act.sub")
    assert refused.value.refusal.status == 403
