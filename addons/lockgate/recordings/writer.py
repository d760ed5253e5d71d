"""Journal and record files of one run, written by one thread. Everything here blocks, and raises OSError.

What belongs here: in which order things reach the disk. What never does: threads, asyncio, retries (`recorder.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from lockgate.errors import RecordingLocked, SetupError
from lockgate.recordings import chain
from lockgate.recordings.chain import START, Link
from lockgate.recordings.checkpoints import EVENT, Marking, checkpoint
from lockgate.recordings.disk import AppendFile, DirectoryLock, make_directory
from lockgate.recordings.dump import State, event_state, loads, stopped_state
from lockgate.recordings.files import COMPRESSED, ENCRYPTED, JOURNAL, LOCK, SUFFIX, TORN_SUFFIX, new_path
from lockgate.recordings.journal import SEGMENT_SIZE, Entry, Journal, OpenIntent, discard
from lockgate.recordings.journal import State as Step
from lockgate.recordings.repair import repair

INDEX = ".index.sqlite"
DRAFT = ".draft"
ROTATE = 256 * 1024 * 1024  # bytes
OURS = frozenset({"README.md", JOURNAL, LOCK, "generations", INDEX})


@dataclass(frozen=True, slots=True)
class Finished:
    """A flow that has come to its end: its record, None where there is none to write, and how its intent ended."""

    flow_id: str
    state: State | None
    outcome: Step


class Writer:
    """Owns a recordings directory from `open` to `close`. `syncs` counts fsyncs of journal and record files."""

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], float],
        segment_size: int = SEGMENT_SIZE,
        marking: Marking | None = None,
        rotate: int = ROTATE,
        closed: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """Without `marking` there are no checkpoints in the chain. A file that has `rotate` bytes gets no more records;
        `closed` is told of each to which nothing more is written.
        """
        self._directory = directory
        self._marking = marking
        self._marked = 0  # the number of the last checkpoint
        self._rotate = rotate
        self._closed = closed
        self._clock = clock
        self._segment_size = segment_size
        self._lock: DirectoryLock | None = None
        self._journal: Journal | None = None
        self._file: AppendFile | None = None
        self._day: date | None = None
        self._ends: list[Entry] = []
        self._syncs = 0
        self.link = START

    @property
    def syncs(self) -> int:
        return self._syncs + (self._journal.syncs if self._journal else 0)

    def open(self, details: Mapping[str, Any]) -> None:
        """Take the directory, repair what an earlier run left, and record the start with `details`.

        Raises SetupError, with nothing left open, when another process writes there or the disk does not let us.
        """
        try:
            self._acquire()
            survey = repair(self._directory)
            if self._marking and survey.link.number < self._marking.reached.number:
                survey.findings["rolled_back"] = {"from": survey.link.number + 1, "to": self._marking.reached.number}
                survey.link = self._marking.reached  # so that the gap stays
            self.link = survey.link
            self._marked = survey.link.number
            self._journal = Journal(self._directory / JOURNAL, self.link, self._clock(), self._segment_size)
            start = event_state("start", {**details, "repaired": len(survey.intents), **survey.findings}, self._clock())
            self._write([start, *(self._stopped(intent) for intent in survey.intents)])
            self.settle()
            self._journal.sync()
            discard(survey.journal)
        except (OSError, ValueError, RecordingLocked) as error:
            self._release()
            raise SetupError(f"{self._directory}: recordings cannot be written here: {describe(error)}") from error
        except SetupError:
            self._release()
            raise

    def _acquire(self) -> None:
        make_directory(self._directory, OURS, (SUFFIX, TORN_SUFFIX, COMPRESSED, ENCRYPTED, DRAFT))
        path = self._directory / LOCK
        try:
            self._lock = DirectoryLock(path)
        except BlockingIOError:
            holder = path.read_text().strip()
            raise SetupError(
                f"{self._directory}: another gateway (process {holder}) records here; give each one a directory"
            ) from None

    def _stopped(self, intent: OpenIntent) -> State:
        try:
            return stopped_state(loads(intent.payload), intent.sending, self._clock())
        except (ValueError, KeyError, TypeError) as error:
            return self._unrecordable(intent.flow_id, error)

    def _unrecordable(self, flow_id: str, error: Exception) -> State:
        return event_state("unrecordable", {"flow_id": flow_id, "error": type(error).__name__}, self._clock())

    def write_intents(self, intents: Sequence[tuple[str, bytes]]) -> None:
        """Journal intents. They are durable when this returns; when it raises, none may be acted upon."""
        journal = self._opened()
        journal.roll(self.link, self._clock())
        now = self._clock()
        for flow_id, payload in intents:
            journal.append(Entry(Step.INTENT, now, flow_id, payload))
        journal.sync()

    def mark_sending(self, flow_id: str) -> None:
        """Journal that an intent is being sent now. From any thread; survives a kill, not a power cut."""
        self._opened().append(Entry(Step.SENDING, self._clock(), flow_id))

    def write_records(self, finished: Sequence[Finished]) -> None:
        """Append records to the dump, durably; all of them or, when this raises, none. `settle` must follow."""
        self._write([entry.state for entry in finished if entry.state is not None])
        now = self._clock()
        journal = self._opened()
        self._ends += [Entry(end.outcome, now, end.flow_id) for end in finished if journal.is_open(end.flow_id)]

    def settle(self) -> None:
        """Journal the ends of intents whose records are durable, and how far the chain goes."""
        journal = self._opened()
        while self._ends:
            journal.append(self._ends[0])
            del self._ends[0]
        journal.append(Entry(Step.HEAD, self._clock(), "", self.link.encode()))

    def recover(self) -> None:
        """Make the directory writable again after a fault: what was not durable is cut off and must be written anew."""
        if self._lock is None or not self._lock.in_place():
            if self._lock:
                self._lock.close()
                self._lock = None
            self._acquire()
        if self._file:
            try:
                self._file.require_in_place()
            except FileNotFoundError:
                self._close_file()
            else:
                self._file.truncate(self._file.durable)
        self._opened().begin_segment(self.link, self._clock())

    def close(self) -> None:
        """Sign how far the chain has come, make the journal durable, and let go of the directory."""
        try:
            if self._journal:
                self._write([], last=True)
                self.settle()
                self._journal.sync()
        finally:
            self._release()

    def _release(self) -> None:
        self._close_file()
        if self._journal:
            self._syncs += self._journal.syncs
            self._journal.close()
            self._journal = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def _write(self, states: Sequence[State], *, last: bool = False) -> None:
        """`last`: how far the chain has come is signed in any case."""
        if not states and not (last and self._marking and self.link.number > self._marked):
            return
        file = self._file_of_today()
        link, marked = self.link, None
        try:
            for state in states:
                data, link = self._sealed(state, link)
                file.append(data)
            if self._marking and link.number - self._marked >= (1 if last else self._marking.every):
                marked = checkpoint(self._marking.signer, link, self._clock())
                data, link = self._sealed(event_state(EVENT, marked, self._clock()), link)
                file.append(data)
            self._syncs += 1
            file.sync()
        except OSError:
            file.truncate(file.durable)
            raise
        self.link = link
        if self._marking and marked:
            self._marked = link.number
            self._marking.told(marked)

    def _sealed(self, state: State, link: Link) -> tuple[bytes, Link]:
        try:
            return chain.seal(state, link)
        except (ValueError, TypeError, KeyError) as error:
            return chain.seal(self._unrecordable(str(state.get("id")), error), link)

    def _file_of_today(self) -> AppendFile:
        """The file that records go to: a new one at the start, with each UTC day, and when it is full."""
        now = self._clock()
        today = datetime.fromtimestamp(now, UTC).date()
        if self._file is None or today != self._day or self._file.size >= self._rotate:
            file = AppendFile(new_path(self._directory, now))
            full = self._file.path if self._file else None
            self._close_file()
            self._file, self._day = file, today
            if full is not None:
                self._closed(full)
        return self._file

    def _close_file(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _opened(self) -> Journal:
        if self._journal is None:
            raise OSError("the recording is not open")
        return self._journal


def describe(error: Exception) -> str:
    """One line for an operator, without the traceback's noise."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
