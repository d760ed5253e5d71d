"""Whether a person's decision counts, and whether there are enough. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.approvals.approval import Approval, Grant, State, Vote
from lockgate.errors import VoteRefused
from lockgate.model import Hold, Principal

NEVER_OWN = "Nobody decides a request of their own."


def require_permitted(approval: Approval, approver: Principal) -> None:
    """Raises VoteRefused (403) unless the rules name one of the approver's own roles, and it is not their own request.
    Whom its token names is not told apart by issuer: it may be another one that approvers' tokens are of.

    Roles that extend those are not meant: what they may do themselves says nothing of what they may approve.
    """
    asker = approval.requester
    own = (approver.issuer, approver.subject) == (asker.issuer, asker.subject)
    if own or approver.subject in [subject for _, subject in asker.behind]:
        raise VoteRefused(403, NEVER_OWN)
    if not any(permits(hold, approver.roles) for hold in approval.holds):
        named = ", ".join(sorted({role for hold in approval.holds for role in hold.approvers}))
        raise VoteRefused(403, f"This is decided by somebody with the role {named}.")


def require_fitting(approval: Approval, vote: Vote) -> None:
    """Raises VoteRefused where a permitted person's decision does not fit what is asked: it is about another text,
    comes too late or twice (409), gives no reason, or grants what cannot be granted (422).
    """
    if vote.digest != approval.digest:
        raise VoteRefused(409, "This is not what was shown: look at it again, then decide.")
    if approval.state is not State.PENDING and not (approval.state is State.APPROVED and vote.decision == "deny"):
        raise VoteRefused(409, f"It is {approval.state} already.")
    if any((one.issuer, one.subject) == (vote.issuer, vote.subject) for one in approval.votes) and (
        vote.decision == "approve"
    ):
        raise VoteRefused(409, "You have approved it already; it needs somebody else too.")
    if not vote.reason.strip() and any(hold.require_reason for hold in approval.holds):
        raise VoteRefused(422, "Give a reason: the rule asks for one.")
    longest = longest_grant(approval)
    if vote.grant > longest:
        raise VoteRefused(
            422, f"The rule takes grants of {longest:g} seconds at most." if longest else "No grants here."
        )


def longest_grant(approval: Approval) -> float:
    """For how many seconds it can be granted ahead: as its strictest rule says."""
    return min(hold.max_grant for hold in approval.holds)


def may_see(approval: Approval, principal: Principal) -> bool:
    """Whether it is shown to somebody: the rules name a role of theirs."""
    return any(permits(hold, principal.roles) for hold in approval.holds)


def may_end(grant: Grant, principal: Principal) -> bool:
    """Whether a grant is somebody's to see, and to end."""
    return not grant.approvers or not set(grant.approvers).isdisjoint(principal.roles)


def permits(hold: Hold, roles: Sequence[str]) -> bool:
    """Whether somebody with these roles approves for a hold."""
    return not hold.approvers or not set(hold.approvers).isdisjoint(roles)


def approvers_of(hold: Hold, votes: Sequence[Vote]) -> list[Vote]:
    """The approvals that count for a hold: one a person, who may have a token of several issuers."""
    counted = [vote for vote in votes if vote.decision == "approve" and permits(hold, vote.roles)]
    return list({vote.subject: vote for vote in counted}.values())


def is_met(holds: Sequence[Hold], votes: Sequence[Vote]) -> bool:
    """Whether enough persons have approved, for each of the holds."""
    return all(len(approvers_of(hold, votes)) >= hold.quorum for hold in holds)
