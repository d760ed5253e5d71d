"""What becomes of a held request by what persons say, by time, and by being used. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lockgate.approvals.approval import Approval, Grant, State, Vote
from lockgate.approvals.ballot import is_met
from lockgate.errors import VoteRefused
from lockgate.model import Hold


def voted(held: Approval, vote: Vote, now: float) -> Approval:
    """With one more vote: denied by any that denies, approved once there are enough. A person's later vote replaces
    their earlier one. Once approved it is to be used within the time that it was asked for.
    """
    others = [each for each in held.votes if (each.issuer, each.subject) != (vote.issuer, vote.subject)]
    after = replace(held, votes=(*others, vote))
    if vote.decision == "deny":
        return replace(ended(after, State.DENIED, now, vote.reason), decided_at=now)
    if not is_met(after.holds, after.votes):
        return after
    until = now + (held.expires_at - held.asked_at)
    return replace(after, state=State.APPROVED, decided_at=now, expires_at=until)


def used(held: Approval, now: float, request_id: str) -> Approval:
    """Raises VoteRefused where it cannot be used: not approved, used before, or too late."""
    if held.state is not State.APPROVED or is_due(held, now):
        raise VoteRefused(409, f"It is {held.state}: it cannot be used.")
    return replace(ended(held, State.USED, now, "sent on"), used_by=request_id)


def cancelled(held: Approval, now: float, why: str) -> Approval:
    """Raises VoteRefused where it is over already."""
    return ended(require_open(held), State.CANCELLED, now, why)


def killed(held: Approval, now: float, why: str) -> Approval:
    """Raises VoteRefused where it is over already."""
    return ended(require_open(held), State.DENIED, now, why)


def expired(held: Approval, now: float) -> Approval:
    """Raises VoteRefused where it is over already."""
    why = "nobody decided in time" if held.state is State.PENDING else "it was not used in time"
    return ended(require_open(held), State.EXPIRED, now, why)


def ended(held: Approval, state: State, now: float, outcome: str) -> Approval:
    return replace(held, state=state, ended_at=now, outcome=outcome)


def require_open(held: Approval) -> Approval:
    if held.over:
        raise VoteRefused(409, f"It is {held.state} already.")
    return held


def is_due(held: Approval, now: float) -> bool:
    """Whether its time is over, though nobody has said so yet."""
    return not held.over and now >= held.expires_at


def granted_for(approval: Approval) -> float:
    """For how many seconds all who approved have granted it ahead."""
    return min((vote.grant for vote in approval.votes if vote.decision == "approve"), default=0.0)


def grant(approval: Approval, hold: Hold, seconds: float, now: float, grant_id: str) -> Grant:
    """What lets this caller's requests past `hold` at this target, from now on."""
    asker = approval.requester
    return Grant(
        id=grant_id,
        revision=1,
        issuer=asker.issuer,
        subject=asker.subject,
        roles=tuple(sorted(asker.roles)),
        rule=hold.rule,
        target=approval.target,
        binding=dict(approval.grantable)[hold.rule],
        since=now,
        until=now + seconds,
        approval=approval.id,
        votes=approval.votes,
        approvers=hold.approvers,
    )


def in_force(found: Grant, now: float) -> bool:
    return found.ended_at is None and found.since <= now < found.until


def step(name: str, approval: Approval, vote: Vote | None = None) -> Mapping[str, Any]:
    """What a record says of one step: in a few words, since the whole is recorded once it is over."""
    asker = approval.requester
    found: dict[str, Any] = {
        "step": name,
        "id": approval.id,
        "request_id": approval.request_id,
        "requester": {"issuer": asker.issuer, "subject": asker.subject, "roles": list(asker.roles)},
        "rules": [hold.rule for hold in approval.holds],
        "target": approval.target,
        "fingerprint": approval.fingerprint,
        "binding": approval.binding,
        "digest": approval.digest,
        "state": str(approval.state),
        "joined": approval.joined,
    }
    if vote is not None:
        found["vote"] = {
            "decision": vote.decision,
            "issuer": vote.issuer,
            "subject": vote.subject,
            "via": vote.via,
            "address": vote.address,
            "reason": vote.reason,
            "grant": vote.grant,
        }
    if approval.decided_at is not None:
        found["waited"] = round(approval.decided_at - approval.asked_at, 3)
    if approval.used_by:
        found["used_by"] = approval.used_by
    if approval.outcome:
        found["outcome"] = approval.outcome
    return found
