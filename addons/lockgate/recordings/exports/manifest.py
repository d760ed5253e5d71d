"""What an export says of itself, in its last line: what was asked for, where the chain had come to, a digest of it all.

Signed where the gateway's key is at hand. With the public key alone anybody can then tell that an export is as it was
made; with the recordings, that it is what they say. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lockgate.recordings.chain import START, Link
from lockgate.recordings.exports import har, ocsf, table
from lockgate.recordings.exports.entry import Entry, Leaving
from lockgate.recordings.exports.selection import Selection

KIND = "lockgate export"
VERSION = 1


class Format(Protocol):
    """How one format is written and read again. A line has its end in `head` and `tail` only."""

    def head(self, version: str) -> bytes: ...

    def render(self, entry: Entry) -> bytes: ...

    def tail(self, manifest: Mapping[str, Any]) -> bytes: ...

    def manifest_in(self, line: bytes) -> Any:
        """Raises ValueError, KeyError, TypeError, IndexError, csv.Error."""

    def place_in(self, document: Any) -> Any: ...


FORMATS: Mapping[str, Format] = {"har": har, "ocsf": ocsf, "csv": table}
SEPARATORS = {"har": b",", "ocsf": b"", "csv": b""}
LONGEST = 64 * 1024  # bytes of the last line


@dataclass(frozen=True, slots=True)
class Plan:
    """What is exported, and how."""

    format: str
    selection: Selection = field(default_factory=Selection)
    leaving: Leaving = field(default_factory=Leaving)


@dataclass(frozen=True, slots=True)
class Manifest:
    """`first` and `head` are the first and last record that were looked at, `entries` how many came into the export.

    `digest` is the SHA-256, in hexadecimal, of every byte before the manifest's own line. `time` is in milliseconds
    since the epoch.
    """

    plan: Plan
    lockgate: str
    time: int
    first: int
    head: Link
    entries: int
    digest: str

    def document(self) -> dict[str, Any]:
        return {
            "kind": KIND,
            "version": VERSION,
            "lockgate": self.lockgate,
            "time_ms": self.time,
            "format": self.plan.format,
            "filters": self.plan.selection.document(),
            "redact": list(self.plan.leaving.redact),
            "bodies": self.plan.leaving.bodies,
            "first": self.first,
            "head": {"number": self.head.number, "hash": self.head.hash},
            "entries": self.entries,
            "digest": self.digest,
        }


def manifest_of(document: Any) -> Manifest:
    """Raises ValueError where it is none, or of a later version."""
    if not isinstance(document, Mapping) or document.get("kind") != KIND:
        raise ValueError("no manifest")
    if document.get("version") != VERSION:
        raise ValueError("a manifest of another version of Lockgate")
    try:
        redact, head = document["redact"], document["head"]
        integers = (document["time_ms"], document["first"], document["entries"], head["number"])
        texts = (document["lockgate"], document["format"], document["digest"], head["hash"], *redact)
        if not all(type(each) is int for each in integers) or not all(type(each) is str for each in texts):
            raise ValueError("no manifest: a member is of another type")
        if document["format"] not in FORMATS or type(document["bodies"]) is not bool or type(redact) is not list:
            raise ValueError("no manifest: a member is of another type")
        leaving = Leaving(tuple(redact), document["bodies"])
        leaving.require_compilable()
        place = Link.decode(f"{head['number']}:{head['hash']}".encode()) if head["number"] else START
        plan = Plan(document["format"], Selection.of(document["filters"]), leaving)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("no manifest: a member is missing") from error
    return Manifest(
        plan,
        document["lockgate"],
        document["time_ms"],
        document["first"],
        place,
        document["entries"],
        document["digest"],
    )
