from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import SetupError
from lockgate.recordings.files import JOURNAL, RecordFile, in_order
from lockgate.recordings.journal import State, replay
from lockgate.recordings.verify import verify
from lockgate.recordings.writer import Finished, Writer

MakeState = Callable[..., dict[str, Any]]


class Clock:
    """Seconds since the epoch, set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 23, 59, 50, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer(directory: Path, clock: Clock):
    writer = Writer(directory, clock)
    writer.open({"version": "0"})
    yield writer
    writer.close()


def ids(directory: Path) -> list[str]:
    return [record.state["id"] for path in in_order(directory) for record in RecordFile(path) if record.state]


def test_a_new_file_with_each_utc_day(writer: Writer, directory: Path, clock: Clock, make_state: MakeState) -> None:
    writer.write_records([Finished("a", make_state("a"), State.DONE)])
    clock.now += 20
    writer.write_records([Finished("b", make_state("b"), State.DONE)])
    assert [path.name for path in in_order(directory)] == [
        "2026-11-22T235950Z-0001.mitm",
        "2026-11-23T000010Z-0002.mitm",
    ]
    assert ids(directory)[1:] == ["a", "b"]
    assert verify(directory).fault is None


def test_all_of_a_batch_or_none(
    writer: Writer, directory: Path, make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    batch = [Finished(name, make_state(name), State.DONE) for name in "ab"]
    link = writer.link
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", refuse)
        with pytest.raises(OSError, match="Input/output"):
            writer.write_records(batch)
    assert writer.link == link
    assert len(ids(directory)) == 1
    writer.recover()
    writer.write_records(batch)
    assert ids(directory)[1:] == ["a", "b"]
    assert verify(directory).fault is None


def test_ends_are_journalled_after_their_records(writer: Writer, directory: Path, make_state: MakeState) -> None:
    writer.write_intents([("a", b"state"), ("b", b"state"), ("c", b"state")])
    writer.mark_sending("a")
    writer.write_records([Finished("a", make_state("a"), State.DONE), Finished("b", None, State.NOT_SENT)])
    assert set(replay(directory / JOURNAL).intents) == {"a", "b", "c"}
    writer.settle()
    read = replay(directory / JOURNAL)
    assert set(read.intents) == {"c"}
    assert read.head == writer.link


def test_a_state_that_cannot_be_serialised_is_recorded_as_such(writer: Writer, directory: Path) -> None:
    bad = {"id": "bad", "metadata": {"lockgate": {}}, "request": object()}
    writer.write_records([Finished("bad", bad, State.DONE)])
    *_, last = RecordFile(in_order(directory)[-1])
    assert last.state
    assert b'"flow_id": "bad"' in last.state["request"]["content"]
    assert last.lockgate["event"] == "unrecordable"


def test_an_intent_that_cannot_be_read_is_recorded_as_such(directory: Path, clock: Clock) -> None:
    first = Writer(directory, clock)
    first.open({})
    first.write_intents([("bad", b"no state")])
    first.close()
    second = Writer(directory, clock)
    second.open({})
    second.close()
    *_, last = RecordFile(in_order(directory)[-1])
    assert last.lockgate["event"] == "unrecordable"
    assert replay(directory / JOURNAL).intents == {}


def test_a_directory_has_one_writer(writer: Writer, directory: Path, clock: Clock) -> None:
    with pytest.raises(SetupError, match=r"another gateway \(process \d+\) records here"):
        Writer(directory, clock).open({})


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(lambda path: path.write_text("x"), "Not a directory", id="a-file"),
        pytest.param(lambda path: (path / JOURNAL).mkdir(parents=True) or (path / JOURNAL).rmdir() or
                     (path / JOURNAL).write_text(""), "Not a directory", id="journal-is-a-file"),
    ],
)  # fmt: skip
def test_a_directory_that_cannot_be_used(
    directory: Path, clock: Clock, prepare: Callable[[Path], object], message: str
) -> None:
    prepare(directory)
    writer = Writer(directory, clock)
    with pytest.raises(SetupError, match=message):
        writer.open({})


def test_a_journal_of_a_newer_format_is_refused(directory: Path, clock: Clock) -> None:
    import struct
    import zlib

    body = struct.pack("<BdH", 99, 1.0, 0)
    (directory / JOURNAL).mkdir(parents=True)
    segment = directory / JOURNAL / "00000001.journal"
    segment.write_bytes(b"LGJ1\n" + struct.pack("<II", len(body), zlib.crc32(body)) + body)
    with pytest.raises(SetupError, match="99 is not a valid State"):
        Writer(directory, clock).open({})
    assert segment.exists()


def test_a_deleted_directory_is_made_again(writer: Writer, directory: Path, make_state: MakeState) -> None:
    import shutil

    shutil.rmtree(directory)
    batch = [Finished("a", make_state("a"), State.DONE)]
    with pytest.raises(FileNotFoundError):
        writer.write_records(batch)
    writer.recover()
    writer.write_records(batch)
    report = verify(directory)
    assert ids(directory) == ["a"]
    assert report.fault
    assert report.fault.detail == "record 1 is missing before it; no tombstone says that they were pruned"
