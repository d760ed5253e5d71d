"""What ends when somebody's access is revoked: what they asked for or were granted, and what they approved. Pure."""

from __future__ import annotations

from collections.abc import Callable

from lockgate.approvals.approval import Approval, Grant, Vote
from lockgate.model import Principal

IsRevoked = Callable[[Principal, str], bool]
"""Whether this principal's access to the target of this name is revoked."""


def why_ended(row: Approval | Grant, is_revoked: IsRevoked) -> str | None:
    """Why it is void; None where nobody is revoked who has to do with it."""
    if is_revoked(asker(row), row.target):
        return "its caller's access was revoked"
    if any(is_revoked(voter(vote), row.target) for vote in row.votes):
        return "the access of somebody who approved it was revoked"
    return None


def asker(row: Approval | Grant) -> Principal:
    if isinstance(row, Grant):
        return Principal(row.issuer, row.subject, row.roles, 0.0)
    asked = row.requester
    return Principal(asked.issuer, asked.subject, asked.roles, 0.0, asked.token_id)


def voter(vote: Vote) -> Principal:
    return Principal(vote.issuer, vote.subject, vote.roles, 0.0, vote.token_id)
