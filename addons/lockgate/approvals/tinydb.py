"""Stand-in until the store on disk is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lockgate.approvals.approval import Approval, Grant
from lockgate.approvals.store import Change, Rows


class TinyStore:
    def __init__(self, directory: Path, key: bytes) -> None:
        self.rows: dict[str, Approval | Grant] = {}

    def load(self) -> Rows:
        return Rows()

    def apply(self, changes: Sequence[Change]) -> list[bool]:
        taken = []
        for change in changes:
            held = self.rows.get(change.row.id)
            fits = (held.revision if held else 0) == change.row.revision - (0 if change.removes else 1)
            if fits and change.removes:
                del self.rows[change.row.id]
            elif fits:
                self.rows[change.row.id] = change.row
            taken.append(fits)
        return taken

    def close(self) -> None:
        pass
