"""What persons are told: where to look, and no more than that needs. No secret, no body, no query. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lockgate.model import Happening

LONGEST = 200  # characters of what an agent wrote


@dataclass(frozen=True, slots=True)
class Notice:
    """Every text is one line of visible characters: what an agent wrote cannot pass for anything else.

    `expires_at` is when the hold ends, RFC 3339 in UTC. `by` and `why` are of who decided.
    """

    happening: Happening
    approval_id: str
    link: str
    requester: str
    rule: str
    action: str
    reason: str
    expires_at: str
    by: str = ""
    why: str = ""

    def document(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}


def headline(notice: Notice) -> str:
    """What it is about, in a line."""
    if notice.happening == "asked":
        return f"Approval needed: {notice.requester} asks for {notice.action}"
    by = f" by {notice.by}" if notice.by else ""
    return f"{notice.happening.capitalize()}{by}: {notice.requester}, {notice.action}"


def details(notice: Notice) -> list[tuple[str, str]]:
    """What else there is to say, by name."""
    found = [
        ("Rule", notice.rule),
        ("Why it is held", notice.reason),
        ("Decided until", notice.expires_at if notice.happening == "asked" else ""),
        ("Their reason", notice.why),
        ("Approval", notice.approval_id),
    ]
    return [(name, value) for name, value in found if value]
