from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.io import FlowReader

from lockgate.errors import RecordingUnavailable, SetupError
from lockgate.recordings.files import JOURNAL, Record, RecordFile, in_order
from lockgate.recordings.journal import replay
from lockgate.recordings.recorder import Outcome, Recorder
from lockgate.recordings.verify import verify

MakeState = Callable[..., dict[str, Any]]


def records(directory: Path) -> list[Record]:
    return [record for path in in_order(directory) for record in RecordFile(path)]


def ids(directory: Path) -> list[str]:
    """The flows recorded, events left out."""
    return [r.state["id"] for r in records(directory) if r.state and "event" not in r.lockgate]


def events(directory: Path) -> list[str]:
    return [r.lockgate["event"] for r in records(directory) if "event" in r.lockgate]


async def until(condition: Callable[[], object]) -> None:
    """Poll, for ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to pass")


@pytest.mark.parametrize("outcome", ["done", "failed", "not-sent"])
async def test_a_request_from_intent_to_record(
    recorder: Recorder, directory: Path, make_state: MakeState, outcome: Outcome
) -> None:
    await recorder.intent("a", make_state("a", response=False))
    assert set(replay(directory / JOURNAL).intents) == {"a"}
    recorder.sending("a")
    assert replay(directory / JOURNAL).intents["a"].sending
    recorder.finish("a", make_state("a"), outcome)
    recorder.close()
    assert ids(directory) == ["a"]
    assert replay(directory / JOURNAL).intents == {}
    assert events(directory) == ["start", "stop"]
    assert verify(directory).fault is None


async def test_a_record_is_made_when_nobody_waits(recorder: Recorder, directory: Path, make_state: MakeState) -> None:
    made = []

    def make() -> dict[str, Any]:
        made.append("a")
        return make_state("a")

    await recorder.intent("a", make_state("a", response=False))
    recorder.finish_soon("a", make, "done")
    assert made == []
    await until(lambda: ids(directory))
    recorder.close()
    assert made == ids(directory) == ["a"]
    assert replay(directory / JOURNAL).intents == {}


async def test_a_record_that_was_to_be_made_is_made_at_the_end(
    recorder: Recorder, directory: Path, make_state: MakeState
) -> None:
    for flow_id in "ab":
        await recorder.intent(flow_id, make_state(flow_id, response=False))
        recorder.finish_soon(flow_id, partial(make_state, flow_id), "done")
    recorder.close()
    assert ids(directory) == ["a", "b"]
    assert replay(directory / JOURNAL).intents == {}
    with pytest.raises(RecordingUnavailable, match="closed"):
        recorder.finish_soon("c", partial(make_state, "c"), "done")


async def test_an_intent_stays_open_where_no_record_can_be_made(
    recorder: Recorder, directory: Path, make_state: MakeState
) -> None:
    def make() -> dict[str, Any]:
        raise ValueError("078-05-1120")

    await recorder.intent("a", make_state("a", response=False))
    recorder.finish_soon("a", make, "done")
    recorder.close()
    assert events(directory) == ["start", "unrecordable", "stop"]
    assert set(replay(directory / JOURNAL).intents) == {"a"}
    assert b"078-05-1120" not in b"".join(path.read_bytes() for path in in_order(directory))


async def test_stock_mitmproxy_reads_everything(recorder: Recorder, directory: Path, make_state: MakeState) -> None:
    await recorder.intent("a", make_state("a", response=False))
    recorder.finish("a", make_state("a"), "done")
    recorder.event("reload", {"generation": "ab"})
    recorder.close()
    [path] = in_order(directory)
    with path.open("rb") as file:
        flows = list(FlowReader(file).stream())
    assert len(flows) == 4
    assert flows[1].id == "a"


async def test_an_event_that_must_not_be_lost(recorder: Recorder, directory: Path) -> None:
    await recorder.durable_event("reload", {"to": "ab"})
    recorder.close()
    assert events(directory) == ["start", "reload", "stop"]
    assert replay(directory / JOURNAL).intents == {}
    assert verify(directory).fault is None
    with pytest.raises(RecordingUnavailable):
        await recorder.durable_event("reload", {"to": "cd"})


async def test_an_event_survives_a_kill(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(directory)
    recorder.start()
    monkeypatch.setattr(recorder, "finish", lambda *arguments: None)  # it never comes to that
    await recorder.durable_event("reload", {"to": "ab"})
    recorder.close()
    again = Recorder(directory)
    again.start()
    again.close()
    assert events(directory) == ["start", "stop", "start", "reload", "stop"]


async def test_a_refusal_needs_no_intent(recorder: Recorder, directory: Path, make_state: MakeState) -> None:
    recorder.finish("a", make_state("a"), "not-sent")
    await until(lambda: ids(directory) == ["a"])


async def test_one_fsync_serves_many(recorder: Recorder, directory: Path, make_state: MakeState) -> None:
    states = [make_state(f"f{number}", response=False) for number in range(1000)]
    before = recorder.syncs
    await asyncio.gather(*(recorder.intent(state["id"], state) for state in states))
    assert recorder.syncs - before <= 10
    assert len(replay(directory / JOURNAL).intents) == 1000


async def test_finishing_does_not_wait_for_the_disk(
    recorder: Recorder, make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.3)
        fsync(descriptor)

    state = make_state("a")
    monkeypatch.setattr(os, "fsync", slow)
    recorder.finish("a", state, "done")
    await asyncio.sleep(0.05)
    began = time.monotonic()
    recorder.finish("b", state, "done")
    assert time.monotonic() - began < 0.1


async def test_a_cancelled_intent_was_not_sent(recorder: Recorder, directory: Path, make_state: MakeState) -> None:
    task = asyncio.create_task(recorder.intent("a", make_state("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    recorder.close()
    assert replay(directory / JOURNAL).intents == {}
    assert ids(directory) == []


async def test_a_state_that_cannot_be_serialised_is_refused_alone(recorder: Recorder, make_state: MakeState) -> None:
    bad = recorder.intent("bad", {"id": object()})
    good = recorder.intent("good", make_state("good"))
    results = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(results[0], RecordingUnavailable)
    assert results[1] is None
    assert recorder.healthy


async def test_before_the_start_and_after_the_end_nothing_is_taken(directory: Path, make_state: MakeState) -> None:
    recorder = Recorder(directory)
    assert not recorder.healthy
    with pytest.raises(RecordingUnavailable):
        await recorder.intent("a", make_state("a"))
    recorder.start()
    assert recorder.healthy
    recorder.close()
    recorder.close()
    assert not recorder.healthy
    with pytest.raises(RecordingUnavailable):
        await recorder.intent("a", make_state("a"))
    with pytest.raises(RecordingUnavailable):
        recorder.sending("a")
    with pytest.raises(RecordingUnavailable):
        recorder.finish("a", make_state("a"), "done")


def test_two_processes_on_one_directory(recorder: Recorder, directory: Path) -> None:
    script = "import sys; from lockgate.recordings.recorder import Recorder; Recorder(sys.argv[1]).start()"
    result = subprocess.run([sys.executable, "-c", script, directory], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert f"another gateway (process {os.getpid()}) records here" in result.stderr
    with pytest.raises(SetupError):
        Recorder(directory).start()


# Faults of the disk.


class Disk:
    """Lets fsync, write or both fail with an errno until it is repaired."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._real = {name: getattr(os, name) for name in ("fsync", "write", "ftruncate")}
        self.calls = 0

    def break_(self, number: int, *names: str) -> None:
        def refuse(*arguments: object) -> None:
            self.calls += 1
            raise OSError(number, os.strerror(number))

        for name in names:
            self._monkeypatch.setattr(os, name, refuse)

    def repair(self) -> None:
        for name, function in self._real.items():
            self._monkeypatch.setattr(os, name, function)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch):
    disk = Disk(monkeypatch)
    yield disk
    disk.repair()


@pytest.mark.parametrize(
    ("number", "calls"),
    [
        pytest.param(28, ["write"], id="full"),
        pytest.param(30, ["write", "ftruncate", "fsync"], id="read-only"),
        pytest.param(5, ["fsync"], id="fsync-fails"),
        pytest.param(5, ["write", "fsync"], id="io-error"),
    ],
)
async def test_intents_are_refused_until_the_disk_is_back(
    directory: Path, make_state: MakeState, disk: Disk, caplog: pytest.LogCaptureFixture, number: int, calls: list[str]
) -> None:
    recorder = Recorder(directory, retry=0.01)
    recorder.start()
    await recorder.intent("a", make_state("a", response=False))
    disk.break_(number, *calls)
    with pytest.raises(RecordingUnavailable, match=os.strerror(number)):
        await recorder.intent("b", make_state("b", response=False))
    assert not recorder.healthy
    recorder.finish("a", make_state("a"), "done")
    with pytest.raises(RecordingUnavailable):
        await recorder.intent("c", make_state("c", response=False))
    tried = disk.calls
    await until(lambda: disk.calls > tried + 1)
    assert not recorder.healthy
    disk.repair()
    await until(lambda: recorder.healthy)
    await recorder.intent("d", make_state("d", response=False))
    recorder.finish("d", make_state("d"), "done")
    recorder.close()
    assert ids(directory) == ["a", "d"]
    assert events(directory) == ["start", "recovered", "stop"]
    assert replay(directory / JOURNAL).intents == {}
    assert verify(directory).fault is None
    messages = [entry.getMessage() for entry in caplog.records]
    assert messages == [
        f"recordings: {os.strerror(number)}; requests are refused until they can be recorded",
        "recordings: written again; requests are taken again",
    ]


async def test_a_fault_while_records_are_written(directory: Path, make_state: MakeState, disk: Disk) -> None:
    recorder = Recorder(directory, retry=0.01)
    recorder.start()
    disk.break_(28, "write")
    recorder.finish("a", make_state("a"), "not-sent")
    await until(lambda: not recorder.healthy)
    disk.repair()
    await until(lambda: recorder.healthy)
    recorder.close()
    assert ids(directory) == ["a"]
    assert verify(directory).fault is None


async def test_a_sending_that_cannot_be_noted_is_refused(directory: Path, make_state: MakeState, disk: Disk) -> None:
    recorder = Recorder(directory, retry=0.01)
    recorder.start()
    await recorder.intent("a", make_state("a", response=False))
    disk.break_(28, "write")
    with pytest.raises(RecordingUnavailable, match="No space"):
        recorder.sending("a")
    assert not recorder.healthy
    disk.repair()
    await until(lambda: recorder.healthy)
    recorder.sending("a")
    recorder.finish("a", make_state("a"), "done")
    recorder.close()
    assert ids(directory) == ["a"]


async def test_a_deleted_directory_is_noticed_and_made_again(
    directory: Path, make_state: MakeState, disk: Disk
) -> None:
    recorder = Recorder(directory, retry=0.01)
    recorder.start()
    shutil.rmtree(directory)
    with pytest.raises(RecordingUnavailable, match="No such file"):
        await recorder.intent("a", make_state("a"))
    await until(lambda: recorder.healthy)
    await recorder.intent("b", make_state("b", response=False))
    recorder.finish("b", make_state("b"), "done")
    recorder.close()
    assert ids(directory) == ["b"]
    report = verify(directory)
    assert report.fault
    assert report.fault.detail == "record 1 is missing before it; no tombstone says that they were pruned"


@pytest.mark.parametrize("bounds", [{"pending_records": 3}, {"pending_bytes": 3 * 4200}], ids=["records", "bytes"])
async def test_what_is_kept_is_bounded_and_what_is_dropped_counted(
    directory: Path, make_state: MakeState, disk: Disk, bounds: dict[str, int]
) -> None:
    recorder = Recorder(directory, retry=0.01, **bounds)
    recorder.start()
    disk.break_(28, "write")
    with pytest.raises(RecordingUnavailable):
        await recorder.intent("x", make_state("x"))
    for number in range(5):
        recorder.finish(f"f{number}", make_state(f"f{number}"), "not-sent")
    disk.repair()
    await until(lambda: recorder.healthy)
    recorder.close()
    kept = ids(directory)
    assert 1 <= len(kept) <= 3
    [dropped] = [r for r in records(directory) if r.lockgate.get("event") == "dropped"]
    assert dropped.state
    assert dropped.state["request"]["content"] == b'{\n  "records": %d\n}' % (5 - len(kept))


async def test_an_event_that_cannot_be_made_durable_is_not_recorded(directory: Path, disk: Disk) -> None:
    recorder = Recorder(directory, retry=0.01)
    recorder.start()
    disk.break_(28, "write")
    with pytest.raises(RecordingUnavailable, match="No space"):
        await recorder.durable_event("reload", {"to": "ab"})
    disk.repair()
    await until(lambda: recorder.healthy)
    recorder.close()
    assert events(directory) == ["start", "recovered", "stop"]


async def test_closing_on_a_broken_disk_says_what_was_lost(directory: Path, make_state: MakeState, disk: Disk) -> None:
    recorder = Recorder(directory, retry=0.01)
    recorder.start()
    disk.break_(28, "write")
    recorder.finish("a", make_state("a"), "not-sent")
    with pytest.raises(RecordingUnavailable, match="2 records were lost: No space"):
        recorder.close()


async def test_a_writer_that_dies_refuses(
    directory: Path, make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(directory)
    recorder.start()

    def crash(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(recorder._writer, "write_intents", crash)
    first = recorder.intent("a", make_state("a"))
    with pytest.raises(RecordingUnavailable, match="the writer stopped"):
        await asyncio.wait_for(first, 5)
    with pytest.raises(RecordingUnavailable):
        await recorder.intent("b", make_state("b"))
    assert not recorder.healthy
    with pytest.raises(RecordingUnavailable):
        recorder.close()


FULL = """
import asyncio, sys
from lockgate.errors import RecordingUnavailable
from lockgate.recordings.dump import flow_state
from lockgate.recordings.recorder import Recorder
from mitmproxy.test import tflow

async def main():
    recorder = Recorder(sys.argv[1], retry=0.01)
    recorder.start()
    for number in range(1000):
        flow = tflow.tflow()
        flow.id = f"f{number}"
        try:
            await recorder.intent(flow.id, flow_state(flow, {"version": 1}))
        except RecordingUnavailable:
            print("refused", flush=True)
            break
        print(flow.id, flush=True)
    assert not recorder.healthy

asyncio.run(main())
"""


def test_a_file_size_limit_of_the_system(directory: Path) -> None:
    """A real ENOSPC needs a file system of its own; EFBIG comes the same way."""
    result = subprocess.run(
        [sys.executable, "-c", FULL, directory],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert result.returncode == 0, result.stderr
    *acknowledged, last = result.stdout.split()
    assert last == "refused"
    assert len(acknowledged) > 3
    assert set(acknowledged) == set(replay(directory / JOURNAL).intents)


# Kill -9.

WORKER = """
import asyncio, sys
from lockgate.recordings.dump import flow_state
from lockgate.recordings.recorder import Recorder
from mitmproxy.test import tflow

def state(number):
    flow = tflow.tflow(resp=True)
    flow.id = f"f{number}"
    flow.request.content = b"x" * (number % 7 * 1000)
    return flow_state(flow, {"version": 1, "request_id": flow.id})

async def request(recorder, number):
    one = state(number)
    await recorder.intent(one["id"], one)
    print("intent", one["id"], flush=True)
    if number % 3:
        recorder.sending(one["id"])
        print("sending", one["id"], flush=True)
    if number % 3 == 2:
        recorder.finish(one["id"], one, "done")

async def main():
    recorder = Recorder(sys.argv[1])
    recorder.start()
    for start in range(0, 1_000_000, 8):
        await asyncio.gather(*(request(recorder, start + number) for number in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 40, 300])
def test_a_kill_loses_nothing_that_was_acknowledged(directory: Path, lines: int) -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, directory], stdout=subprocess.PIPE, text=True)
    assert worker.stdout
    seen = [worker.stdout.readline() for _ in range(lines)]
    worker.send_signal(signal.SIGKILL)
    worker.wait(timeout=10)
    seen += worker.stdout.readlines()
    worker.stdout.close()
    acknowledged = {line.split()[1] for line in seen if line.startswith("intent") and line.endswith("\n")}
    sent = {line.split()[1] for line in seen if line.startswith("sending") and line.endswith("\n")}
    assert acknowledged

    recorder = Recorder(directory)
    recorder.start()
    recorder.close()

    found = ids(directory)
    assert acknowledged <= set(found)
    assert len(found) == len(set(found)), "a flow is recorded once"
    repaired = {r.state["id"]: r for r in records(directory) if r.state and "repaired" in r.lockgate}
    assert repaired
    for flow_id, record in repaired.items():
        assert record.state
        assert record.state["request"]["path"] == b"/path"
        assert record.state["error"]["msg"].startswith("The gateway stopped before this request was finished; ")
        if flow_id in sent:
            assert record.lockgate["repaired"]["sending"] is True
    assert verify(directory).fault is None
    assert replay(directory / JOURNAL).intents == {}
