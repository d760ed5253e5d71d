"""Whether a directory's records are the ones that were written: all of them, unaltered, in order.

Works while the gateway writes. What it cannot know: whether somebody who may write to the whole directory wrote all of
it anew, journal included. For that, note the head that it prints somewhere else and compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lockgate.recordings import chain
from lockgate.recordings.chain import START, UNREADABLE, Fault, Link, Seen, see
from lockgate.recordings.disk import is_locked
from lockgate.recordings.files import JOURNAL, LOCK, Record, RecordFile, Tail, in_order
from lockgate.recordings.journal import replay


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies. `number` is the one that it states, None when it states none."""

    path: Path
    offset: int
    number: int | None = None
    flow_id: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found.

    `head` is the last record's link, `first` the first one's number. `fault` lies at `place`: None when what is wrong
    is missing behind the last record. `torn` is a half-written record at the very end, which is no fault.
    """

    files: int
    records: int
    first: int | None
    head: Link | None
    fault: Fault | None
    place: Place | None
    torn: Tail | None
    writing: bool


def verify(directory: Path, *, partial: bool = False, known: Link | None = None) -> Report:
    """Check every record of a directory against the chain, and the chain's end against the journal and `known`.

    `partial`: older records may have been moved away, so any start will do. Raises OSError.
    """
    writing = is_locked(directory / LOCK)
    journal = replay(directory / JOURNAL).head  # before the records: they only get more meanwhile
    paths = in_order(directory)
    seen: list[Seen] = []
    places: list[Place] = []
    torn: Tail | None = None
    for path in paths:
        file = RecordFile(path)
        for record in file:
            seen.append(see(record.state, record.raw) if record.state else UNREADABLE)
            places.append(locate(record))
        if file.tail and file.tail.torn and path == paths[-1]:
            torn = file.tail
        elif file.tail:
            seen.append(UNREADABLE)
            places.append(Place(path, file.tail.offset))
    fault = None
    for head in (journal, known or START):
        fault = fault or chain.verify(seen, None if partial else START, head)
    return Report(
        files=len(paths),
        records=len(seen),
        first=seen[0].link.number if seen and seen[0].link else None,
        head=seen[-1].link if seen else None,
        fault=fault,
        place=places[fault.index] if fault and fault.index < len(places) else None,
        torn=torn,
        writing=writing,
    )


def locate(record: Record) -> Place:
    flow_id = record.state.get("id") if record.state else None
    return Place(record.path, record.offset, record.number, flow_id if isinstance(flow_id, str) else None)
