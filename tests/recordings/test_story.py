from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lockgate.recordings.story import story

MakeState = Callable[..., dict[str, Any]]

CONSIDERED = {
    "rule": "support/big",
    "source": "roles/support.yaml:9",
    "verdict": "hold",
    "outcome": "matched",
    "detail": "",
    "facts": {"body.amount": 750, "body.note": "\u202eevil"},
}


def test_what_was_read_decided_and_approved(make_state: MakeState) -> None:
    decision = {"verdict": "allow", "rule": "support/big", "reason": None, "considered": [CONSIDERED]}
    approval = {"id": "a1", "grants": [], "rules": ["support/big"], "waited": 12.5}
    digests = {"request": {"received": "aa", "sent": None}, "response": {"received": "bb", "delivered": "cc"}}
    state = make_state(
        "f", decision=decision, approval=approval, digests=digests, decided_at="2030-01-01T00:00:00+00:00"
    )
    lines = list(story(state))
    for line in (
        "id:         f",
        "decided at: 2030-01-01T00:00:00+00:00",
        "approval:   approval a1; rules support/big; waited 12.5 s",
        "req rece:   aa",
        "res deli:   cc",
        "  hold support/big at roles/support.yaml:9: matched",
        "    body.amount = 750",
    ):
        assert line in lines
    assert not [line for line in lines if "\u202e" in line or line.startswith("req sent")]


def test_of_a_flow_that_is_not_recorded_yet(make_state: MakeState) -> None:
    state = make_state("f")
    said = {"request_id": "live", "principal": {"subject": "agent-9"}}
    assert [line for line in story({**state, "metadata": {}}, said) if line.startswith(("id", "who"))] == [
        "id:         live",
        "who:        agent-9",
    ]


def test_of_anybodys(make_state: MakeState) -> None:
    assert next(story({"id": "x", "type": "tcp", "timestamp_created": 0.0})) == "id:         x"
