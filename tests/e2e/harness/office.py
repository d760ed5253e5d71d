"""A desk for approvals without a gateway: a store in memory, a clock that tests set, persons who decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from lockgate.approvals.approval import Approval, Grant
from lockgate.approvals.desk import Desk
from lockgate.approvals.store import Change, Rows
from lockgate.errors import StoreUnavailable
from lockgate.model import Happening, Hold, Principal

ISSUER = "https://login.example"
BIG = Hold("support/big", "d1", "Refunds above 500 need finance.", ("finance",), max_grant=3600.0)


@dataclass
class MemoryStore:
    """A store that keeps what it is given, fails when told to, and counts its waits for the disk."""

    rows: dict[str, Approval | Grant] = field(default_factory=dict)
    fails: bool = False
    syncs: int = 0
    settled: int = 0
    settles: Event = field(default_factory=Event)

    def load(self) -> Rows:
        if self.fails:
            raise StoreUnavailable("the disk is full")
        found = self.rows.values()
        approvals = tuple(each for each in found if isinstance(each, Approval))
        return Rows(approvals, tuple(each for each in found if isinstance(each, Grant)))

    def apply(self, changes: Sequence[Change]) -> list[bool]:
        if self.fails:
            raise StoreUnavailable("the disk is full")
        self.syncs += 1
        return [self._take(change) for change in changes]

    def _take(self, change: Change) -> bool:
        held = self.rows.get(change.row.id)
        fits = (held.revision if held else 0) == change.row.revision - (0 if change.removes else 1)
        if fits and change.removes:
            del self.rows[change.row.id]
        elif fits:
            self.rows[change.row.id] = change.row
        return fits

    def settle(self) -> None:
        self.settled += 1
        self.settles.set()

    def close(self) -> None:
        pass


@dataclass
class Clock:
    """The time of day and the time that passes: a test may set the first without the second."""

    now: float = 1_000_000.0
    elapsed: float = 500.0

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.elapsed += seconds


@dataclass
class Office:
    """A desk with all that is around it."""

    desk: Desk
    store: MemoryStore
    clock: Clock
    notes: list[tuple[str, Mapping[str, Any]]]
    kept: list[tuple[str, Mapping[str, Any]]]
    told: list[tuple[Happening, str]]

    def steps(self, kind: str = "approval") -> list[str]:
        return [details["step"] for noted, details in self.notes if noted == kind]


def desk_of(store: MemoryStore, clock: Clock) -> Office:
    notes: list[tuple[str, Mapping[str, Any]]] = []
    kept: list[tuple[str, Mapping[str, Any]]] = []
    told: list[tuple[Happening, str]] = []

    async def keep(kind: str, details: Mapping[str, Any]) -> None:
        kept.append((kind, details))

    desk = Desk(
        store,
        note=lambda kind, details: notes.append((kind, details)),
        keep=keep,
        tell=lambda happening, approval: told.append((happening, approval.id)),
        clock=lambda: clock.now,
        elapsed=lambda: clock.elapsed,
    )
    desk.open()
    return Office(desk, store, clock, notes, kept, told)


def person(subject: str = "fiona", *roles: str, issuer: str = ISSUER) -> Principal:
    return Principal(issuer, subject, roles or ("finance",), 2_000_000.0)
