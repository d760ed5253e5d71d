"""The hash chain over records: each carries its number, its own hash and the hash before it. Pure.

A record's hash is the SHA-256 of the record's bytes as they are with an empty `hash`, so that its number, its
predecessor and everything that it says are covered. `verify` names the first record that does not fit.

What never belongs here: files, mitmproxy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from lockgate.recordings.tnetstring import Serialized, dumps


class Link(NamedTuple):
    """A place in the chain: a record's number, from 1, and its hash in hexadecimal."""

    number: int
    hash: str

    def encode(self) -> bytes:
        return f"{self.number}:{self.hash}".encode()

    @classmethod
    def decode(cls, data: bytes) -> Link:
        """Raises ValueError."""
        number, _, digest = data.decode("ascii").partition(":")
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ValueError("not NUMBER:HASH, with a hash of 64 hexadecimal digits")
        return cls(int(number), digest)

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


START = Link(0, "0" * 64)
"""What the first record of all follows."""


def seal(state: Mapping[str, Any], previous: Link) -> tuple[bytes, Link]:
    """The bytes of a record that follows `previous`, and its own link. `state` is left as it is.

    Raises ValueError or TypeError when the state cannot be serialised.
    """
    number = previous.number + 1
    written = {name: entry if name == "metadata" else Serialized(dumps(entry)) for name, entry in state.items()}
    metadata = state["metadata"]
    lockgate = {name: Serialized(dumps(entry)) for name, entry in metadata["lockgate"].items()}
    written["metadata"] = {**metadata, "lockgate": lockgate}
    digest = hashlib.sha256(dumps(linked(written, number, previous.hash, ""))).hexdigest()
    return dumps(linked(written, number, previous.hash, digest)), Link(number, digest)


def linked(state: Mapping[str, Any], number: int, previous: str, digest: str) -> dict[str, Any]:
    metadata = state["metadata"]
    chain = {"number": number, "previous": previous, "hash": digest}
    return {**state, "metadata": {**metadata, "lockgate": {**metadata["lockgate"], "chain": chain}}}


class Kind(StrEnum):
    """What is wrong with a recording."""

    ALTERED = "altered"
    REMOVED = "removed"
    REORDERED = "reordered"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one record says of its place, without its content. `intact`: its bytes have the hash that it states.

    `link` is None where it states no place at all, or where the bytes are no record (`readable`).
    """

    link: Link | None
    previous: str = ""
    intact: bool = False
    readable: bool = True


UNREADABLE = Seen(None, readable=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong: at which of the records given (from 0), and in one line what."""

    kind: Kind
    index: int
    detail: str


def see(state: Any, raw: bytes) -> Seen:
    """Read one record's place, and whether `raw` is exactly what `state` serialises to, under its own hash."""
    try:
        chain = state["metadata"]["lockgate"]["chain"]
        link, previous = Link(chain["number"], chain["hash"]), chain["previous"]
    except (KeyError, TypeError, IndexError):
        return Seen(None)
    if type(link.number) is not int or type(link.hash) is not str or type(previous) is not str:
        return Seen(None)
    try:
        unsealed = dumps(linked(state, link.number, previous, ""))
        intact = dumps(state) == raw and hashlib.sha256(unsealed).hexdigest() == link.hash and len(chain) == 3
    except (ValueError, TypeError):
        intact = False
    return Seen(link, previous, intact)


def verify(records: Sequence[Seen], start: Link | None = START, head: Link = START) -> Fault | None:
    """The first fault of a sequence of records, None when there is none.

    `start` is what the first record follows; None takes any start. `head` is a link that the chain is known to have
    reached, from the journal or from whoever noted it down.
    """
    expected = start
    if expected is None and records and records[0].link:
        expected = Link(records[0].link.number - 1, records[0].previous)
    for index, record in enumerate(records):
        fault = check(records, index, expected or START, head)
        if fault:
            return fault
        expected = record.link
    last = expected or START
    if last.number < head.number:
        return Fault(Kind.REMOVED, len(records), f"{span(last.number + 1, head.number)} missing at the end")
    return None


def check(records: Sequence[Seen], index: int, expected: Link, head: Link) -> Fault | None:
    record = records[index]
    link = record.link
    if not record.readable:
        return Fault(Kind.ALTERED, index, "it cannot be read")
    if link is None:
        return Fault(Kind.INSERTED, index, "it has no place in the chain")
    if not record.intact:
        return Fault(Kind.ALTERED, index, "its content does not have the hash that it states")
    if link.number == head.number and link.hash != head.hash and head.number:
        return Fault(Kind.ALTERED, index, "it is not the record that was noted down under its number")
    if link.number > expected.number + 1:
        return gap(records, index, expected, link)
    if link.number <= expected.number:
        return repeated(records, index, link)
    if record.previous != expected.hash:
        return misfit(records, index, record)
    return None


def gap(records: Sequence[Seen], index: int, expected: Link, link: Link) -> Fault:
    missing = expected.number + 1
    if any(later.link and later.link.number == missing for later in records[index + 1 :]):
        return Fault(Kind.REORDERED, index, f"record {missing} belongs here and comes later")
    return Fault(Kind.REMOVED, index, f"{span(missing, link.number - 1)} missing before it")


def repeated(records: Sequence[Seen], index: int, link: Link) -> Fault:
    """Two records of one number: the one that the rest of the chain does not follow was put in."""
    first = next((i for i in range(index) if (seen := records[i].link) and seen.number == link.number), None)
    if first is None:
        return Fault(Kind.REORDERED, index, "it belongs before the first record")
    if records[first].link == link:
        return Fault(Kind.INSERTED, index, f"it is record {link.number} once more")
    if any(later.previous == link.hash for later in records[index + 1 :]):
        return Fault(Kind.INSERTED, first, f"there is another record {link.number}, which the chain goes on from")
    return Fault(Kind.INSERTED, index, f"there is another record {link.number}")


def misfit(records: Sequence[Seen], index: int, record: Seen) -> Fault:
    """Its number is the next, its predecessor another than the one before it."""
    if index == 0:
        return Fault(Kind.ALTERED, index, "it does not follow the chain's start")
    if any(later.link and later.link.hash == record.previous for later in records[index + 1 :]):
        return Fault(Kind.INSERTED, index - 1, "the next record follows another one")
    return Fault(Kind.ALTERED, index - 1, "it was written anew: the next record follows one with another hash")


def span(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
