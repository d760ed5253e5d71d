"""Exports written: records in, lines out, one at a time; nothing of them is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.recordings.chain import START, Link
from lockgate.recordings.exports.entry import entry_of, is_request
from lockgate.recordings.exports.manifest import FORMATS, SEPARATORS, Manifest, Plan
from lockgate.recordings.files import RecordFile, in_order
from lockgate.recordings.signing import Signer


@dataclass(slots=True)
class Lines:
    """The entries of a directory's records, rendered by a plan, each with its place in the chain.

    While and after going through them: the `first` number and the `head` that were seen, what is `damaged`
    and not exported. Records behind number `last` are not looked at. `progress` is told of bytes as they are read.
    """

    directory: Path
    plan: Plan
    since: int = 0
    last: int | None = None
    progress: Callable[[int], None] = lambda _: None
    first: int = 0
    head: Link = START
    damaged: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Link, bytes]]:
        """Raises OSError."""
        render = FORMATS[self.plan.format].render
        for path in in_order(self.directory):
            file = RecordFile(path)
            for record in file:
                self.progress(len(record.raw))
                link = record.seen.link
                if link is None or not record.seen.intact:
                    self.damaged.append(f"{path}: the record at offset {record.offset} is not as it was written")
                    continue
                if link.number < self.since or (self.last is not None and link.number > self.last):
                    continue
                self.first, self.head = self.first or link.number, link
                if not is_request(record):
                    continue
                try:
                    entry = entry_of(record, self.plan.leaving)
                    if self.plan.selection.match(entry):
                        yield link, render(entry)
                except ValueError:
                    self.damaged.append(f"{path}: record {link.number} cannot be read")
            if file.tail and not file.tail.torn:
                self.damaged.append(f"{path}: nothing can be read from offset {file.tail.offset} on")


def write(lines: Lines, out: Callable[[bytes], object], version: str, now: float, signer: Signer | None) -> Manifest:
    """Write an export, the manifest last; return what that says. `version` is Lockgate's.

    `now` is in seconds since the epoch. Raises OSError.
    """
    shape = FORMATS[lines.plan.format]
    separator = SEPARATORS[lines.plan.format]
    digest, count = hashlib.sha256(), 0

    def put(data: bytes) -> None:
        digest.update(data)
        out(data)

    put(shape.head(version))
    for _, line in lines:
        put(b"%b%b\n" % (separator if count else b"", line))
        count += 1
    manifest = Manifest(lines.plan, version, int(now * 1000), lines.first, lines.head, count, digest.hexdigest())
    document = manifest.document()
    out(shape.tail(signer.signed(document) if signer else document))
    return manifest
