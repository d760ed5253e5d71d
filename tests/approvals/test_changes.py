from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.office import BIG, person
from lockgate.approvals import changes
from lockgate.approvals.approval import OVER, TRANSITIONS, Approval, State, Vote
from lockgate.errors import VoteRefused
from lockgate.model import Hold

Draft = Callable[..., Approval]
Says = Callable[..., Vote]
NOW = 1_000_100.0


def test_enough_approvals_approve_for_as_long_as_it_was_asked_for(draft: Draft, make_vote: Says) -> None:
    asked = draft()
    approved = changes.voted(asked, make_vote(asked, person()), NOW)
    assert (approved.state, approved.decided_at, approved.expires_at) == (State.APPROVED, NOW, NOW + 900)


def test_too_few_leave_it_pending(draft: Draft, make_vote: Says) -> None:
    asked = draft(holds=(Hold("a/b", "", quorum=2),))
    once = changes.voted(asked, make_vote(asked, person()), NOW)
    assert (once.state, len(once.votes), once.expires_at) == (State.PENDING, 1, asked.expires_at)


def test_a_later_vote_replaces_an_earlier_one(draft: Draft, make_vote: Says) -> None:
    asked = draft(holds=(Hold("a/b", "", quorum=2),))
    once = changes.voted(asked, make_vote(asked, person()), NOW)
    denied = changes.voted(once, make_vote(asked, person(), "deny", reason="No."), NOW)
    assert (denied.state, [each.decision for each in denied.votes], denied.outcome) == (State.DENIED, ["deny"], "No.")


@pytest.mark.parametrize("state", list(State))
def test_nothing_leaves_the_table(draft: Draft, make_vote: Says, state: State) -> None:
    held = replace(draft(), state=state)
    made: list[Approval] = []
    for change in (
        lambda: changes.used(held, NOW, "r"),
        lambda: changes.cancelled(held, NOW, "why"),
        lambda: changes.killed(held, NOW, "why"),
        lambda: changes.expired(held, NOW),
    ):
        with contextlib.suppress(VoteRefused):
            made.append(change())
    assert all(each.state in TRANSITIONS[state] and each.ended_at == NOW for each in made)
    assert bool(made) is (state not in OVER)


def test_a_grant_is_what_was_approved_of_it(draft: Draft, make_vote: Says) -> None:
    asked = draft()
    approved = changes.voted(asked, make_vote(asked, person(), grant=60.0), NOW)
    grant = changes.grant(approved, BIG, changes.granted_for(approved), NOW, "g1")
    assert (grant.rule, grant.target, grant.binding, grant.since, grant.until) == (
        BIG.rule,
        "crm",
        "gb1",
        NOW,
        NOW + 60,
    )
    assert [changes.in_force(grant, at) for at in (NOW - 1, NOW, NOW + 59, NOW + 60)] == [False, True, True, False]
    assert not changes.in_force(replace(grant, ended_at=NOW), NOW + 1)


def test_what_a_record_says_of_a_step(draft: Draft, make_vote: Says) -> None:
    asked = draft()
    vote = make_vote(asked, person(), reason="Ticket 7", via="page")
    said = changes.step("voted", changes.voted(asked, vote, NOW), vote)
    assert (said["step"], said["id"], said["rules"], said["waited"]) == ("voted", "a1", ["support/big"], 100.0)
    assert (said["vote"]["subject"], said["vote"]["via"], said["vote"]["reason"]) == ("fiona", "page", "Ticket 7")
    assert "shown" not in said
