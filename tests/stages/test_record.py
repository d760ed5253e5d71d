from __future__ import annotations

from mitmproxy.test import tflow

from lockgate.exchange import exchange
from lockgate.model import Action, Considered, Decision, Outcome, Principal, Target, Verdict
from lockgate.refusals import Refusal
from lockgate.stages.record import projection


def test_the_same_fields_for_every_outcome() -> None:
    bare = projection(flow := tflow.tflow(), exchange(flow))
    full_flow = tflow.tflow()
    found = exchange(full_flow)
    found.principal = Principal("https://issuer", "agent", ("support",), 1.0, "jti-1", {"private": "x"})
    found.target = Target("crm", "https", "api.example", 443)
    found.actions = (Action("GET", "crm", "/v1"),)
    considered = Considered("support/read", "roles/support.yaml:3", Verdict.ALLOW, Outcome.MATCHED)
    found.decision = Decision(Verdict.ALLOW, "support/read", None, (considered,))
    found.refusal = Refusal(502, "No answer.")
    full = projection(full_flow, found)
    assert bare.keys() == full.keys()
    assert full["principal"] == {
        "issuer": "https://issuer",
        "subject": "agent",
        "roles": ["support"],
        "token_id": "jti-1",
    }
    assert full["decision"]["considered"] == [
        {
            "rule": "support/read",
            "source": "roles/support.yaml:3",
            "verdict": "allow",
            "outcome": "matched",
            "detail": "",
        }
    ]
    assert full["refusal"] == {"status": 502, "detail": "No answer."}
    assert bare["principal"] is bare["decision"] is bare["refusal"] is None
