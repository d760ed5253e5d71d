"""Whether a directory's records are the ones that were written: all of them, unaltered, in order, signed.

Goes through the directory once, keeps none of it, and works while the gateway writes. What a chain alone cannot tell:
whether somebody who may write to the whole directory wrote all of it anew, journal included. Against that there are
signed checkpoints, and what was noted down where they cannot write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from lockgate.recordings import checkpoints, tombstones
from lockgate.recordings.chain import START, UNREADABLE, Fault, Kind, Link, Seen
from lockgate.recordings.chain import verify as verify_chain
from lockgate.recordings.disk import is_locked
from lockgate.recordings.files import JOURNAL, LOCK, Record, RecordFile, Tail, in_order
from lockgate.recordings.journal import Replay, replay
from lockgate.recordings.signing import Verifier

NOBODY = "it is not signed by this gateway"


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
    is missing behind the last record. `torn` is a half-written record at the very end, which is no fault. `signed` is
    how far the last checkpoint reaches whose signature was checked. `pruned` is the last record that went with old
    files, as a tombstone says.
    """

    files: int
    records: int
    first: int | None
    head: Link | None
    fault: Fault | None
    place: Place | None
    torn: Tail | None
    writing: bool
    signed: Link | None
    pruned: Link | None


def verify(
    directory: Path,
    *,
    partial: bool = False,
    known: Iterable[Link] = (),
    verifier: Verifier | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """Check every record of a directory against the chain, and the chain against the journal and what is `known` to
    have been in it.

    `partial`: older records may have been moved away, so any start will do. With a `verifier` checkpoints and
    tombstones have to be signed by its gateway. `progress` is told of bytes as they are read. Raises OSError.
    """
    writing = is_locked(directory / LOCK)
    journal = replay(directory / JOURNAL)  # before the records: they only get more meanwhile
    walk = Walk(directory, verifier, journal, progress)
    heads = [journal.head, *known]
    fault = verify_chain(walk.seen, None, heads)
    if fault is not None and fault.index == walk.count and walk.came_to(journal.head):
        fault = replace(fault, kind=Kind.ROLLED_BACK)  # what is missing at the end, its journal does not know either
    missing_first = walk.first is not None and walk.first.previous != START.hash and not partial
    if missing_first and (fault is None or fault.index > 0):
        fault = walk.unexplained_start(fault)
    if walk.unsigned is not None and (fault is None or walk.unsigned.index <= fault.index):
        fault = walk.unsigned
    unrecorded = walk.unrecorded_since(journal) if fault is None else []
    if unrecorded:
        example = min(unrecorded)
        detail = f"the journal says that {example} was recorded ({len(unrecorded)} such in all): it is not here"
        fault = Fault(Kind.REMOVED, walk.count, detail)
    return Report(
        files=len(walk.paths),
        records=walk.count,
        first=walk.first.link.number if walk.first and walk.first.link else None,
        head=walk.last,
        fault=fault,
        place=walk.place(fault.index) if fault else None,
        torn=walk.torn,
        writing=writing,
        signed=walk.signed,
        pruned=walk.pruned,
    )


@dataclass(slots=True)
class Walk:
    """One way through a directory, and what is seen on it beside the chain."""

    directory: Path
    verifier: Verifier | None
    journal: Replay
    progress: Callable[[int], None]
    paths: list[Path] = field(init=False)
    count: int = 0
    first: Seen | None = None
    last: Link | None = None
    torn: Tail | None = None
    signed: Link | None = None
    pruned: Link | None = None
    unsigned: Fault | None = None
    buried: set[Link] = field(default_factory=set)  # the last records of files that tombstones name
    unrecorded: set[str] = field(init=False)
    _walked: bool = False

    def __post_init__(self) -> None:
        self.paths = in_order(self.directory)
        self.unrecorded = set(self.journal.ended)

    def seen(self) -> Iterator[Seen]:
        """Every record as the chain has it; the first time, with a look at what it says."""
        if self._walked:
            yield from (record.seen if record else UNREADABLE for record, _ in self._records())
            return
        self._walked = True
        for index, (record, _) in enumerate(self._records()):
            self.count = index + 1
            if record is None:
                yield UNREADABLE
                continue
            found = record.seen
            self.first = self.first or found
            self.last = found.link
            self.progress(len(record.raw))
            if self.unrecorded and found.id is not None:
                self.unrecorded.discard(found.id)
            if found.event in (checkpoints.EVENT, tombstones.EVENT) and found.intact:
                self._signed(index, record, found)
            yield found

    def _signed(self, index: int, record: Record, found: Seen) -> None:
        document = details(record)
        signed = self.verifier is None or self.verifier.is_signed(document)
        try:
            link = (checkpoints.link_of if found.event == checkpoints.EVENT else tombstones.link_of)(document)
        except ValueError:
            signed, link = False, START
        if not signed or found.link is None:
            self.unsigned = self.unsigned or Fault(Kind.ALTERED, index, f"a {found.event}: {NOBODY}")
        elif found.event == tombstones.EVENT:
            self.pruned = link
            self.buried |= tombstones.ends_of(document)
        elif link != (found.link.number - 1, found.previous):
            self.unsigned = self.unsigned or Fault(Kind.ALTERED, index, "a checkpoint of another place in the chain")
        elif self.verifier is not None:
            self.signed = link

    def unexplained_start(self, fault: Fault | None) -> Fault | None:
        """That records are missing before the first, unless a tombstone says that they were pruned."""
        assert self.first is not None and self.first.link is not None  # noqa: S101 (who asks has seen it)
        before = Link(self.first.link.number - 1, self.first.previous)
        for record, _ in islice(self._records(), self.count, None):  # what stands behind the fault
            if record is not None and record.seen.event == tombstones.EVENT and record.seen.intact:
                self._signed(self.count, record, record.seen)
        if before in self.buried:  # of several files that it names, a kill may have left the last ones
            self.pruned = before
            return fault
        missing = "record 1 is" if before.number == 1 else f"records 1 to {before.number} are"
        return Fault(Kind.REMOVED, 0, f"{missing} missing before it; no tombstone says that they were pruned")

    def unrecorded_since(self, journal: Replay) -> list[str]:
        """What was recorded by the journal's word and is not here, nor among the records before the first."""
        gone = self.first.link.number - 1 if self.first and self.first.link else 0
        return [identifier for identifier in self.unrecorded if journal.ended[identifier] > gone]

    def came_to(self, head: Link) -> bool:
        """Whether the chain goes as far as this."""
        return self.last is not None and self.last.number >= head.number

    def place(self, index: int) -> Place | None:
        for record, tail in islice(self._records(), index, None):
            if record is not None:
                flow_id = record.state.get("id") if record.state else None
                known = flow_id if isinstance(flow_id, str) else None
                return Place(record.path, record.offset, record.number, known)
            assert tail is not None  # noqa: S101 (one of them is there)
            return Place(tail.path, tail.offset)
        return None

    def _records(self) -> Iterator[tuple[Record | None, Tail | None]]:
        """Every record in order; what lies behind the last of a file instead, where it is no record."""
        for path in self.paths:
            file = RecordFile(path)
            for record in file:
                yield record, None
            if file.tail and file.tail.torn and path == self.paths[-1]:
                self.torn = file.tail
            elif file.tail:
                yield None, file.tail


def details(record: Record) -> Any:
    """What an event says: the JSON of its body; None where there is none."""
    request = record.state.get("request") if record.state else None
    content = request.get("content") if isinstance(request, Mapping) else None
    try:
        return json.loads(content or b"null")
    except (ValueError, TypeError, RecursionError):
        return None
