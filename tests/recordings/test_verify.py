from __future__ import annotations

import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.recordings.chain import START, Kind, Link, seal
from lockgate.recordings.checkpoints import Marking
from lockgate.recordings.files import RecordFile, in_order
from lockgate.recordings.journal import Entry, Journal
from lockgate.recordings.journal import State as Step
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.signing import Signer
from lockgate.recordings.tombstones import Pruned, tombstone
from lockgate.recordings.verify import details, verify

Tamper = Callable[[list[Path]], object]


def raws(path: Path) -> list[bytes]:
    return [record.raw for record in RecordFile(path)]


def put(path: Path, records: list[bytes]) -> None:
    path.write_bytes(b"".join(records))


def test_an_untouched_directory(recorded: Path) -> None:
    report = verify(recorded)
    assert report.fault is None
    assert (report.files, report.records, report.first, report.writing) == (2, 10, 1, False)
    assert report.head
    assert report.head.number == 10


def alter(paths: list[Path]) -> None:
    data = paths[0].read_bytes()
    position = data.index(b"/path")
    paths[0].write_bytes(data[:position] + b"/pith" + data[position + 5 :])


def remove(paths: list[Path]) -> None:
    records = raws(paths[0])
    put(paths[0], records[:2] + records[3:])


def remove_last_of_first_file(paths: list[Path]) -> None:
    put(paths[0], raws(paths[0])[:-1])


def swap(paths: list[Path]) -> None:
    records = raws(paths[0])
    put(paths[0], [records[0], records[2], records[1], *records[3:]])


def move_to_other_file(paths: list[Path]) -> None:
    first, second = raws(paths[0]), raws(paths[1])
    put(paths[0], [first[0], *first[2:]])
    put(paths[1], [*second, first[1]])


def insert(paths: list[Path]) -> None:
    records = raws(paths[1])
    put(paths[1], [*records[:2], raws(paths[0])[1], *records[2:]])


def cut_first_file(paths: list[Path]) -> None:
    os.truncate(paths[0], paths[0].stat().st_size - 5)


def cut_last_file(paths: list[Path]) -> None:
    os.truncate(paths[1], paths[1].stat().st_size - 5)


def cut_last_file_between_records(paths: list[Path]) -> None:
    put(paths[1], raws(paths[1])[:-2])


def junk(paths: list[Path]) -> None:
    with paths[1].open("ab") as file:
        file.write(b"junk")


@pytest.mark.parametrize(
    ("tamper", "kind", "number", "file"),
    [
        pytest.param(alter, Kind.ALTERED, 2, 0, id="altered-byte"),
        pytest.param(remove, Kind.REMOVED, 4, 0, id="removed"),
        pytest.param(remove_last_of_first_file, Kind.REMOVED, 6, 1, id="removed-at-a-file-s-end"),
        pytest.param(swap, Kind.REORDERED, 3, 0, id="swapped"),
        pytest.param(move_to_other_file, Kind.REORDERED, 3, 0, id="moved-to-another-file"),
        pytest.param(insert, Kind.INSERTED, 2, 1, id="inserted"),
        pytest.param(cut_first_file, Kind.ALTERED, None, 0, id="first-file-cut"),
        pytest.param(cut_last_file, Kind.REMOVED, None, None, id="last-file-cut"),
        pytest.param(cut_last_file_between_records, Kind.REMOVED, None, None, id="last-file-cut-between-records"),
        pytest.param(junk, Kind.ALTERED, None, 1, id="junk-behind"),
        pytest.param(lambda paths: paths[0].unlink(), Kind.REMOVED, 6, 1, id="first-file-removed"),
        pytest.param(lambda paths: paths[1].unlink(), Kind.REMOVED, None, None, id="last-file-removed"),
        pytest.param(lambda paths: [path.unlink() for path in paths], Kind.REMOVED, None, None, id="all-removed"),
        pytest.param(
            lambda paths: shutil.copy(paths[0], paths[0].with_name("copy.mitm")),
            Kind.INSERTED,
            1,
            "copy.mitm",
            id="copy",
        ),
    ],
)
def test_tampering_is_named(
    recorded: Path, tamper: Tamper, kind: Kind, number: int | None, file: int | str | None
) -> None:
    paths = in_order(recorded)
    tamper(paths)
    report = verify(recorded)
    assert report.fault is not None
    assert report.fault.kind is kind, report.fault.detail
    if file is None:
        assert report.place is None
    else:
        assert report.place is not None
        assert report.place.number == number
        assert report.place.path.name == (file if isinstance(file, str) else paths[file].name)


def test_a_torn_tail_is_no_tampering(recorded: Path) -> None:
    """As a kill in the middle of a write leaves it: the journal does not know of that record yet."""
    last = in_order(recorded)[-1]
    with last.open("ab") as file:
        file.write(b"1234:half")
    report = verify(recorded)
    assert report.fault is None
    assert report.torn
    assert report.torn.path == last


def test_older_records_moved_away(recorded: Path) -> None:
    in_order(recorded)[0].unlink()
    assert verify(recorded).fault is not None
    report = verify(recorded, partial=True)
    assert report.fault is None
    assert report.first == 6


def test_a_head_noted_elsewhere(recorded: Path) -> None:
    head = verify(recorded).head
    assert head
    assert verify(recorded, known=[head]).fault is None
    other = verify(recorded, known=[Link(10, "ab" * 32)]).fault
    assert other
    assert other.kind is Kind.ALTERED


def test_while_the_gateway_writes(recorder: Recorder, directory: Path) -> None:
    report = verify(directory)
    assert (report.fault, report.writing, report.records) == (None, True, 1)


def test_an_empty_directory(tmp_path: Path) -> None:
    report = verify(tmp_path)
    assert (report.fault, report.records, report.head) == (None, 0, None)


# Signatures

SIGNER = Signer(b"s" * 32)


@pytest.fixture
def signed(directory: Path, make_state: Callable[..., dict[str, Any]]) -> Path:
    """Two runs with a checkpoint each, and one more within the first."""
    for run in range(2):
        recorder = Recorder(directory, marking=Marking(SIGNER, every=4))
        recorder.start({})
        for number in range(5):
            recorder.finish(f"{run}-{number}", make_state(f"{run}-{number}"), "done")
        recorder.close()
    return directory


def rewrite(directory: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """As somebody would who may write to all of the directory: the whole chain anew, and no journal."""
    link = START
    states = [record.state for path in in_order(directory) for record in RecordFile(path) if record.state]
    for path in in_order(directory):
        path.unlink()
    shutil.rmtree(directory / "journal")
    data = b""
    for state in change(states):
        piece, link = seal(state, link)
        data += piece
    (directory / "2026-11-22T000000Z-0001.mitm").write_bytes(data)


def events(states: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [state for state in states if state["metadata"]["lockgate"].get("event") == name]


def test_it_is_signed_up_to_its_end(signed: Path) -> None:
    report = verify(signed, verifier=SIGNER.verifier)
    assert report.fault is None
    assert report.head is not None and report.signed is not None
    assert report.signed.number == report.head.number - 1
    assert verify(signed).signed is None  # nobody has checked it
    places = [record.number for path in in_order(signed) for record in RecordFile(path) if record.seen.event]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param(lambda states: states, Kind.ALTERED, id="as-it-was-but-for-a-hash"),
        pytest.param(
            lambda states: [state for state in states if state not in events(states, "checkpoint")],
            None,
            id="without-any",
        ),
        pytest.param(lambda states: states[1:], Kind.ALTERED, id="without-its-first-record"),
    ],
)
def test_a_chain_that_was_written_anew(
    signed: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], kind: Kind | None
) -> None:
    head = verify(signed).head

    def altered(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
        states[1]["request"]["path"] = b"/something-else"
        return change(states)

    assert head is not None
    rewrite(signed, altered)
    report = verify(signed, verifier=SIGNER.verifier)
    assert report.signed is None
    assert (report.fault and report.fault.kind) == kind
    known = verify(signed, verifier=SIGNER.verifier, known=[head]).fault
    assert known is not None


def test_another_gateways_checkpoints_do_not_count(signed: Path) -> None:
    fault = verify(signed, verifier=Signer(b"o" * 32).verifier).fault
    assert fault is not None
    assert (fault.kind, fault.detail) == (Kind.ALTERED, "a checkpoint: it is not signed by this gateway")


def test_a_checkpoint_of_another_place_does_not_count(signed: Path) -> None:
    """One that is genuine, but was copied from elsewhere in the chain."""

    def moved(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, *_ = events(states, "checkpoint")
        return [*(state for state in states if state not in events(states, "checkpoint")), first]

    rewrite(signed, moved)
    fault = verify(signed, verifier=SIGNER.verifier).fault
    assert fault is not None
    assert fault.detail == "a checkpoint of another place in the chain"


def test_a_directory_that_was_rolled_back(signed: Path, tmp_path: Path) -> None:
    """All of it, journal included, as a backup would bring it back."""
    head = verify(signed).head
    assert head is not None
    older = tmp_path / "older"
    shutil.copytree(signed, older)
    recorder = Recorder(signed, marking=Marking(SIGNER))
    recorder.start({})
    recorder.close()
    newest = verify(signed).head
    assert newest is not None
    fault = verify(older, known=[newest]).fault
    assert fault is not None
    missing = f"records {head.number + 1} to {newest.number} are missing at the end"
    assert (fault.kind, fault.detail) == (Kind.ROLLED_BACK, missing)


def test_a_gateway_that_starts_on_a_directory_that_was_rolled_back(signed: Path) -> None:
    reached = Link(100, "ab" * 32)
    recorder = Recorder(signed, marking=Marking(SIGNER, reached=reached))
    recorder.start({})
    recorder.close()
    last = RecordFile(in_order(signed)[-1])
    start = details(next(iter(last)))
    assert start["rolled_back"]["to"] == 100
    fault = verify(signed, verifier=SIGNER.verifier).fault
    assert fault is not None
    assert fault.kind is Kind.REMOVED


def test_what_the_journal_saw_recorded_must_be_there(signed: Path) -> None:
    rewrite(
        signed, lambda states: [each for each in states if each["id"] != "0-3" and not events([each], "checkpoint")]
    )
    head = verify(signed).head
    assert head is not None
    journal = Journal(signed / "journal", head, 0.0)
    for number in (2, 3):
        journal.append(Entry(Step.INTENT, 0.0, f"0-{number}", b"what was sent"))
        journal.append(Entry(Step.DONE, 0.0, f"0-{number}"))
    journal.sync()
    journal.close()
    fault = verify(signed).fault
    assert fault is not None
    detail = "the journal says that 0-3 was recorded (1 such in all): it is not here"
    assert (fault.kind, fault.detail) == (Kind.REMOVED, detail)


def test_pruned_files_are_told_of(signed: Path) -> None:
    paths = in_order(signed)
    first, last = RecordFile(paths[0]).first(), RecordFile(paths[0]).last()
    assert first and last and first.seen.link and last.seen.link
    pruned = Pruned(paths[0].name, first.seen.link, last.seen.link, paths[0].stat().st_size)
    for key, kind in ((SIGNER, None), (Signer(b"o" * 32), Kind.REMOVED)):
        copy = signed.with_name(f"copy-{kind}")
        shutil.copytree(signed, copy)
        recorder = Recorder(copy, marking=Marking(SIGNER))
        recorder.start({})
        recorder.event("tombstone", tombstone(key, [pruned], "older than 90 days", 0.0))
        recorder.close()
        (copy / paths[0].name).unlink()
        report = verify(copy, verifier=SIGNER.verifier)
        assert (report.fault and report.fault.kind) == kind
        assert report.first == last.seen.link.number + 1
        assert (report.pruned == last.seen.link) == (kind is None)
    signed_anew = verify(signed.with_name("copy-None")).fault
    assert signed_anew is None  # who has no key trusts the tombstone


def buried(directory: Path, why: str = "older than 90 days") -> list[Path]:
    """The two oldest of three files, whose tombstone is in the third; nothing is deleted yet."""
    paths = in_order(directory)[:2]
    pruned = []
    for path in paths:
        first, last = RecordFile(path).first(), RecordFile(path).last()
        assert first and last and first.seen.link and last.seen.link
        pruned.append(Pruned(path.name, first.seen.link, last.seen.link, path.stat().st_size))
    recorder = Recorder(directory, marking=Marking(SIGNER))
    recorder.start({})
    recorder.event("tombstone", tombstone(SIGNER, pruned, why, 0.0))
    recorder.close()
    return paths


def test_a_kill_while_files_are_pruned(recorded: Path) -> None:
    first, second = buried(recorded)
    for gone, reached in ((first, 5), (second, 10)):
        gone.unlink()
        report = verify(recorded, verifier=SIGNER.verifier)
        assert report.fault is None
        assert report.pruned is not None
        assert report.pruned.number == reached


def test_what_is_wrong_behind_pruned_files_is_named(recorded: Path) -> None:
    for path in buried(recorded):
        path.unlink()
    (last,) = in_order(recorded)
    data = last.read_bytes()
    last.write_bytes(data.replace(b"older than 90 days", b"older than 99 days"))
    fault = verify(recorded, verifier=SIGNER.verifier).fault
    assert fault is not None
    assert fault.detail.endswith("no tombstone says that they were pruned")
    last.write_bytes(data.replace(b"events/start", b"events/stert", 1))
    fault = verify(recorded, verifier=SIGNER.verifier).fault
    assert fault is not None
    assert (fault.kind, fault.index) == (Kind.ALTERED, 0)


@pytest.mark.parametrize("partial", [True, False], ids=["moved-away", "pruned"])
def test_a_journal_remembers_what_has_gone_with_old_files(recorded: Path, partial: bool) -> None:
    """A journal that goes back further than the records that are kept."""
    head = verify(recorded).head
    assert head is not None
    paths = in_order(recorded)[:1] if partial else buried(recorded)
    journal = Journal(recorded / "journal", START, 0.0)
    journal.append(Entry(Step.INTENT, 0.0, "a0", b"what was sent"))
    journal.append(Entry(Step.DONE, 0.0, "a0"))
    journal.append(Entry(Step.HEAD, 0.0, "", Link(5, "ab" * 32).encode()))
    journal.append(Entry(Step.HEAD, 0.0, "", head.encode()))
    journal.sync()
    journal.close()
    for path in paths:
        path.unlink()
    assert verify(recorded, partial=partial).fault is None


def test_a_flipped_bit_anywhere_is_found(recorder: Recorder, directory: Path) -> None:
    """At every position of a recording. Its head is known: at the end a half-written record is no fault."""
    recorder.close()
    (path,) = in_order(directory)
    content = bytearray(path.read_bytes())
    head = verify(directory).head
    assert head is not None
    missed = []
    for position in range(len(content)):
        content[position] ^= 1 << (position % 8)
        path.write_bytes(content)
        if verify(directory, known=[head]).fault is None:
            missed.append(position)
        content[position] ^= 1 << (position % 8)
    assert missed == []


def test_memory_does_not_grow_with_the_recording(directory: Path, make_state: Callable[..., dict[str, Any]]) -> None:
    directory.mkdir()
    state, link, pieces = make_state("a", body=b"x" * 500), START, []
    for _ in range(1000):
        data, link = seal(state, link)
        pieces.append(data)
    (directory / "2026-11-22T000000Z-0001.mitm").write_bytes(b"".join(pieces))
    size = sum(map(len, pieces))
    del pieces
    tracemalloc.start()
    try:
        assert verify(directory).records == 1000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 20
