from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product

import pytest

from harness.office import person
from lockgate.approvals.approval import OVER, TRANSITIONS, Approval, Grant, State, Vote, approval_of, grant_of


def test_what_is_kept_is_read_again(draft: Callable[..., Approval], make_vote: Callable[..., Vote]) -> None:
    asked = draft()
    whole = draft(votes=(make_vote(asked, person(), reason="Ticket\u202e 7", grant=60.5),), joined=3, decided_at=1.1)
    assert approval_of(json.loads(json.dumps(whole.document()))) == whole
    grant = Grant("g1", 2, "iss", "sub", ("a", "b"), "r/h", "crm", "b", 1.5, 2.5, "a1", whole.votes, 7, 2.25, "ended")
    assert grant_of(json.loads(json.dumps(grant.document()))) == grant


@pytest.mark.parametrize("missing", ["id", "state", "requester", "holds", "shown", "votes"])
def test_what_is_not_whole_is_none(draft: Callable[..., Approval], missing: str) -> None:
    document = draft().document()
    del document[missing]
    with pytest.raises((KeyError, TypeError, ValueError)):
        approval_of(document)


def test_what_is_over_stays_over() -> None:
    assert {State.DENIED, State.EXPIRED, State.USED, State.CANCELLED} == OVER
    allowed = {(one, other) for one, following in TRANSITIONS.items() for other in following}
    assert all(one not in OVER for one, _ in allowed)
    assert (State.PENDING, State.USED) not in allowed  # nothing is used that was not approved
    assert {one for one, other in product(State, State) if other is State.PENDING and (one, other) in allowed} == set()
