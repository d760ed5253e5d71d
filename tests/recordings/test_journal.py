from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lockgate.recordings.chain import START, Link
from lockgate.recordings.journal import Entry, Journal, Segment, State, discard, replay, segments

HEAD = Link(7, "cd" * 32)


@pytest.fixture
def journal(tmp_path: Path):
    journal = Journal(tmp_path / "journal", START, 1.0)
    yield journal
    journal.close()


def intent(flow_id: str, payload: bytes = b"state") -> Entry:
    return Entry(State.INTENT, 2.0, flow_id, payload)


def test_what_is_appended_is_read_again(journal: Journal) -> None:
    entries = [
        intent("a", b"\x00\xff" * 10),
        Entry(State.SENDING, 3.5, "a"),
        Entry(State.DONE, 4.5, "a"),
        Entry(State.HEAD, 5.0, "", HEAD.encode()),
    ]
    for entry in entries:
        journal.append(entry)
    [path] = segments(journal.directory)
    assert list(Segment(path))[1:] == entries
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.directory.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("steps", "still_open", "sending"),
    [
        pytest.param([], True, False, id="intent"),
        pytest.param([State.SENDING], True, True, id="sending"),
        pytest.param([State.SENDING, State.DONE], False, False, id="done"),
        pytest.param([State.SENDING, State.FAILED], False, False, id="failed"),
        pytest.param([State.NOT_SENT], False, False, id="not-sent"),
    ],
)
def test_which_intents_are_open(journal: Journal, steps: list[State], still_open: bool, sending: bool) -> None:
    for entry in (intent("a"), intent("b"), *(Entry(step, 3.0, "a") for step in steps)):
        journal.append(entry)
    found = replay(journal.directory).intents
    assert set(found) == ({"a", "b"} if still_open else {"b"})
    if still_open:
        assert (found["a"].payload, found["a"].sending, found["a"].time) == (b"state", sending, 2.0)


def test_the_chains_head_is_the_last_one_noted(journal: Journal) -> None:
    journal.append(Entry(State.HEAD, 5.0, "", HEAD.encode()))
    read = replay(journal.directory)
    assert (read.base, read.head) == (START, HEAD)


def test_cut_at_every_byte_the_whole_entries_are_left(journal: Journal) -> None:
    journal.append(intent("a"))
    [path] = segments(journal.directory)
    whole = path.read_bytes()
    journal.append(intent("b"))
    data = path.read_bytes()
    for end in range(len(whole), len(data)):
        path.write_bytes(data[:end])
        segment = Segment(path)
        assert [entry.flow_id for entry in segment] == ["", "a"]
        assert segment.torn == (end > len(whole))


def test_an_altered_byte_ends_what_is_believed(journal: Journal) -> None:
    [path] = segments(journal.directory)
    start = path.stat().st_size
    journal.append(intent("a"))
    data = path.read_bytes()
    for position in range(start, len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        segment = Segment(path)
        assert [entry.flow_id for entry in segment] == [""], position
        assert segment.torn


@pytest.mark.parametrize("tail", [b"\0" * 64, b"LGJ1\n", b"\xff" * 64], ids=["zeros", "magic", "ones"])
def test_junk_behind_is_torn(journal: Journal, tail: bytes) -> None:
    [path] = segments(journal.directory)
    path.write_bytes(path.read_bytes() + tail)
    segment = Segment(path)
    assert len(list(segment)) == 1
    assert segment.torn


def test_full_segments_go_when_nothing_in_them_is_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path, START, 1.0, segment_size=200)

    def numbers() -> list[int]:
        return [int(path.stem) for path in segments(tmp_path)]

    journal.append(intent("a", b"x" * 200))
    journal.roll(HEAD, 2.0)
    assert numbers() == [1, 2]
    journal.append(intent("b", b"x" * 200))
    journal.append(Entry(State.DONE, 3.0, "b"))
    journal.roll(HEAD, 3.0)
    # The second has nothing open, and yet it stays while the first does: it may hold that one's end.
    assert numbers() == [1, 2, 3]
    journal.append(Entry(State.DONE, 4.0, "a"))
    journal.roll(HEAD, 4.0)
    assert numbers() == [3]
    journal.close()
    read = replay(tmp_path)
    assert (read.intents, read.head) == ({}, HEAD)


def test_a_start_goes_on_in_a_new_segment(tmp_path: Path) -> None:
    Journal(tmp_path, START, 1.0).close()
    Journal(tmp_path, HEAD, 2.0).close()
    assert [path.name for path in segments(tmp_path)] == ["00000001.journal", "00000002.journal"]
    read = replay(tmp_path)
    assert (read.base, read.head) == (START, HEAD)
    discard(read)
    assert segments(tmp_path) == []


def test_a_segment_that_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", refuse)
    with pytest.raises(OSError, match="No space"):
        Journal(tmp_path, START, 1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_a_journal_has_nothing_open(tmp_path: Path) -> None:
    assert replay(tmp_path / "none").intents == {}
