"""What an earlier run left in the directory, and putting it in order before the next one begins.

A process that was killed leaves a half-written record, and intents whose end nobody wrote. A recording that was
tampered with is left exactly as it is: that is evidence.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate.recordings.chain import START, Link
from lockgate.recordings.disk import AppendFile
from lockgate.recordings.files import JOURNAL, TORN_SUFFIX, Record, RecordFile, Tail, base, first_number, in_order
from lockgate.recordings.journal import OpenIntent, Replay, replay
from lockgate.state import sync_directory


@dataclass(slots=True)
class Survey:
    """Where the chain goes on, which intents must be recorded now, and what there is to say of it in the start event.

    `journal` is what is deleted once the intents are recorded.
    """

    link: Link
    intents: list[OpenIntent]
    journal: Replay
    findings: dict[str, Any] = field(default_factory=dict)


def repair(directory: Path) -> Survey:
    """Put a directory in order that no process writes to. Raises OSError, and ValueError for a newer format."""
    journal = replay(directory / JOURNAL)
    findings: dict[str, Any] = {}
    link = START
    paths = in_order(directory)
    for path in reversed(paths):
        file = RecordFile(path)
        last = file.last()
        if file.tail:
            repair_tail(file.tail, last, journal.head, findings)
        if path.name == base(path) and path.stat().st_size == 0:
            path.unlink()  # a run that ended before its first record
        if last and (found := place(last)):
            link = found
            break
        if last:
            findings["unlinked"] = path.name
    if link.number < journal.head.number:
        findings["missing"] = {"from": link.number + 1, "to": journal.head.number}
    if link.number <= journal.head.number:
        link = journal.head
    recorded = recorded_since(directory, journal.base or START, journal.intents.keys()) if journal.intents else set()
    intents = [intent for identifier, intent in journal.intents.items() if identifier not in recorded]
    return Survey(link, intents, journal, findings)


def place(last: Record) -> Link | None:
    """The last record's place in the chain, as it states it; `verify` is who says whether that is true."""
    chain = last.lockgate.get("chain", {})
    try:
        return Link.decode(f"{chain['number']}:{chain['hash']}".encode())
    except (KeyError, TypeError, ValueError):
        return None


def repair_tail(tail: Tail, last: Record | None, head: Link, findings: dict[str, Any]) -> None:
    """Move a half-written record out of the way. What the journal knows was whole once is no such thing: left alone, as
    is what was put away.
    """
    number = (last.number or 0) if last else 0
    if not tail.torn or tail.path.name != base(tail.path) or (last and number < head.number):
        findings["damaged"] = tail.path.name
        return
    data = tail.path.read_bytes()[tail.offset :]
    aside = tail.path.with_name(tail.path.name + TORN_SUFFIX)
    aside.unlink(missing_ok=True)
    copy = AppendFile(aside)
    try:
        copy.append(data)
        copy.sync()
    finally:
        copy.close()
    os.truncate(tail.path, tail.offset)
    sync_directory(tail.path.parent)
    findings["torn"] = {"file": tail.path.name, "bytes": len(data)}


def recorded_since(directory: Path, begin: Link, wanted: Collection[str]) -> set[str]:
    """Which of the flows were recorded after `begin`: their record is durable, only the journal did not say so yet."""
    found: set[str] = set()
    for path in reversed(in_order(directory)):
        first = first_number(path)
        for record in RecordFile(path):
            identifier = record.state.get("id", "") if record.state else ""
            if identifier in wanted and (record.number or 0) > begin.number:
                found.add(identifier)
        if first <= begin.number:
            break
    return found
