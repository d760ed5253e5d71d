from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.office import ISSUER, person
from lockgate.approvals.approval import Approval, Requester, State, Vote
from lockgate.approvals.ballot import is_met, longest_grant, may_see, require_fitting, require_permitted
from lockgate.errors import VoteRefused
from lockgate.model import Hold, Principal

Draft = Callable[..., Approval]
Says = Callable[..., Vote]
FINANCE, SECURITY, ANYBODY = (
    Hold("support/big", "d", approvers=("finance",)),
    Hold("guardrails/export", "d", approvers=("security",)),
    Hold("support/any", "d"),
)


@pytest.mark.parametrize(
    ("holds", "who", "permitted"),
    [
        pytest.param((FINANCE,), person("fiona", "finance"), True, id="the-role"),
        pytest.param((FINANCE,), person("sam", "support"), False, id="another-role"),
        pytest.param((FINANCE,), person("sam", "Finance"), False, id="another-letter-case"),
        pytest.param((FINANCE,), person("sam", "senior-finance"), False, id="a-role-that-extends-it"),
        pytest.param((FINANCE, SECURITY), person("sec", "security"), True, id="one-of-several-holds"),
        pytest.param((ANYBODY,), person("sam", "whatever"), True, id="no-approvers-named"),
        pytest.param((FINANCE,), person("agent-7", "finance"), False, id="the-requester"),
        pytest.param((FINANCE,), person("anna", "finance"), False, id="whoever-is-behind-it"),
        pytest.param((FINANCE,), person("agent-7", "finance", issuer="https://b.example"), True, id="of-another"),
        pytest.param((FINANCE,), person("anna", "finance", issuer="https://b.example"), False, id="behind-by-another"),
        pytest.param((ANYBODY,), person("agent-7", "x"), False, id="the-requester-where-anybody-may"),
    ],
)
def test_who_may_decide(draft: Draft, holds: tuple[Hold, ...], who: Principal, permitted: bool) -> None:
    asker = Requester(ISSUER, "agent-7", ("support",), behind=((ISSUER, "anna"),))
    approval = draft(holds=holds, requester=asker)
    if permitted:
        require_permitted(approval, who)
    else:
        with pytest.raises(VoteRefused) as refused:
            require_permitted(approval, who)
        assert refused.value.status == 403


def test_who_is_shown_it(draft: Draft) -> None:
    approval = draft(holds=(FINANCE, SECURITY))
    seen = [may_see(approval, person("x", role)) for role in ("finance", "security", "support")]
    assert seen == [True, True, False]


@pytest.mark.parametrize(
    ("approval", "vote", "status"),
    [
        pytest.param({}, {}, None, id="fits"),
        pytest.param({}, {"digest": "0" * 64}, 409, id="another-digest"),
        pytest.param({}, {"digest": ""}, 409, id="no-digest"),
        pytest.param({"state": State.DENIED}, {}, 409, id="denied"),
        pytest.param({"state": State.USED}, {"decision": "deny"}, 409, id="used"),
        pytest.param({"state": State.EXPIRED}, {}, 409, id="expired"),
        pytest.param({"state": State.APPROVED}, {}, 409, id="approved-already"),
        pytest.param({"state": State.APPROVED}, {"decision": "deny"}, None, id="denied-after-it-was-approved"),
        pytest.param({"holds": (Hold("r/h", "d", require_reason=True),)}, {}, 422, id="no-reason"),
        pytest.param({"holds": (Hold("r/h", "d", require_reason=True),)}, {"reason": " \n"}, 422, id="empty-reason"),
        pytest.param({"holds": (Hold("r/h", "d", require_reason=True),)}, {"reason": "Ticket 7"}, None, id="a-reason"),
        pytest.param({}, {"grant": 3600.0}, None, id="the-longest-grant"),
        pytest.param({}, {"grant": 3600.1}, 422, id="too-long-a-grant"),
        pytest.param({"holds": (Hold("r/h", "d"),)}, {"grant": 1.0}, 422, id="no-grants-there"),
    ],
)
def test_what_fits(
    draft: Draft, make_vote: Says, approval: dict[str, Any], vote: dict[str, Any], status: int | None
) -> None:
    asked = draft(**approval)
    made = make_vote(asked, person(), **vote)
    if status is None:
        require_fitting(asked, made)
    else:
        with pytest.raises(VoteRefused) as refused:
            require_fitting(asked, made)
        assert refused.value.status == status


def test_each_hold_needs_its_own(draft: Draft, make_vote: Says) -> None:
    two = Hold("support/big", "d", approvers=("finance",), quorum=2)
    approval = draft(holds=(two, SECURITY))
    fiona, felix, sec = person("fiona"), person("felix"), person("sec", "security")
    both = person("bea", "finance", "security")
    votes = {who.subject: make_vote(approval, who) for who in (fiona, felix, sec, both)}

    def met(*subjects: str) -> bool:
        return is_met(approval.holds, [votes[subject] for subject in subjects])

    assert not met()
    assert not met("fiona", "felix")
    assert not met("fiona", "sec")
    assert not met("fiona", "fiona", "sec")
    elsewhere = make_vote(approval, person("fiona", issuer="https://b.example"))
    assert not is_met(approval.holds, [votes["fiona"], elsewhere, votes["sec"]])
    assert met("fiona", "felix", "sec")
    assert met("fiona", "bea")


def test_a_denial_is_no_approval(draft: Draft, make_vote: Says) -> None:
    approval = draft()
    assert not is_met(approval.holds, [make_vote(approval, person(), "deny")])


def test_the_shortest_grant_counts(draft: Draft) -> None:
    assert longest_grant(draft(holds=(Hold("a/a", "", max_grant=60.0), Hold("a/b", "", max_grant=3600.0)))) == 60.0
    assert longest_grant(draft(holds=(Hold("a/a", ""), Hold("a/b", "", max_grant=3600.0)))) == 0.0
