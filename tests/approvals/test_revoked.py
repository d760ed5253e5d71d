from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.office import BIG, ISSUER, person
from lockgate.approvals import changes
from lockgate.approvals.approval import Approval, Vote
from lockgate.approvals.revoked import why_ended
from lockgate.model import Principal

Draft = Callable[..., Approval]
Says = Callable[..., Vote]


def revoked(subject: str, target: str = "crm") -> Callable[[Principal, str], bool]:
    return lambda principal, where: (principal.issuer, principal.subject, where) == (ISSUER, subject, target)


@pytest.mark.parametrize(
    ("subject", "target", "why"),
    [
        pytest.param("agent-7", "crm", "its caller's access was revoked", id="who-asked"),
        pytest.param("fiona", "crm", "the access of somebody who approved it was revoked", id="who-approved"),
        pytest.param("agent-7", "billing", None, id="elsewhere"),
        pytest.param("felix", "crm", None, id="somebody-else"),
    ],
)
def test_whose_revocation_ends_it(draft: Draft, make_vote: Says, subject: str, target: str, why: str | None) -> None:
    asked = draft()
    approved = replace(asked, votes=(make_vote(asked, person("fiona"), grant=600.0),))
    granted = changes.grant(approved, BIG, 600.0, 0.0, "g1")
    assert why_ended(approved, revoked(subject, target)) == why
    assert why_ended(granted, revoked(subject, target)) == why


def test_a_token_that_is_revoked_ends_what_was_asked_by_it(draft: Draft) -> None:
    asked = draft()
    asked = replace(asked, requester=replace(asked.requester, token_id="jti-a"))
    assert why_ended(asked, lambda principal, _: principal.token_id == "jti-a")
    assert not why_ended(asked, lambda principal, _: principal.token_id == "jti-b")
