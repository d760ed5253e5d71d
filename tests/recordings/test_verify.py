from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lockgate.recordings.chain import Kind, Link
from lockgate.recordings.files import RecordFile, in_order
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.verify import verify

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
    assert verify(recorded, known=head).fault is None
    other = verify(recorded, known=Link(10, "ab" * 32)).fault
    assert other
    assert other.kind is Kind.ALTERED


def test_while_the_gateway_writes(recorder: Recorder, directory: Path) -> None:
    report = verify(directory)
    assert (report.fault, report.writing, report.records) == (None, True, 1)


def test_an_empty_directory(tmp_path: Path) -> None:
    report = verify(tmp_path)
    assert (report.fault, report.records, report.head) == (None, 0, None)
