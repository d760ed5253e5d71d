"""The hash chain over records: each carries its number, its own hash and the hash before it. Pure.

A record's hash is the SHA-256 of the record's bytes as they are with an empty `hash`, so that its number, its
predecessor and everything that it says are covered. `verify` names the first record that does not fit.

What never belongs here: files, mitmproxy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

from lockgate.recordings.tnetstring import INTEGER, TEXT, Serialized, Span, dumps, members, span


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
    ROLLED_BACK = "rolled-back"
    REORDERED = "reordered"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one record says of its place, without its content. `intact`: its bytes have the hash that it states.

    `link` is None where it states no place at all, or where the bytes are no record (`readable`). `id` is its flow's,
    `event` names what it says where it is of none.
    """

    link: Link | None
    previous: str = ""
    intact: bool = False
    readable: bool = True
    id: str | None = None
    event: str | None = None


UNREADABLE = Seen(None, readable=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong: at which of the records given (from 0), and in one line what."""

    kind: Kind
    index: int
    detail: str


def see(raw: bytes) -> Seen:
    """Read one record's place, and whether it has the hash that it states: of its bytes, with that hash cut out."""
    try:
        root = span(raw, 0, len(raw))
        if root.end + 1 != len(raw):
            return UNREADABLE
        top = members(raw, root)
    except ValueError:
        return UNREADABLE
    try:
        metadata = top[b"metadata"]
        lockgate = members(raw, metadata)[b"lockgate"]
        said = members(raw, lockgate)
        chain = said[b"chain"]
        place = members(raw, chain)
        number, digest, previous = place[b"number"], place[b"hash"], place[b"previous"]
        if (number.kind, digest.kind, previous.kind) != (INTEGER, TEXT, TEXT):
            return Seen(None)
        link = Link(int(raw[number.begin : number.end]), raw[digest.begin : digest.end].decode("ascii"))
        before = raw[previous.begin : previous.end].decode("ascii")
    except (KeyError, ValueError):
        return Seen(None)
    intact = len(place) == 3 and hash_without(raw, digest, (root, metadata, lockgate, chain)) == link.hash
    return Seen(link, before, intact, id=text(raw, top.get(b"id")), event=text(raw, said.get(b"event")))


def text(raw: bytes, value: Span | None) -> str | None:
    return raw[value.begin : value.end].decode("utf-8", "replace") if value and value.kind == TEXT else None


def hash_without(raw: bytes, cut: Span, around: Sequence[Span]) -> str:
    """The SHA-256 of a record with an empty text in place of `cut`; `around` it stand these, the outermost first."""
    shorter = cut.end - cut.start - len(b"0:")
    lengths = []
    for outer in reversed(around):
        lengths.append(b"%d:" % (outer.end - outer.begin - shorter))
        shorter += outer.begin - outer.start - len(lengths[-1])
    digest, position = hashlib.sha256(), 0
    for outer, length in zip(around, reversed(lengths), strict=True):
        digest.update(memoryview(raw)[position : outer.start])
        digest.update(length)
        position = outer.begin
    digest.update(memoryview(raw)[position : cut.start])
    digest.update(b"0:")
    digest.update(memoryview(raw)[cut.end :])
    return digest.hexdigest()


Records = Callable[[], Iterable[Seen]]
"""All records of a chain in order, as often as it is asked for."""


def verify(records: Records, start: Link | None = START, heads: Sequence[Link] = ()) -> Fault | None:
    """The first fault of a sequence of records, None when there is none.

    `start` is what the first record follows; None takes any start. `heads` are links that the chain is known to have
    reached, from the journal or from whoever noted them down. They are gone through once, and again where there is a
    fault, to tell what it is: nothing of them is kept.
    """
    known = {head.number: head.hash for head in heads if head.number}
    expected, first = start or START, start is None
    count = 0
    for index, record in enumerate(records()):
        if first and record.link:
            expected, first = Link(record.link.number - 1, record.previous), False
        if (kind := misplaced(record, expected, known)) is not None:
            return kind(records, index, record, expected)
        assert record.link is not None  # noqa: S101 (misplaced says so)
        expected, count = record.link, index + 1
    missing = max(known, default=0)
    if expected.number < missing:
        return Fault(Kind.REMOVED, count, f"{span_of(expected.number + 1, missing)} missing at the end")
    return None


Classify = Callable[[Records, int, Seen, Link], Fault]


def misplaced(record: Seen, expected: Link, known: Mapping[int, str]) -> Classify | None:
    """What is to be found out where a record is not the one that follows `expected`."""
    link = record.link
    if not record.readable or link is None or not record.intact:
        return damaged
    if known.get(link.number, link.hash) != link.hash:
        return replaced
    if link.number > expected.number + 1:
        return gap
    if link.number <= expected.number:
        return repeated
    return misfit if record.previous != expected.hash else None


def damaged(_: Records, index: int, record: Seen, __: Link) -> Fault:
    if not record.readable:
        return Fault(Kind.ALTERED, index, "it cannot be read")
    if record.link is None:
        return Fault(Kind.INSERTED, index, "it has no place in the chain")
    return Fault(Kind.ALTERED, index, "its content does not have the hash that it states")


def replaced(_: Records, index: int, __: Seen, ___: Link) -> Fault:
    return Fault(Kind.ALTERED, index, "it is not the record that was noted down under its number")


def gap(records: Records, index: int, record: Seen, expected: Link) -> Fault:
    assert record.link is not None  # noqa: S101 (misplaced says so)
    missing = expected.number + 1
    if any(later.link and later.link.number == missing for later in islice(records(), index + 1, None)):
        return Fault(Kind.REORDERED, index, f"record {missing} belongs here and comes later")
    return Fault(Kind.REMOVED, index, f"{span_of(missing, record.link.number - 1)} missing before it")


def repeated(records: Records, index: int, record: Seen, _: Link) -> Fault:
    """Two records of one number: the one that the rest of the chain does not follow was put in."""
    link = record.link
    assert link is not None  # noqa: S101 (misplaced says so)
    before = enumerate(islice(records(), index))
    first = next((i for i, seen in before if seen.link and seen.link.number == link.number), None)
    if first is None:
        return Fault(Kind.REORDERED, index, "it belongs before the first record")
    if next(islice(records(), first, None)).link == link:
        return Fault(Kind.INSERTED, index, f"it is record {link.number} once more")
    if any(later.previous == link.hash for later in islice(records(), index + 1, None)):
        return Fault(Kind.INSERTED, first, f"there is another record {link.number}, which the chain goes on from")
    return Fault(Kind.INSERTED, index, f"there is another record {link.number}")


def misfit(records: Records, index: int, record: Seen, _: Link) -> Fault:
    """Its number is the next, its predecessor another than the one before it."""
    if index == 0:
        return Fault(Kind.ALTERED, index, "it does not follow the chain's start")
    if any(later.link and later.link.hash == record.previous for later in islice(records(), index + 1, None)):
        return Fault(Kind.INSERTED, index - 1, "the next record follows another one")
    return Fault(Kind.ALTERED, index - 1, "it was written anew: the next record follows one with another hash")


def span_of(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
