"""Record files on the disk: their names, their order, and where each record in them begins and ends.

A record is one tnetstring; a file is records one behind the other, as stock mitmproxy reads it. What belongs here:
reading, also while the gateway writes. What never does: writing, and what a record means.
"""

from __future__ import annotations

import errno
import io
import math
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from lockgate.errors import RecordingLocked
from lockgate.recordings.chain import Seen, see
from lockgate.recordings.compressed import FRAME, Decompressed
from lockgate.recordings.dump import loads
from lockgate.recordings.encrypted import Decrypted, secrets_of
from lockgate.recordings.pages import Altered

SUFFIX = ".mitm"
COMPRESSED, ENCRYPTED = ".zst", ".enc"
TORN_SUFFIX = ".torn"
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z-(\d{4,})\.mitm")
JOURNAL = "journal"
LOCK = ".lock"
PREFIX_DIGITS = 12  # mitmproxy's own bound on a tnetstring's length prefix


def new_path(directory: Path, now: float) -> Path:
    """A name for a new file: `<UTC date>T<UTC time>Z-<NNNN>.mitm`; NNNN is one more than any in the directory."""
    numbers = [int(match[1]) for path in directory.iterdir() if (match := NAME.fullmatch(base(path)))]
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H%M%SZ")
    return directory / f"{stamp}-{max(numbers, default=0) + 1:04d}{SUFFIX}"


@dataclass(frozen=True)
class Record:
    """One record: where it stands, and its bytes."""

    path: Path
    offset: int
    raw: bytes = field(repr=False)

    @cached_property
    def seen(self) -> Seen:
        """Its place in the chain, found without reading all of it."""
        return see(self.raw)

    @cached_property
    def state(self) -> dict[str, Any] | None:
        """The flow's state; None when the bytes are no such thing."""
        try:
            return loads(self.raw)
        except ValueError:
            return None

    @property
    def lockgate(self) -> dict[str, Any]:
        """What the gateway says of the flow: `metadata["lockgate"]`, empty for a flow of somebody else's."""
        metadata = self.state.get("metadata") if self.state else None
        projection = metadata.get("lockgate") if isinstance(metadata, dict) else None
        return projection if isinstance(projection, dict) else {}

    @property
    def number(self) -> int | None:
        """Its place in the chain, as it states it."""
        return self.seen.link.number if self.seen.link else None


@dataclass(frozen=True, slots=True)
class Tail:
    """Bytes behind the last whole record. `torn`: they are what is left of one that was being written."""

    path: Path
    offset: int
    torn: bool


class RecordFile:
    """The records of one file, in order. After iterating, `tail` says what is left behind the last. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tail: Tail | None = None

    def __iter__(self) -> Iterator[Record]:
        return self.since(0)

    def since(self, start: int) -> Iterator[Record]:
        """The records from an offset on, where one begins."""
        offset = start
        try:
            with opened(self.path) as file:
                for offset, length in self._spans(file, start):
                    file.seek(offset)
                    yield Record(self.path, offset, file.read(length))
                    offset += length
        except Altered:
            self.tail = Tail(self.path, offset, torn=False)

    def at(self, offset: int) -> Record:
        """The record at an offset where one begins. Raises ValueError where there is none."""
        found = next(self.since(offset), None)
        if found is None:
            raise ValueError(f"{self.path}: there is no record at offset {offset}")
        return found

    def first(self) -> Record | None:
        """The first whole record."""
        return next(iter(self), None)

    def last(self) -> Record | None:
        """The last whole record. The ones before it are skipped, not read."""
        spans: deque[tuple[int, int]] = deque(maxlen=1)
        try:
            with opened(self.path) as file:
                spans.extend(self._spans(file))
                if not spans:
                    return None
                offset, length = spans[0]
                file.seek(offset)
                return Record(self.path, offset, file.read(length))
        except Altered:
            self.tail = Tail(self.path, sum(spans[0]) if spans else 0, torn=False)
            return None

    def _spans(self, file: BinaryIO, offset: int = 0) -> Iterator[tuple[int, int]]:
        """Where each record begins, and its length in bytes."""
        size = file.seek(0, 2)
        while offset < size:
            length = frame_length(file, offset)
            if length is None or (offset + length <= size and not ends_record(file, offset + length)):
                # A power cut may leave a file longer than what was written of it: nothing of ours ends in NUL.
                file.seek(size - 1)
                self.tail = Tail(self.path, offset, torn=file.read(1) == b"\0")
                return
            if offset + length > size:
                self.tail = Tail(self.path, offset, torn=True)
                return
            yield offset, length
            offset += length


def opened(path: Path) -> BinaryIO:
    """A record file as it was written, whether it is compressed or encrypted by now. One that was read a moment ago may
    have been put away meanwhile: then what it became.

    Raises OSError, Altered where what was put away is not as it was, RecordingLocked.
    """
    for each in (path, *forms(path)):
        try:
            file = each.open("rb")
        except FileNotFoundError:
            continue
        try:
            return unwrapped(file, each.name.removeprefix(base(each)), secrets_of(os.environ))
        except RecordingLocked as locked:
            file.close()
            raise RecordingLocked(f"{each}: {locked}") from None
        except OSError:
            file.close()
            raise
    raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))


def unwrapped(file: BinaryIO, form: str, secrets: Sequence[str]) -> BinaryIO:
    """What an open file in this form (`.zst.enc`) was before. Raises OSError, Altered, RecordingLocked."""
    found: Any = file
    if form.endswith(ENCRYPTED):
        found = io.BufferedReader(Decrypted(found, secrets))
    if form.startswith(COMPRESSED):
        found = io.BufferedReader(Decompressed(found), FRAME)
    return cast("BinaryIO", found)


def base(path: Path) -> str:
    """The name that a record file had when it was written."""
    return path.name.removesuffix(ENCRYPTED).removesuffix(COMPRESSED)


def forms(path: Path) -> list[Path]:
    """What a record file may be called, as it was written first."""
    name = base(path)
    return [path.with_name(name + form) for form in ("", COMPRESSED, ENCRYPTED, COMPRESSED + ENCRYPTED)]


def frame_length(file: BinaryIO, offset: int) -> int | None:
    """The length of the tnetstring at `offset`, which may be more than there is; None when there is none."""
    file.seek(offset)
    head = file.read(PREFIX_DIGITS + 1)
    digits, colon, _ = head.partition(b":")
    if digits and not digits.isdigit():
        return None
    if not colon:
        return None if len(head) > PREFIX_DIGITS else len(head) + 1
    return len(digits) + 1 + int(digits) + 1 if digits else None


def ends_record(file: BinaryIO, end: int) -> bool:
    """Whether a dictionary ends here, as every flow does."""
    file.seek(end - 1)
    return file.read(1) == b"}"


def in_order(directory: Path) -> list[Path]:
    """The record files of a directory by the place of their first record in the chain, then by name.

    Not by name alone: a clock may have been set back. A file whose first record cannot be read stands behind those with
    a lower NNNN in their names, or last where its name has none. Of one that is just being put away there may be two
    forms: the first that was written counts.
    """
    # Twice: a listing may miss both names of a file that is put away meanwhile.
    names = {base(path): path for _ in range(2) for path in directory.iterdir() if base(path).endswith(SUFFIX)}
    written = [next((form for form in forms(path) if form.exists()), None) for path in names.values()]
    numbers = {path: first_number(path) for path in written if path is not None}
    known = sorted((sequence(path), number) for path, number in numbers.items() if number != math.inf)

    def place(path: Path) -> tuple[float, float, str]:
        if numbers[path] != math.inf or sequence(path) == math.inf:
            return numbers[path], 0, path.name
        before = [number for other, number in known if other < sequence(path)]
        return max(before, default=0), sequence(path), path.name

    return sorted(numbers, key=place)


def sequence(path: Path) -> float:
    """NNNN of a name that `new_path` gave; infinity of any other."""
    match = NAME.fullmatch(base(path))
    return int(match[1]) if match else math.inf


def first_number(path: Path) -> float:
    """The place of a file's first record in the chain; infinity where that cannot be read."""
    try:
        first = RecordFile(path).first()
    except RecordingLocked:
        return math.inf
    return math.inf if first is None or first.number is None else first.number
