"""The JSON of the approvals API. Pure. docs/approvals-api.md says it to those who use it.

Times are RFC 3339, UTC; durations are seconds. What an agent wrote stands there as it is: whoever shows it makes it
harmless (in the JSON itself all that is not ASCII is escaped).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from lockgate.approvals.approval import Approval, Grant, Requester, Vote
from lockgate.approvals.ballot import approvers_of, longest_grant, require_permitted
from lockgate.approvals.changes import is_due
from lockgate.approvals.recent import Recent
from lockgate.errors import VoteRefused
from lockgate.model import Hold, Principal

Document = dict[str, Any]


def summary(approval: Approval) -> Document:
    """One of a list, and what an event tells: `votes` is how many have voted."""
    asker = approval.requester
    verb, resource = approval.action
    return {
        "id": approval.id,
        "state": str(approval.state),
        "asked_at": instant(approval.asked_at),
        "expires_at": instant(approval.expires_at),
        "requester": {"issuer": asker.issuer, "subject": asker.subject, "roles": list(asker.roles)},
        "target": approval.target,
        "verb": verb,
        "resource": resource,
        "rules": [hold.rule for hold in approval.holds],
        "reason": approval.reason,
        "ahead": approval.ahead,
        "votes": len(approval.votes),
    }


def whole(approval: Approval, recent: Sequence[Recent], approver: Principal, now: float) -> Document:
    """All of one, as `approver` sees it at `now`: `digest` is that of what is shown."""
    shown = approval.shown
    why_not = barred(approval, approver, now)
    return summary(approval) | {
        "requester": requester(approval.requester),
        "holds": [hold(each, approval.votes) for each in approval.holds],
        "request": {
            "method": shown.method,
            "url": shown.url,
            "headers": [list(field) for field in shown.headers],
            "body": shown.body,
            "body_is": shown.body_is,
            "body_size": shown.body_size,
        },
        "masks": list(shown.masks),
        "credential": shown.credential,
        "generation": approval.generation,
        "joined": approval.joined,
        "votes": [vote(each) for each in approval.votes],
        "recent": [{**each._asdict(), "at": instant(each.at)} for each in recent],
        "digest": approval.digest,
        "outcome": approval.outcome,
        "you": {"may_decide": not why_not, "why_not": why_not},
        "grants": grantable(approval),
    }


def barred(approval: Approval, approver: Principal, now: float) -> str:
    """Why somebody cannot decide this, in a line; empty where they can. What is approved and not yet used can still be
    denied.
    """
    if approval.over:
        return f"It is {approval.state}."
    if is_due(approval, now):
        return "It has expired: nobody decided in time."
    try:
        require_permitted(approval, approver)
    except VoteRefused as refused:
        return str(refused)
    return ""


def grantable(approval: Approval) -> float:
    """For how many seconds it can be granted beyond the request; what is asked ahead says itself for how long."""
    return 0.0 if approval.ahead else longest_grant(approval)


def requester(asker: Requester) -> Document:
    return {
        "issuer": asker.issuer,
        "subject": asker.subject,
        "roles": list(asker.roles),
        "behind": [subject for _, subject in asker.behind],
    }


def hold(asked: Hold, votes: Sequence[Vote]) -> Document:
    """What one rule asks for, and who has approved that counts for it."""
    return {
        "rule": asked.rule,
        "reason": asked.reason or "",
        "approvers": list(asked.approvers),
        "quorum": asked.quorum,
        "approved_by": [each.subject for each in approvers_of(asked, votes)],
        "require_reason": asked.require_reason,
        "max_grant": asked.max_grant,
    }


def vote(said: Vote) -> Document:
    return {
        "decision": said.decision,
        "issuer": said.issuer,
        "subject": said.subject,
        "roles": list(said.roles),
        "at": instant(said.at),
        "via": said.via,
        "address": said.address,
        "reason": said.reason,
        "grant": said.grant,
    }


def grant(found: Grant) -> Document:
    return {
        "id": found.id,
        "issuer": found.issuer,
        "subject": found.subject,
        "roles": list(found.roles),
        "rule": found.rule,
        "target": found.target,
        "since": instant(found.since),
        "until": instant(found.until),
        "approval": found.approval,
        "votes": [vote(each) for each in found.votes],
        "uses": found.uses,
        "ended_at": None if found.ended_at is None else instant(found.ended_at),
        "outcome": found.outcome,
    }


def whoami(approver: Principal) -> Document:
    return {
        "issuer": approver.issuer,
        "subject": approver.subject,
        "roles": list(approver.roles),
        "expires_at": instant(approver.expires_at),
    }


def problem(status: int, title: str, detail: str) -> Document:
    """RFC 9457."""
    return {"status": status, "title": title, "detail": detail}


def instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dumps(document: Document) -> bytes:
    """ASCII: nothing in it reorders or hides what is read."""
    return json.dumps(document).encode("ascii") + b"\n"
