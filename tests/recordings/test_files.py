from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.recordings.files import RecordFile, in_order, new_path
from lockgate.recordings.keeping import put_away
from lockgate.recordings.tnetstring import dumps

RECORDS = [dumps({"id": f"flow-{number}", "metadata": {}}) for number in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.mitm"
    path.write_bytes(b"".join(RECORDS))
    return path


def test_records_are_read_with_their_places(path: Path) -> None:
    file = RecordFile(path)
    records = list(file)
    assert [record.raw for record in records] == RECORDS
    assert [record.offset for record in records] == [0, len(RECORDS[0]), len(RECORDS[0]) * 2]
    assert [record.state["id"] for record in records if record.state] == ["flow-0", "flow-1", "flow-2"]
    assert file.tail is None
    last = file.last()
    assert last
    assert last.raw == RECORDS[2]


def test_cut_at_every_byte_the_tail_is_torn(path: Path) -> None:
    data = path.read_bytes()
    whole = len(data) - len(RECORDS[2])
    for end in range(whole + 1, len(data)):
        path.write_bytes(data[:end])
        file = RecordFile(path)
        assert len(list(file)) == 2
        assert file.tail
        assert (file.tail.offset, file.tail.torn) == (whole, True), end


@pytest.mark.parametrize(
    ("tail", "torn"),
    [
        pytest.param(b"\0" * 100, True, id="zeros-of-a-power-cut"),
        pytest.param(RECORDS[0][:9] + b"\0" * 500, True, id="a-beginning-and-zeros"),
        pytest.param(b"999999999999:", True, id="a-length-beyond-the-file"),
        pytest.param(b"junk", False, id="junk"),
        pytest.param(b":", False, id="no-length"),
        pytest.param(b"12345678901234", False, id="an-absurd-length"),
        pytest.param(b"1:a,", False, id="another-tnetstring"),
    ],
)
def test_tails(path: Path, tail: bytes, torn: bool) -> None:
    path.write_bytes(path.read_bytes() + tail)
    file = RecordFile(path)
    assert len(list(file)) == 3
    assert file.tail
    assert file.tail.torn is torn


def test_a_record_that_is_framed_but_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mitm"
    path.write_bytes(b"3:abc}" + RECORDS[0])
    assert [record.state is None for record in RecordFile(path)] == [True, False]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "a.mitm"
    path.touch()
    assert list(RecordFile(path)) == []
    assert RecordFile(path).last() is None


def test_names_are_dated_and_numbered(tmp_path: Path) -> None:
    first = new_path(tmp_path, 1_700_000_000.0)
    assert first.name == "2023-11-14T221320Z-0001.mitm"
    first.touch()
    (tmp_path / "2023-11-14T221320Z-9999.mitm").touch()
    (tmp_path / "other.mitm").touch()
    assert new_path(tmp_path, 0.0).name == "1970-01-01T000000Z-10000.mitm"


def test_the_order_is_that_of_the_chain(recorded: Path) -> None:
    second, first = sorted(recorded.glob("*.mitm"), reverse=True)
    first.rename(recorded / "zzz.mitm")  # as a clock that was set back would name it
    (recorded / "aaa.mitm").touch()
    assert [path.name for path in in_order(recorded)] == ["zzz.mitm", second.name, "aaa.mitm"]


def test_mitmdump_reads_the_files(recorded: Path, tmp_path: Path) -> None:
    for path in in_order(recorded):
        result = subprocess.run(
            [str(Path(sys.executable).with_name("mitmdump")), "--set", f"confdir={tmp_path}", "-nr", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stderr
        assert "https://lockgate.invalid/events/start" in result.stdout
        assert result.stdout.count("http://address:22/path") == 3


def test_what_cannot_be_read_stays_in_its_place(recorded: Path) -> None:
    first, second = in_order(recorded)
    kept = put_away(first, compressed=True, secret=None)
    kept.write_bytes(kept.read_bytes()[:-3])
    assert in_order(recorded) == [kept, second]
    assert list(RecordFile(kept)) == []
    assert RecordFile(kept).last() is None
    kept.unlink()
    locked = put_away(second, compressed=False, secret="of a key that nobody has here")
    third = new_path(recorded, 0.0)
    third.write_bytes(RECORDS[0])
    assert in_order(recorded) == [locked, third]
