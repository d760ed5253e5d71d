from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockgate.errors import RecordingLocked
from lockgate.recordings import keeping
from lockgate.recordings.chain import START, seal
from lockgate.recordings.dump import event_state
from lockgate.recordings.encrypted import VARIABLE
from lockgate.recordings.files import RecordFile, base, in_order
from lockgate.recordings.index import Index
from lockgate.recordings.keeping import clean, due, prune, put_away
from lockgate.recordings.verify import verify

SECRET = "correct horse battery staple"


@pytest.fixture
def first(recorded: Path) -> Path:
    """The older of two record files."""
    return in_order(recorded)[0]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("secret", [SECRET, None])
def test_what_is_put_away_reads_as_before(
    recorded: Path, first: Path, compressed: bool, secret: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [(record.offset, record.raw) for path in in_order(recorded) for record in RecordFile(path)]
    kept = put_away(first, compressed=compressed, secret=secret)
    assert kept.name == first.name + (".zst" if compressed else "") + (".enc" if secret else "")
    assert first.exists() is (kept == first)
    assert kept.stat().st_mode & 0o777 == 0o600
    if secret:
        assert in_order(recorded)[0] == kept
        with pytest.raises(RecordingLocked, match=VARIABLE):
            verify(recorded)
        monkeypatch.setenv(VARIABLE, SECRET)
    assert [(record.offset, record.raw) for path in in_order(recorded) for record in RecordFile(path)] == before
    report = verify(recorded)
    assert (report.fault, report.records, report.files) == (None, 10, 2)
    assert RecordFile(kept).at(before[2][0]).raw == before[2][1]
    assert put_away(kept, compressed=compressed, secret=secret) == kept


def test_who_reads_meanwhile_misses_nothing(recorded: Path, first: Path) -> None:
    """The file that was listed a moment ago is another by now."""
    files = [RecordFile(path) for path in in_order(recorded)]
    put_away(first, compressed=True, secret=None)
    assert sum(1 for file in files for _ in file) == 10


def test_of_two_forms_one_counts(recorded: Path, first: Path) -> None:
    content = first.read_bytes()
    put_away(first, compressed=True, secret=None)
    first.write_bytes(content)  # as a kill leaves it, just before the original goes
    assert in_order(recorded)[0] == first
    assert verify(recorded).fault is None
    clean(recorded, {first.name})
    assert not first.exists()
    assert verify(recorded).fault is None


def test_a_form_that_is_not_what_the_original_is_stays(recorded: Path, first: Path) -> None:
    other = in_order(recorded)[1]
    content = first.read_bytes()
    put_away(first, compressed=True, secret=None)
    first.write_bytes(content)
    kept = put_away(other, compressed=True, secret=None)
    kept.replace(first.with_name(first.name + ".zst"))
    with pytest.raises(OSError, match="move one of them away"):
        clean(recorded, {first.name})
    assert first.exists()


def test_altered_while_it_was_put_away(recorded: Path, first: Path) -> None:
    kept = put_away(first, compressed=True, secret=None)
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data)
    fault = verify(recorded).fault
    assert fault is not None
    kept.write_bytes(data[:-3])
    assert verify(recorded).fault is not None


def test_an_index_need_not_be_made_anew(recorded: Path, first: Path) -> None:
    index = Index(recorded)
    index.update()
    put_away(first, compressed=True, secret=None)
    read: list[int] = []
    index.update(read.append)
    assert read == []
    assert len(list(index.rows())) == 10
    index.close()


KILLED = """
import os, sys
from pathlib import Path
from lockgate.recordings import keeping
path, step = Path(sys.argv[1]), int(sys.argv[2])
done = 0
def counted(name):
    real = getattr(os, name)
    def call(*args, **kwargs):
        global done
        if done == step:
            os._exit(9)
        done += 1
        return real(*args, **kwargs)
    setattr(os, name, call)
for name in ("open", "fsync", "rename", "unlink"):
    counted(name)
keeping.put_away(path, compressed=True, secret="correct horse battery staple")
"""


def test_a_kill_at_any_step_loses_nothing(
    recorded: Path, first: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    content = first.read_bytes()
    for step in range(40):
        killed = subprocess.run([sys.executable, "-c", KILLED, first, str(step)], check=False).returncode
        assert verify(recorded).fault is None, step
        clean(recorded, {first.name})
        assert verify(recorded).records == 10, step
        assert not list(recorded.glob(".*.draft"))
        for path in recorded.glob(f"{first.name}*"):
            path.unlink()
        first.write_bytes(content)
        if killed == 0:
            assert step > 5
            return
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("call", ["compress", "encrypt", "durable", "sync_directory"])
def test_a_full_disk_leaves_the_file_as_it_was(
    recorded: Path, first: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    content = first.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keeping, call, full)
        with pytest.raises(OSError, match="No space left"):
            put_away(first, compressed=True, secret=SECRET)
    assert first.read_bytes() == content
    assert not list(recorded.glob(".*draft*"))
    assert verify(recorded).fault is None
    clean(recorded, {first.name})
    assert put_away(in_order(recorded)[0], compressed=True, secret=SECRET).exists()
    assert verify(recorded).records == 10


# Pruning

LATER = datetime(2090, 1, 1, tzinfo=UTC)


def test_what_is_old_enough(recorded: Path, first: Path) -> None:
    names = {path.name for path in in_order(recorded)}
    assert due(recorded, datetime(2020, 1, 1, tzinfo=UTC), names) == []
    assert [each.name for each in due(recorded, LATER, names)] == sorted(names)
    assert [each.name for each in due(recorded, LATER, {first.name})] == [first.name]
    assert due(recorded, LATER, names - {first.name}) == []  # never one behind another that stays
    (found,) = due(recorded, LATER, {first.name})
    assert (found.first.number, found.last.number, found.size) == (1, 5, first.stat().st_size)
    prune(recorded, [found])
    assert first.name not in {base(path) for path in in_order(recorded)}


def test_a_file_with_anything_amiss_stays(recorded: Path, first: Path) -> None:
    with first.open("ab") as file:
        file.write(b"4:junk,")
    assert due(recorded, LATER, {first.name}) == []


@pytest.mark.parametrize("times", [(1.6e9, 2e9), (2e9, 1.6e9)], ids=["old-then-young", "young-then-old"])
def test_while_the_clock_was_wrong(directory: Path, times: tuple[float, float]) -> None:
    """Young records behind old ones, or old ones behind young: the file stays."""
    directory.mkdir()
    link, content = START, b""
    for now in times:
        data, link = seal(event_state("reload", {}, now), link)
        content += data
    path = directory / "2020-09-13T122640Z-0001.mitm"
    path.write_bytes(content)
    assert due(directory, datetime(2030, 1, 1, tzinfo=UTC), {path.name}) == []
    assert len(due(directory, LATER, {path.name})) == 1


def test_permissions(recorded: Path, first: Path) -> None:
    os.umask(0o000)
    try:
        kept = put_away(first, compressed=True, secret=SECRET)
    finally:
        os.umask(0o022)
    assert kept.stat().st_mode & 0o777 == 0o600
