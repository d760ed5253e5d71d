"""Tombstones: signed words of what was pruned, so that a chain without its first files can still be trusted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lockgate.recordings.chain import Link
from lockgate.recordings.dump import moment
from lockgate.recordings.signing import Signer

EVENT = "tombstone"
KIND = "lockgate tombstone"


@dataclass(frozen=True, slots=True)
class Pruned:
    """One file that goes: its name, its first and last records, and its size in bytes."""

    name: str
    first: Link
    last: Link
    size: int


def tombstone(signer: Signer, files: Sequence[Pruned], why: str, now: float) -> dict[str, Any]:
    """What is signed before these files, the oldest ones in order, are deleted."""
    last = files[-1].last
    said = [{**asdict(each), "first": list(each.first), "last": list(each.last)} for each in files]
    return signer.signed(
        {"kind": KIND, "number": last.number, "hash": last.hash, "files": said, "why": why, "time": moment(now)}
    )


def ends_of(document: Mapping[str, Any]) -> set[Link]:
    """The last record of each file that a tombstone names: a kill among the deletions leaves the files behind it."""
    files = document.get("files")
    lasts = [each.get("last") for each in files if isinstance(each, Mapping)] if isinstance(files, list) else []
    found = {Link(*last) for last in lasts if isinstance(last, list) and [type(part) for part in last] == [int, str]}
    return found | {link_of(document)}


def link_of(document: Any) -> Link:
    """The last record that was pruned. Raises ValueError where it is no tombstone."""
    if not isinstance(document, Mapping) or document.get("kind") != KIND:
        raise ValueError("no tombstone")
    if type(document.get("number")) is not int or type(document.get("hash")) is not str:
        raise ValueError("no tombstone: it has no number and hash")
    return Link.decode(f"{document['number']}:{document['hash']}".encode())
