"""The journal of intents: what was about to be sent, durable before it is, until its record is.

An append-only sequence of frames in segments `DIR/journal/NNNNNNNN.journal`. A segment is written by one process from
its start on and never reopened; the oldest go once every intent up to them has come to an end.

    segment  "LGJ1\\n" frame*
    frame    length (u32) crc32 (u32) body            little-endian; length and CRC are of the body
    body     state (u8) time (f64) id length (u16) id payload

What belongs here: framing, and which intents are open. What never does: what a payload means, mitmproxy.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from threading import Lock

from lockgate.recordings.chain import START, Link
from lockgate.recordings.disk import AppendFile, make_directory
from lockgate.state import sync_directory

MAGIC = b"LGJ1\n"
SUFFIX = ".journal"
SEGMENT_SIZE = 64 * 1024 * 1024
FRAME = struct.Struct("<II")
BODY = struct.Struct("<BdH")


class State(IntEnum):
    """What a frame says. `HEAD`: how far the chain of durable records goes; its payload is a link."""

    INTENT = 1
    SENDING = 2
    DONE = 3
    FAILED = 4
    NOT_SENT = 5
    HEAD = 6


ENDS = frozenset({State.DONE, State.FAILED, State.NOT_SENT})


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame: `time` in seconds since the epoch; `payload` only in `INTENT` and `HEAD`."""

    state: State
    time: float
    flow_id: str
    payload: bytes = b""

    def encode(self) -> bytes:
        identifier = self.flow_id.encode()
        body = BODY.pack(self.state, self.time, len(identifier)) + identifier + self.payload
        return FRAME.pack(len(body), zlib.crc32(body)) + body


class Segment:
    """What can be read of one segment. After iterating, `torn` says whether bytes behind the last frame are none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = False

    def __iter__(self) -> Iterator[Entry]:
        data = self.path.read_bytes()
        position = len(MAGIC)
        self.torn = data[:position] != MAGIC
        while not self.torn and position < len(data):
            entry = decode(data, position)
            if entry is None:
                self.torn = True
            else:
                position += FRAME.size + entry[1]
                yield entry[0]


def decode(data: bytes, position: int) -> tuple[Entry, int] | None:
    """The frame at `position` and its body's length; None when it is cut short or damaged."""
    if len(data) - position < FRAME.size:
        return None
    length, checksum = FRAME.unpack_from(data, position)
    body = memoryview(data)[position + FRAME.size : position + FRAME.size + length]
    if len(body) != length or length < BODY.size or zlib.crc32(body) != checksum:
        return None
    state, time, size = BODY.unpack_from(body)
    identifier = bytes(body[BODY.size : BODY.size + size]).decode()
    return Entry(State(state), time, identifier, bytes(body[BODY.size + size :])), length


@dataclass(slots=True)
class OpenIntent:
    """An intent that has not come to an end, and whether `sending` was seen."""

    flow_id: str
    time: float
    payload: bytes
    sending: bool = False


@dataclass(slots=True)
class Replay:
    """What the segments on the disk say. `base` is the chain's head when the oldest of them began, `head` the last.

    `ended` are flows whose records were durable when that was noted, with how far the chain had come by then: the
    number in the head that was noted next, infinity where there is none.
    """

    intents: dict[str, OpenIntent] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    noted: list[str] = field(default_factory=list)  # those that ended since the last head
    base: Link | None = None
    head: Link = START
    segments: list[Path] = field(default_factory=list)


def segments(directory: Path) -> list[Path]:
    """The segments of a journal directory, oldest first; none where there is no such directory."""
    return sorted((path for path in directory.glob(f"*{SUFFIX}") if path.stem.isdigit()), key=lambda p: int(p.stem))


def replay(directory: Path) -> Replay:
    """Read a journal, also while it is written. Raises OSError."""
    result = Replay()
    for path in segments(directory):
        try:
            for entry in Segment(path):
                follow(result, entry)
        except FileNotFoundError:
            continue  # its writer was done with it meanwhile
        result.segments.append(path)
    return result


def follow(result: Replay, entry: Entry) -> None:
    if entry.state is State.INTENT:
        result.intents[entry.flow_id] = OpenIntent(entry.flow_id, entry.time, entry.payload)
    elif entry.state is State.SENDING:
        if entry.flow_id in result.intents:
            result.intents[entry.flow_id].sending = True
    elif entry.state is State.HEAD:
        result.head = Link.decode(entry.payload)
        result.base = result.base or result.head
        result.ended.update(dict.fromkeys(result.noted, result.head.number))
        result.noted.clear()
    else:
        result.intents.pop(entry.flow_id, None)
        if entry.state is not State.NOT_SENT:  # of one that was withdrawn there is no record
            result.ended[entry.flow_id] = math.inf
            result.noted.append(entry.flow_id)


class Journal:
    """The journal as it is written. `append` may be called from any thread, everything else from the writer's.

    Every method raises OSError. `syncs` counts fsyncs.
    """

    def __init__(self, directory: Path, link: Link, now: float, segment_size: int = SEGMENT_SIZE) -> None:
        self.directory = directory
        self.syncs = 0
        self._segment_size = segment_size
        self._lock = Lock()
        self._segments: list[Path] = []
        self._open: dict[str, Path] = {}
        self._file: AppendFile | None = None
        self.begin_segment(link, now)

    def begin_segment(self, link: Link, now: float) -> None:
        """Go on in a new segment, which is on the disk with its head when this returns."""
        make_directory(self.directory, suffixes=(SUFFIX,))
        # Above this journal's own too: a number is not used again after somebody deleted the directory.
        number = 1 + max((int(path.stem) for path in (*segments(self.directory), *self._segments)), default=0)
        file = AppendFile(self.directory / f"{number:08d}{SUFFIX}")
        try:
            file.append(MAGIC)
            file.append(Entry(State.HEAD, now, "", link.encode()).encode())
            file.sync()
        except OSError:
            file.close()
            file.path.unlink(missing_ok=True)
            raise
        with self._lock:
            previous, self._file = self._file, file
            self._segments.append(file.path)
        if previous:
            previous.close()
        self._prune()

    def roll(self, link: Link, now: float) -> None:
        """Begin a new segment when this one is full."""
        if self._current.size >= self._segment_size:
            self.begin_segment(link, now)
        elif len(self._segments) > 1:
            self._prune()

    def _prune(self) -> None:
        """Delete the oldest segments while nothing in them is open. Only the oldest: later ones hold their ends."""
        with self._lock:
            needed = set(self._open.values())
            keep = next((i for i, path in enumerate(self._segments) if path in needed), len(self._segments) - 1)
            finished, self._segments = self._segments[:keep], self._segments[keep:]
        for path in finished:
            path.unlink(missing_ok=True)

    def append(self, entry: Entry) -> None:
        """Hand one entry to the operating system, without waiting for the disk."""
        data = entry.encode()
        with self._lock:
            self._current.append(data)
            if entry.state is State.INTENT:
                self._open[entry.flow_id] = self._current.path
            elif entry.state in ENDS:
                self._open.pop(entry.flow_id, None)

    def is_open(self, flow_id: str) -> bool:
        return flow_id in self._open

    def sync(self) -> None:
        """Return once every entry appended before is on the disk."""
        self.syncs += 1
        self._current.sync()

    def close(self) -> None:
        self._current.close()

    @property
    def _current(self) -> AppendFile:
        if self._file is None:
            raise AssertionError("begin_segment sets it")
        return self._file


def discard(replayed: Replay) -> None:
    """Delete segments whose intents have all been recorded elsewhere. Raises OSError."""
    for path in replayed.segments:
        path.unlink(missing_ok=True)
    if replayed.segments:
        sync_directory(replayed.segments[0].parent)
