from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.recordings.files import in_order
from lockgate.recordings.index import FILE, Index
from lockgate.recordings.recorder import Recorder

MakeState = Callable[..., dict[str, Any]]


def listed(directory: Path) -> list[str]:
    """What an index tells, events left out."""
    index = Index(directory)
    index.update()
    found = [row.summary["id"] for row in index.rows() if row.summary["event"] is None]
    assert found[::-1] == [row.summary["id"] for row in index.rows(newest_first=True) if row.summary["event"] is None]
    index.close()
    return found


def record(directory: Path, make_state: MakeState, *ids: str) -> None:
    recorder = Recorder(directory)
    recorder.start()
    for each in ids:
        recorder.finish(each, make_state(each, request_id=each), "done")
    recorder.close()


def test_it_goes_on_where_it_was(directory: Path, make_state: MakeState) -> None:
    record(directory, make_state, "a", "b")
    assert listed(directory) == ["a", "b"]
    record(directory, make_state, "c")
    assert listed(directory) == ["a", "b", "c"]
    assert (directory / FILE).stat().st_mode & 0o777 == 0o600


def test_what_is_known_is_not_read_again(directory: Path, make_state: MakeState) -> None:
    record(directory, make_state, "a", "b")
    index = Index(directory)
    read: list[int] = []
    index.update(read.append)
    assert sum(read) == sum(path.stat().st_size for path in in_order(directory))
    read.clear()
    index.update(read.append)
    assert read == []
    index.close()


def test_while_the_gateway_writes(directory: Path, make_state: MakeState) -> None:
    recorder = Recorder(directory)
    recorder.start()
    index = Index(directory)
    for number in range(3):
        asyncio.run(recorder.durable_event("reload", {"number": number}))
        recorder.finish(str(number), make_state(str(number), request_id=str(number)), "done")
    recorder.close()
    index.update()
    assert [row.summary["id"] for row in index.rows() if row.summary["event"] is None] == ["0", "1", "2"]
    index.close()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"no database" * 1000), id="something-else"),
        pytest.param(lambda path: os.truncate(path, path.stat().st_size // 2), id="cut"),
        pytest.param(lambda path: alter(path, "PRAGMA user_version = 99"), id="of-another-version"),
        pytest.param(lambda path: alter(path, "DROP TABLE rows"), id="without-a-table"),
        pytest.param(lambda path: alter(path, "UPDATE rows SET row = 'no json'"), id="rows-that-are-none"),
        pytest.param(lambda path: alter(path, "DELETE FROM files"), id="rows-of-nothing"),
    ],
)
def test_one_that_is_of_no_use_is_made_anew(
    directory: Path, make_state: MakeState, damage: Callable[[Path], None]
) -> None:
    record(directory, make_state, "a", "b")
    assert listed(directory) == ["a", "b"]
    damage(directory / FILE)
    assert listed(directory) == ["a", "b"]


def alter(path: Path, statement: str) -> None:
    base = sqlite3.connect(path)
    base.execute(statement)
    base.commit()
    base.close()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda path: path.unlink(), ["c"], id="removed"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes().replace(b"/path", b"/hidden"[:5])), None, id="altered"
        ),
        pytest.param(lambda path: path.replace(path.with_name("renamed.mitm")), ["a", "b", "c"], id="renamed"),
    ],
)
def test_a_file_that_was_changed_is_read_anew(
    directory: Path, make_state: MakeState, change: Callable[[Path], object], expected: list[str] | None
) -> None:
    record(directory, make_state, "a", "b")
    record(directory, make_state, "c")
    assert listed(directory) == ["a", "b", "c"]
    change(in_order(directory)[0])
    if expected is not None:
        assert listed(directory) == expected
        return
    index = Index(directory)
    index.update()
    assert any("/hidd" in row.summary["request"] for row in index.rows())
    index.close()


def test_what_is_damaged_is_told_of_each_time(directory: Path, make_state: MakeState) -> None:
    record(directory, make_state, "a", "b")
    with in_order(directory)[0].open("ab") as file:
        file.write(b"4:junk,")
    for _ in range(2):
        index = Index(directory)
        index.update()
        assert len(index.damaged) == 1
        assert "nothing can be read from offset" in index.damaged[0]
        index.close()


def test_where_nothing_may_be_written_it_is_in_memory(
    directory: Path, make_state: MakeState, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(directory, make_state, "a")

    def refused(path: Path, mode: int = 0o666, exist_ok: bool = True) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refused)
    assert listed(directory) == ["a"]
    assert not (directory / FILE).exists()
