"""Whether an export is what the recordings say: it is made again, and the first entry that differs is named."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from lockgate.recordings.chain import Kind, Link
from lockgate.recordings.exports.manifest import FORMATS, LONGEST, SEPARATORS, Manifest, manifest_of
from lockgate.recordings.exports.write import Lines
from lockgate.recordings.signing import SIGNATURE, Verifier


@dataclass(frozen=True, slots=True)
class ExportFault:
    """The first thing wrong with an export: in which line of the file, from 1."""

    kind: Kind
    line: int
    detail: str


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it lies in a file: its manifest, as read and as written, and where the manifest's line begins."""

    path: Path
    manifest: Manifest
    document: Any
    end: int

    def is_signed_by(self, verifier: Verifier) -> bool:
        return verifier.is_signed(self.document)

    @property
    def claims_signature(self) -> bool:
        return SIGNATURE in self.document

    def lines(self) -> Iterator[bytes]:
        """Every line but the manifest's, without its end."""
        with self.path.open("rb") as file:
            while file.tell() < self.end:
                yield file.readline().removesuffix(b"\n")

    def digest(self) -> str:
        """SHA-256 of what stands before the manifest."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            left = self.end
            while left and (data := file.read(min(left, 1 << 20))):
                digest.update(data)
                left -= len(data)
        return digest.hexdigest()


def read_export(path: Path) -> Export:
    """Raises ValueError where its last line is no manifest, and OSError."""
    with path.open("rb") as file:
        start, line = last_line(file)
    for shape in FORMATS.values():
        try:
            document = shape.manifest_in(line)
        except (ValueError, KeyError, TypeError, IndexError, StopIteration, RecursionError, csv.Error):
            continue
        manifest = manifest_of(document)
        if FORMATS[manifest.plan.format] is shape and shape.tail(document).removesuffix(b"\n") == line:
            return Export(path, manifest, document, start)
    raise ValueError("its last line is no manifest: it was cut off, or not written by `lockgate recordings export`")


def last_line(file: BinaryIO) -> tuple[int, bytes]:
    """The last line, and where it begins."""
    size = file.seek(0, 2)
    start = file.seek(max(0, size - LONGEST))
    data = file.read()
    begin = data.rstrip(b"\n").rfind(b"\n") + 1
    return start + begin, data[begin:].removesuffix(b"\n")


def origin_fault(export: Export, verifier: Verifier | None) -> ExportFault | None:
    """What is wrong with an export by itself: its signature, and the digest of its entries."""
    number = sum(1 for _ in export.lines()) + 1
    if verifier is not None and not export.is_signed_by(verifier):
        claimed = "its manifest is not as this gateway signed it" if export.claims_signature else "it is not signed"
        return ExportFault(Kind.ALTERED, number, claimed)
    if export.digest() != export.manifest.digest:
        return ExportFault(Kind.ALTERED, number, "its entries are not those that the manifest has the digest of")
    return None


def entries_fault(export: Export, lines: Lines) -> ExportFault | None:
    """The first line that is not what the recordings give. `lines` are of the export's own plan."""
    plan = export.manifest.plan
    heading = FORMATS[plan.format].head(export.manifest.lockgate).splitlines()
    found = export.lines()
    for number, wanted in enumerate(heading, 1):
        if next(found, None) != wanted:
            return ExportFault(Kind.ALTERED, number, "the heading is not the one that was written")
    expected, index = iter(lines), 0
    for index, line in enumerate(found):
        wanted_entry = next(expected, None)
        separator = SEPARATORS[plan.format] if index else b""
        if wanted_entry is None or line != separator + wanted_entry[1]:
            return difference(export, line, wanted_entry, expected, len(heading) + index)
        index += 1
    if (missing := next(expected, None)) is not None:
        return ExportFault(Kind.REMOVED, len(heading) + index + 1, f"record {missing[0].number} is missing")
    if index != export.manifest.entries:
        return ExportFault(Kind.ALTERED, len(heading) + index + 1, "the manifest counts other entries")
    return None


Expected = tuple[Link, bytes]


def difference(
    export: Export, line: bytes, wanted: Expected | None, rest: Iterable[Expected], before: int
) -> ExportFault:
    """What happened to the entry in `line`, before which there are so many lines that are in order."""
    number, stated = before + 1, stated_number(export, line)
    name = f"the entry of record {stated}" if stated is not None else "an entry that states no record"
    if wanted is None:
        return ExportFault(Kind.INSERTED, number, f"{name} is not in the recordings, or not here")
    want = wanted[0].number
    if stated == want:
        return ExportFault(Kind.ALTERED, number, f"{name} is not what the recordings say")
    comes_later = any(stated_number(export, later) == want for later in islice(export.lines(), number, None))
    is_recorded = any(link.number == stated for link, _ in rest)
    if comes_later and is_recorded:
        return ExportFault(Kind.REORDERED, number, f"record {want} belongs here and comes later")
    if comes_later:
        return ExportFault(Kind.INSERTED, number, f"{name} is not in the recordings, or not here")
    if is_recorded:
        return ExportFault(Kind.REMOVED, number, f"record {want} is missing before {name}")
    return ExportFault(Kind.ALTERED, number, f"{name} stands where record {want} belongs")


def stated_number(export: Export, line: bytes) -> int | None:
    shape = FORMATS[export.manifest.plan.format]
    try:
        if export.manifest.plan.format == "csv":
            document: Any = next(csv.reader([line.decode()]))
        else:
            document = json.loads(line.removeprefix(b","))
        number = shape.place_in(document)["number"]
    except (ValueError, KeyError, TypeError, IndexError, StopIteration, RecursionError, csv.Error):
        return None
    return number if type(number) is int else None
