"""Which recorded requests are exported: what can be told of a record alone, and written into a manifest. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from lockgate.recordings.exports.entry import Entry


@dataclass(frozen=True, slots=True)
class Selection:
    """None lets everything through. `since` and `until` are instants in RFC 3339, of when it was recorded."""

    since: str | None = None
    until: str | None = None
    role: str | None = None
    subject: str | None = None
    target: str | None = None
    verdict: str | None = None
    rule: str | None = None
    status: str | None = None

    def match(self, entry: Entry) -> bool:
        decision = entry.member("decision")
        return (
            (self.since is None or entry.time >= datetime.fromisoformat(self.since))
            and (self.until is None or entry.time < datetime.fromisoformat(self.until))
            and (self.role is None or self.role in entry.roles)
            and self.subject in (None, entry.member("principal").get("subject"))
            and self.target in (None, entry.said.get("target"))
            and self.verdict in (None, decision.get("verdict"))
            and self.rule in (None, decision.get("rule"))
            and (self.status is None or fits_status(self.status, entry.status))
        )

    def document(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def of(cls, document: Any) -> Selection:
        """Raises ValueError for what this version of Lockgate does not know."""
        if not isinstance(document, Mapping) or not all(isinstance(value, str) for value in document.values()):
            raise ValueError("its filters are none")
        try:
            found = cls(**document)
        except TypeError:
            raise ValueError("its filters are not known here") from None
        for when in (found.since, found.until):
            if when is not None and datetime.fromisoformat(when).tzinfo is None:
                raise ValueError("an instant in its filters has no time zone")
        return found


def fits_status(wanted: str, status: int | None) -> bool:
    """`403`, or a class of statuses: `4xx`."""
    text = "" if status is None else str(status)
    return text == wanted or (wanted.lower().endswith("xx") and len(text) == 3 and text[0] == wanted[0])
