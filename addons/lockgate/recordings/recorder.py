"""The recorder: what the gateway hands its records to. One thread writes; nobody waits for the disk but intents.

Group commit: whatever has gathered while the disk was busy is made durable by one fsync. After a fault of the disk
intents are refused and records kept, within bounds, until the disk takes them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import Any, Literal

from lockgate.errors import RecordingUnavailable, SetupError
from lockgate.recordings.checkpoints import Marking
from lockgate.recordings.dump import State, event_state
from lockgate.recordings.journal import SEGMENT_SIZE
from lockgate.recordings.journal import State as Step
from lockgate.recordings.tnetstring import dumps
from lockgate.recordings.writer import ROTATE, Finished, Writer, describe

log = logging.getLogger(__name__)

Outcome = Literal["done", "failed", "not-sent"]
OUTCOMES: Mapping[Outcome, Step] = {"done": Step.DONE, "failed": Step.FAILED, "not-sent": Step.NOT_SENT}

PENDING_RECORDS = 10_000
PENDING_BYTES = 256 * 1024 * 1024
RETRY = 1.0  # seconds between attempts after a fault
RECORD_DELAY = 0.05  # seconds that records wait at most while intents keep coming
OVERHEAD = 4096  # bytes a state takes beside its bodies, about
SOON = 0.005  # seconds until a record that nobody waits for is made


@dataclass(slots=True)
class Waiting:
    """An intent, and who waits for it. The future belongs to the loop and is only touched there."""

    flow_id: str
    state: State
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


class Recorder:
    """Records of one directory. `start` before, `close` after; everything between is safe from any thread.

    States handed over must not be changed afterwards. `pending_records` and `pending_bytes` bound what is kept in
    memory while the disk takes nothing; what goes beyond is dropped, counted, and the count recorded. With `marking`
    how far the chain has come is signed now and then. `rotate` and `closed` as in `Writer`.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        clock: Callable[[], float] = time.time,
        retry: float = RETRY,
        segment_size: int = SEGMENT_SIZE,
        pending_records: int = PENDING_RECORDS,
        pending_bytes: int = PENDING_BYTES,
        marking: Marking | None = None,
        rotate: int = ROTATE,
        closed: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._retry = retry
        self._max_records = pending_records
        self._max_bytes = pending_bytes
        self._writer = Writer(Path(directory), clock, segment_size, marking, rotate, closed)
        self._thread: Thread | None = None
        # `_wake` guards everything below.
        self._wake = Condition()
        self._intents: deque[Waiting] = deque()
        self._records: deque[tuple[Finished, int]] = deque()
        self._bytes = 0
        self._dropped = 0
        self._fault: str | None = "the recording has not started"
        self._fault_since = 0.0
        self._closing = False
        # Only the loop's thread touches this.
        self._unmade: deque[tuple[str, Callable[[], State], Outcome]] = deque()
        # Only the writer's thread touches these.
        self._taken: list[Waiting] = []
        self._written = time.monotonic()

    @property
    def healthy(self) -> bool:
        """Whether intents are taken: False before the start, after a fault until all is written, and once closed."""
        return self._fault is None and not self._closing

    @property
    def syncs(self) -> int:
        """How many times a file was made durable so far."""
        return self._writer.syncs

    def start(self, details: Mapping[str, Any] | None = None) -> None:
        """Repair what an earlier run left, record the start with `details`, and begin to write.

        Blocks on the disk. Raises SetupError when the directory cannot be written or another process has it.
        """
        self._writer.open(details or {})
        self._fault = None
        self._thread = Thread(target=self._run, name="lockgate-recorder", daemon=True)
        self._thread.start()

    async def intent(self, flow_id: str, state: State) -> None:
        """Return once the intent to send this flow is durable: only then may it be sent.

        `finish` must follow. Raises RecordingUnavailable when it cannot be made durable. A caller that is cancelled
        meanwhile has sent nothing, and the journal says so.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._wake:
            if self._fault or self._closing:
                raise RecordingUnavailable(self._fault or "the recording is closed")
            self._intents.append(Waiting(flow_id, state, loop, future))
            self._wake.notify()
        try:
            await future
        except asyncio.CancelledError:
            self._withdraw([flow_id])
            raise

    def sending(self, flow_id: str) -> None:
        """Note that the first byte is about to go out. A kill of the process does not lose this.

        Raises RecordingUnavailable when it cannot be noted.
        """
        try:
            self._writer.mark_sending(flow_id)
        except OSError as error:
            self._fail(error)
            raise RecordingUnavailable(describe(error)) from error

    def finish(self, flow_id: str, state: State, outcome: Outcome) -> None:
        """Queue the record of a flow that has come to its end, whether there was an intent or not. Never blocks.

        Raises RecordingUnavailable after `close`: an intent of it is then recorded at the next start.
        """
        self._queue(Finished(flow_id, state, OUTCOMES[outcome]))

    def finish_soon(self, flow_id: str, make: Callable[[], State], outcome: Outcome) -> None:
        """As `finish`, with a state that is made a moment later, by the loop's thread: its answer need not wait for it.

        Where it cannot be made the intent stays open, so that the next start makes a record of it.
        """
        if self._closing:
            raise RecordingUnavailable("the recording is closed")
        self._unmade.append((flow_id, make, outcome))
        asyncio.get_running_loop().call_later(SOON, self._make_next)

    def _make_next(self) -> None:
        if not self._unmade:
            return  # `close` has made it
        flow_id, make, outcome = self._unmade.popleft()
        try:
            try:
                self.finish(flow_id, make(), outcome)
            except (ValueError, TypeError, KeyError) as error:
                self.event("unrecordable", {"flow_id": flow_id, "error": type(error).__name__})
        except RecordingUnavailable as error:
            log.error("recordings: %s; what was sent is recorded at the next start", error)  # noqa: TRY400

    def event(self, kind: str, details: Mapping[str, Any]) -> None:
        """Queue the record of something that is no flow: `reload`, `approval`. `details`: plain values.

        Raises RecordingUnavailable after `close`.
        """
        state = event_state(kind, details, self._clock())
        self._queue(Finished(state["id"], state, Step.DONE))

    async def durable_event(self, kind: str, details: Mapping[str, Any]) -> None:
        """As `event`, and return once it is durable: for what must not take effect unrecorded.

        Raises RecordingUnavailable when it cannot be made durable.
        """
        state = event_state(kind, details, self._clock())
        await self.intent(state["id"], state)
        self.finish(state["id"], state, "done")

    def close(self) -> None:
        """Write what is queued and a stop event, and let go of the directory. Blocks on the disk.

        Raises RecordingUnavailable when records were lost, with their number.
        """
        if self._thread is None:
            return
        while self._unmade:
            self._make_next()
        self.event("stop", {})
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._thread = None
        try:
            self._writer.close()
        except OSError as error:
            self._fail(error)
        lost = len(self._records) + self._dropped
        if self._fault:
            raise RecordingUnavailable(f"{lost} records were lost: {self._fault}")

    def _withdraw(self, flow_ids: Sequence[str]) -> None:
        with self._wake:
            self._records.extend((Finished(flow_id, None, Step.NOT_SENT), 0) for flow_id in flow_ids)
            self._wake.notify()

    def _queue(self, finished: Finished) -> None:
        weight = weigh(finished.state) if finished.state else 0
        with self._wake:
            if self._closing:
                raise RecordingUnavailable("the recording is closed")
            if len(self._records) >= self._max_records or self._bytes + weight > self._max_bytes:
                # An intent of it stays open in the journal, so that the next start makes a record of it.
                self._dropped += 1
                return
            self._records.append((finished, weight))
            self._bytes += weight
            self._wake.notify()

    def _fail(self, error: Exception) -> None:
        """From now on intents are refused, until `_recover` has written everything."""
        with self._wake:
            first = self._fault is None
            if first:
                self._fault_since = self._clock()
            self._fault = describe(error)
            self._wake.notify()
        if first:
            log.error("recordings: %s; requests are refused until they can be recorded", describe(error))

    # What follows runs in the writer's thread.

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:
            self._fail(RuntimeError(f"the writer stopped: {type(error).__name__}"))
            with self._wake:
                self._closing = True
                waiting = [*self._taken, *self._take_intents()]
            answer(waiting, "the writer stopped")
            log.exception("recordings: the writer stopped")

    def _turn(self) -> bool:
        """Write what has gathered; False when there is nothing more to do."""
        with self._wake:
            if self._fault:
                self._wake.wait_for(lambda: self._closing, self._retry)
            else:
                self._wake.wait_for(lambda: self._intents or self._records or self._fault or self._closing)
            waiting = self._taken = self._take_intents()
            fault, closing = self._fault, self._closing
        if fault:
            answer(waiting, fault)
            recovered = self._recover()
            return not closing or (recovered and bool(self._records))
        self._commit_intents(waiting)
        if closing or not self._intents or time.monotonic() - self._written > RECORD_DELAY:
            self._commit_records()
        return not closing or bool(self._records and not self._fault)

    def _take_intents(self) -> list[Waiting]:
        waiting = list(self._intents)
        self._intents.clear()
        return waiting

    def _commit_intents(self, waiting: Sequence[Waiting]) -> None:
        taken, intents = [], []
        for one in waiting:
            try:
                intents.append((one.flow_id, dumps(one.state)))
                taken.append(one)
            except (ValueError, TypeError) as error:
                answer([one], f"the request cannot be recorded: {type(error).__name__}")
        if not intents:
            return
        try:
            self._writer.write_intents(intents)
        except OSError as error:
            self._fail(error)
            # Some may have reached the disk all the same: their end is journalled once the disk takes it.
            self._withdraw([one.flow_id for one in taken])
            answer(taken, describe(error))
        else:
            answer(taken, None)

    def _commit_records(self, first: Sequence[Finished] = ()) -> bool:
        """Write `first` and all that is queued; False when the disk did not take it, and it stays queued."""
        with self._wake:
            batch = list(self._records)
            dropped = self._dropped
        finished = [*first, *(one for one, _ in batch)]
        if dropped:
            finished.append(self._event("dropped", {"records": dropped}))
        if not finished:
            return True
        try:
            self._writer.write_records(finished)
            self._written = time.monotonic()
            with self._wake:
                for _ in batch:
                    self._bytes -= self._records.popleft()[1]
                self._dropped -= dropped
            self._writer.settle()
        except OSError as error:
            self._fail(error)
            return False
        return True

    def _recover(self) -> bool:
        """Try to write everything that is pending, with a note of the fault; True when intents are taken again."""
        try:
            self._writer.recover()
        except (OSError, SetupError) as failure:
            self._fail(failure)
            return False
        if not self._commit_records([self._event("recovered", {"since": self._fault_since, "error": self._fault})]):
            return False
        with self._wake:
            self._fault = None
        log.warning("recordings: written again; requests are taken again")
        return True

    def _event(self, kind: str, details: Mapping[str, Any]) -> Finished:
        state = event_state(kind, details, self._clock())
        return Finished(state["id"], state, Step.DONE)


def answer(waiting: Sequence[Waiting], refusal: str | None) -> None:
    """Tell each loop what became of its intents, with one call a loop. `refusal` says why they were not taken."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for one in waiting:
        loops.setdefault(one.loop, []).append(one.future)
    for loop, futures in loops.items():
        try:
            loop.call_soon_threadsafe(resolve, futures, refusal)
        except RuntimeError:
            log.debug("recordings: a loop is closed; nobody waits in it any more")


def resolve(futures: Sequence[asyncio.Future[None]], refusal: str | None) -> None:
    for future in futures:
        if future.done():
            continue
        if refusal is None:
            future.set_result(None)
        else:
            future.set_exception(RecordingUnavailable(refusal))


def weigh(state: State) -> int:
    """About how many bytes a state takes in memory."""
    parts: list[Any] = []
    for side in ("request", "response"):
        message = state.get(side) or {}
        parts += [message.get("content"), message.get("path")]
        parts += [part for header in message.get("headers") or () for part in header]
    for messages in (state.get("messages"), (state.get("websocket") or {}).get("messages")):
        parts += [part for message in messages or () for part in message]
    return OVERHEAD + sum(len(part) for part in parts if isinstance(part, bytes))
