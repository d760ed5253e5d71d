from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate.decisions import decided_again
from lockgate.exchange import Exchange, Outgoing, Session
from lockgate.model import Action, HttpFacts, Principal, Verdict
from lockgate.policy.generation import Generation
from lockgate.policy.load import assemble

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ROLE = "role: support\nrules:\n  - {id: big, hold: POST crm /refunds, when: body.amount > 500}\n"
JSON = ((b"content-type", b"application/json"),)
OUTGOING = Outgoing("POST", "https", "api.crm.example", 443, "/refunds", JSON, b'{"amount": 900}')


def generation(role: str = ROLE, gateway: str = "issuers: [{dev: true}]", crm: str = "api.crm.example") -> Generation:
    files = {
        "gateway.yaml": gateway.encode(),
        "targets.yaml": f"targets:\n  crm: {{url: https://{crm}}}\n".encode(),
        "roles/support.yaml": role.encode(),
    }
    return assemble(files, Path("/nowhere"))


@pytest.fixture
def found() -> Exchange:
    before = generation()
    made = Exchange("r1", Session(), ())
    made.principal = Principal("lockgate-dev", "agent-7", ("support",), 2e9)
    made.target = before.targets["crm"][0]
    made.actions = (Action("POST", "crm", "/refunds"),)
    made.facts = HttpFacts("POST", "api.crm.example", "/refunds", body={"amount": 900})
    made.generation = before
    return made


def test_a_hold_that_is_met_allows(found: Exchange) -> None:
    assert found.generation is not None
    held = decided_again(found, found.generation, found.generation, OUTGOING, NOW)
    assert held is not None and held.verdict is Verdict.HOLD
    allowed = decided_again(found, found.generation, found.generation, OUTGOING, NOW, frozenset(held.holds))
    assert allowed is not None and (allowed.verdict, allowed.rule) == (Verdict.ALLOW, "support/big")
    others = frozenset(replace(hold, digest="other") for hold in held.holds)
    again = decided_again(found, found.generation, found.generation, OUTGOING, NOW, others)
    assert again is not None and again.verdict is Verdict.HOLD


def test_rules_that_read_the_body_now_have_it(found: Exchange) -> None:
    assert found.generation is not None and found.facts is not None
    found.facts = replace(found.facts, body={})  # it was not read for the rules of then
    decision = decided_again(found, found.generation, generation(), OUTGOING, NOW)
    assert decision is not None and decision.verdict is Verdict.HOLD


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(lambda: generation(crm="other.crm.example"), id="no-such-target"),
        pytest.param(
            lambda: generation(
                gateway="issuers:\n  - {issuer: https://l.example, audience: a, algorithms: [RS256], roles: $.r}\n"
            ),
            id="no-such-issuer",
        ),
    ],
)
def test_what_is_known_otherwise_is_to_be_sent_again(found: Exchange, after: object) -> None:
    assert found.generation is not None and callable(after)
    assert decided_again(found, found.generation, after(), OUTGOING, NOW) is None


def test_what_was_not_identified_is_not_decided(found: Exchange) -> None:
    assert found.generation is not None
    found.principal = None
    assert decided_again(found, found.generation, found.generation, OUTGOING, NOW) is None
