"""What persons are told of a held request, made of what the gateway knows of it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from lockgate.approvals.approval import Approval
from lockgate.bodies.visible import visible
from lockgate.model import Happening
from lockgate.notify.notice import LONGEST, Notice


def notice_of(happening: Happening, approval: Approval, url: str) -> Notice:
    """`url` is what the page's links begin with. Nothing of a request but its method and path is in it."""
    verb, resource = approval.action
    action = f"{verb} {approval.target} {resource}".strip() if verb else f"requests at {approval.target}"
    if approval.ahead:
        action = f"a grant of {approval.ahead:g} seconds for {action}"
    last = approval.votes[-1] if approval.votes and happening in ("approved", "denied") else None
    return Notice(
        happening=happening,
        approval_id=approval.id,
        link=f"{url}/approvals/{approval.id}" if url else "",
        requester=cut(approval.requester.subject),
        rule=", ".join(hold.rule for hold in approval.holds),
        action=cut(action),
        reason=cut(" ".join(hold.reason for hold in approval.holds if hold.reason)),
        expires_at=datetime.fromtimestamp(approval.expires_at, UTC).isoformat(timespec="seconds"),
        by=cut(last.subject) if last else "",
        why=cut(last.reason) if last else "",
    )


def cut(text: str) -> str:
    """One line, of which every character is seen."""
    shown = visible(" ".join(text.split()))
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}..."
