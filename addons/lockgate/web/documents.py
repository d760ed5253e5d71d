"""What the API says of approvals and grants: plain values for JSON. Pure.

Times are RFC 3339 in UTC, lengths of time are seconds. Text that an agent wrote is as it was written: whoever shows it
makes it harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from lockgate.approvals.approval import Approval, Grant, State, Vote
from lockgate.approvals.ballot import approvers_of, longest_grant, require_permitted
from lockgate.approvals.recent import Recent
from lockgate.errors import VoteRefused
from lockgate.model import Principal


def summary(approval: Approval) -> dict[str, Any]:
    """One of a list."""
    verb, resource = approval.action
    asker = approval.requester
    return {
        "id": approval.id,
        "state": str(approval.state),
        "asked_at": moment(approval.asked_at),
        "expires_at": moment(approval.expires_at),
        "requester": {"issuer": asker.issuer, "subject": asker.subject, "roles": list(asker.roles)},
        "target": approval.target,
        "verb": verb,
        "resource": resource,
        "rules": [hold.rule for hold in approval.holds],
        "reason": approval.reason,
        "ahead": approval.ahead,
        "votes": len(approval.votes),
    }


def whole(approval: Approval, you: Principal, recent: Iterable[Recent]) -> dict[str, Any]:
    """All that a person is shown before deciding; `digest` is of what of it the request is."""
    shown = approval.shown
    why_not = why_not_decided_by(approval, you)
    found = summary(approval)
    found["requester"]["behind"] = [subject for _, subject in approval.requester.behind]
    return found | {
        "holds": [
            {
                "rule": hold.rule,
                "reason": hold.reason,
                "approvers": list(hold.approvers),
                "quorum": hold.quorum,
                "approved_by": [vote.subject for vote in approvers_of(hold, approval.votes)],
                "require_reason": hold.require_reason,
                "max_grant": hold.max_grant,
            }
            for hold in approval.holds
        ],
        "request": {
            "method": shown.method,
            "url": shown.url,
            "headers": [list(header) for header in shown.headers],
            "body": shown.body,
            "body_is": shown.body_is,
            "body_size": shown.body_size,
        },
        "masks": list(shown.masks),
        "credential": shown.credential,
        "generation": approval.generation,
        "joined": approval.joined,
        "votes": [vote_document(vote) for vote in approval.votes],
        "recent": [
            {
                "at": moment(each.at),
                "verdict": each.verdict,
                "verb": each.verb,
                "target": each.target,
                "resource": each.resource,
                "rule": each.rule,
            }
            for each in recent
        ],
        "digest": approval.digest,
        "outcome": approval.outcome,
        "you": {"may_decide": not why_not, "why_not": why_not},
        "grants": longest_grant(approval),
    }


def why_not_decided_by(approval: Approval, you: Principal) -> str:
    """Why this person cannot decide; empty where they can."""
    try:
        require_permitted(approval, you)
    except VoteRefused as refused:
        return str(refused)
    if approval.state is State.APPROVED:
        return ""  # it can be denied until it is used
    return f"It is {approval.state} already." if approval.state is not State.PENDING else ""


def vote_document(vote: Vote) -> dict[str, Any]:
    return {
        "decision": vote.decision,
        "issuer": vote.issuer,
        "subject": vote.subject,
        "at": moment(vote.at),
        "via": vote.via,
        "reason": vote.reason,
        "grant": vote.grant,
    }


def grant_document(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "issuer": grant.issuer,
        "subject": grant.subject,
        "roles": list(grant.roles),
        "rule": grant.rule,
        "target": grant.target,
        "since": moment(grant.since),
        "until": moment(grant.until),
        "approval": grant.approval,
        "votes": [vote_document(vote) for vote in grant.votes],
        "uses": grant.uses,
    }


def in_order(approvals: Sequence[Approval]) -> list[dict[str, Any]]:
    return [summary(each) for each in approvals]


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
