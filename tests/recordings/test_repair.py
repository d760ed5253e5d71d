from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import SetupError
from lockgate.recordings.chain import Kind, Link
from lockgate.recordings.files import JOURNAL, RecordFile, in_order
from lockgate.recordings.journal import Entry, Journal, State
from lockgate.recordings.keeping import put_away
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.repair import repair
from lockgate.recordings.verify import verify


def head(directory: Path) -> Link:
    found = verify(directory).head
    assert found
    return found


def forget_journal(directory: Path) -> None:
    for path in (directory / JOURNAL).iterdir():
        path.unlink()


def test_nothing_to_repair(recorded: Path) -> None:
    survey = repair(recorded)
    assert (survey.link, survey.intents, survey.findings) == (head(recorded), [], {})


def test_an_empty_directory(tmp_path: Path) -> None:
    survey = repair(tmp_path)
    assert survey.link.number == 0
    assert survey.findings == {}


def test_cut_at_every_byte_of_the_last_record(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of it is moved aside, and the recording is whole again, whatever was left."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # some thousand times, and nothing here depends on it
    forget_journal(recorded)  # a kill while the record was written: the journal had not noted it
    last = in_order(recorded)[-1]
    data = last.read_bytes()
    start = list(RecordFile(last))[-1].offset
    for end in range(start + 1, len(data)):
        last.write_bytes(data[:end])
        survey = repair(recorded)
        assert survey.link.number == 9
        assert survey.findings == {"torn": {"file": last.name, "bytes": end - start}}
        assert last.read_bytes() == data[:start]
        assert last.with_name(f"{last.name}.torn").read_bytes() == data[start:end]
    assert verify(recorded).fault is None


def test_what_the_journal_knew_whole_is_not_called_torn(recorded: Path) -> None:
    last = in_order(recorded)[-1]
    os.truncate(last, last.stat().st_size - 5)
    survey = repair(recorded)
    assert survey.findings == {"damaged": last.name, "missing": {"from": 10, "to": 10}}
    assert survey.link.number == 10
    assert list(recorded.glob("*.torn")) == []
    fault = verify(recorded).fault
    assert fault is not None


def test_records_that_are_gone_leave_a_gap_that_verify_shows(recorded: Path) -> None:
    before = head(recorded)
    for path in in_order(recorded):
        path.unlink()
    recorder = Recorder(recorded)
    recorder.start()
    recorder.close()
    report = verify(recorded)
    assert report.fault
    assert report.fault.detail == "records 1 to 10 are missing before it; no tombstone says that they were pruned"
    assert report.first == before.number + 1


def test_a_file_without_a_whole_record_goes(recorded: Path) -> None:
    (recorded / "2999-01-01T000000Z-0007.mitm").write_bytes(b"1234:half")
    (recorded / "2999-01-01T000000Z-0008.mitm").touch()
    survey = repair(recorded)
    assert survey.link.number == 10
    assert survey.findings == {"torn": {"file": "2999-01-01T000000Z-0007.mitm", "bytes": 9}}
    assert len(in_order(recorded)) == 2


def test_a_file_of_somebody_elses_does_not_break_the_chain(
    recorded: Path, make_state: Callable[..., dict[str, Any]]
) -> None:
    from lockgate.recordings.tnetstring import dumps

    (recorded / "saved.mitm").write_bytes(dumps(make_state("x")))
    survey = repair(recorded)
    assert survey.link.number == 10
    assert survey.findings == {"unlinked": "saved.mitm"}


@pytest.fixture
def open_intents(recorded: Path) -> Path:
    """Intents `a0`, which was recorded since, and `z`, which was not; written before the second run's records."""
    base = next(iter(RecordFile(in_order(recorded)[0])))
    link = Link(base.lockgate["chain"]["number"], base.lockgate["chain"]["hash"])
    forget_journal(recorded)
    journal = Journal(recorded / JOURNAL, link, 1.0)
    for flow_id in ("a0", "z"):
        journal.append(Entry(State.INTENT, 2.0, flow_id, b"state"))
    journal.close()
    return recorded


def test_an_intent_whose_record_is_durable_is_not_recorded_twice(open_intents: Path) -> None:
    assert [intent.flow_id for intent in repair(open_intents).intents] == ["z"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("tamper", [cut, flip])
@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_what_was_put_away_is_left_as_it_is(recorded: Path, place: int, tamper: Callable[[Path], None]) -> None:
    """However damaged: it is evidence, and the next run begins behind it."""
    end = head(recorded)
    kept = put_away(in_order(recorded)[place], compressed=True, secret=None)
    tamper(kept)
    content = kept.read_bytes()
    assert repair(recorded).link == end
    recorder = Recorder(recorded)
    recorder.start()
    recorder.close()
    assert kept.read_bytes() == content
    fault = verify(recorded).fault
    assert fault is not None
    assert fault.kind is Kind.ALTERED


def test_a_torn_record_that_was_put_away_is_not_cut_off(recorded: Path) -> None:
    last = in_order(recorded)[-1]
    last.write_bytes(last.read_bytes() + b"100:abc")
    kept = put_away(last, compressed=True, secret=None)
    content = kept.read_bytes()
    assert repair(recorded).findings == {"damaged": kept.name}
    assert kept.read_bytes() == content


def test_an_older_file_may_be_locked_the_newest_not(recorded: Path) -> None:
    first, last = in_order(recorded)
    end = head(recorded)
    put_away(first, compressed=True, secret="of a key that nobody has here")
    assert repair(recorded).link == end
    put_away(last, compressed=True, secret="of a key that nobody has here")
    with pytest.raises(SetupError, match="LOCKGATE_RECORDINGS_KEY"):
        Recorder(recorded).start()
    with pytest.raises(SetupError, match="LOCKGATE_RECORDINGS_KEY"):
        Recorder(recorded).start()  # the directory was let go of
