"""TinyDB's tables over the log: everything that changes is kept, and nothing else is written."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tinydb import where
from tinydb.table import Document, Table

from lockgate.approvals import storage
from lockgate.approvals.log import LOG, AuthenticatedLog
from lockgate.approvals.storage import ById, LogStorage

KEY = b"k" * 32


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def kept(directory: Path) -> Iterator[LogStorage]:
    made = LogStorage(directory, KEY)
    made.open()
    yield made
    made.close()


@pytest.fixture(params=["altered where it is", "as TinyDB has it"])
def rows(request: pytest.FixtureRequest, kept: LogStorage, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table with three rows; also as it is where TinyDB no longer asks for what is replaced here."""
    if request.param == "as TinyDB has it":
        monkeypatch.setattr(ById, "_update_table", Table._update_table)
    table: Any = ById(kept, "rows")
    for number in range(3):
        table.insert(Document({"revision": 1, "number": number}, doc_id=f"r{number}"))
    kept.commit()
    return table


def again(kept: LogStorage) -> dict[str, Any]:
    """What another process would find."""
    kept.commit()
    kept.close()
    kept.open()
    return {table: dict(rows) for table, rows in kept.read().items() if rows}


def test_every_way_to_change_a_row(kept: LogStorage, rows: Any) -> None:
    rows.update({"revision": 2, "said": "x"}, doc_ids=["r0"])
    rows.upsert(Document({"revision": 2, "said": "y"}, doc_id="r1"))
    rows.upsert(Document({"revision": 1}, doc_id="r3"))
    rows.update({"revision": 3}, where("number") == 0)
    rows.remove(where("number") == 2)
    expected = {
        "r0": {"revision": 3, "number": 0, "said": "x"},
        "r1": {"revision": 2, "number": 1, "said": "y"},
        "r3": {"revision": 1},
    }
    assert again(kept) == {"rows": expected}
    assert {each.doc_id for each in rows.all()} == expected.keys()
    rows.truncate()
    assert again(kept) == {}


def test_only_what_changed_is_written(kept: LogStorage, rows: Any, directory: Path) -> None:
    before = (directory / LOG).read_bytes()
    rows.update({"revision": 2}, doc_ids=["r1"])
    rows.update({"number": 7}, doc_ids=["r2"])  # the same revision
    kept.commit()
    kept.commit()
    written = (directory / LOG).read_bytes().removeprefix(before)
    assert written.count(b"\n") == 1 and b'"id":"r1"' in written


def test_other_rows_are_not_looked_at(kept: LogStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    table: Any = ById(kept, "rows")
    for number in range(50):
        table.insert(Document({"revision": 1}, doc_id=f"r{number}"))
    asked: list[str] = []
    touched = kept.touched
    monkeypatch.setattr(kept, "touched", lambda name, ids: (asked.extend(ids), touched(name, ids)))
    table.update({"revision": 2}, doc_ids=["r7"])
    table.remove(doc_ids=["r9"])
    assert asked == ["r7", "r9"]


def test_tables_are_apart(kept: LogStorage) -> None:
    for name in ("one", "two"):
        table: Any = ById(kept, name)
        table.insert(Document({"revision": 1, "of": name}, doc_id="same"))
    one: Any = ById(kept, "one")
    one.remove(doc_ids=["same"])
    assert again(kept) == {"two": {"same": {"revision": 1, "of": "two"}}}


def test_what_is_not_committed_is_nowhere(kept: LogStorage, rows: Any) -> None:
    rows.update({"revision": 2}, doc_ids=["r1"])
    kept.close()
    kept.open()
    assert rows.get(doc_id="r1")["revision"] == 1


def churn(kept: LogStorage, rows: Any, times: int) -> None:
    for _ in range(times):
        row = rows.get(doc_id="r1")
        kept.compact()
        rows.update({"revision": row["revision"] + 1}, doc_ids=["r1"])
        kept.commit()


def test_it_is_written_anew_when_little_of_it_is_live(
    kept: LogStorage, rows: Any, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    churn(kept, rows, 20)
    assert (directory / LOG).read_bytes().count(b"\n") == 24  # it is too small to bother
    monkeypatch.setattr(storage, "SPARE", 0)
    churn(kept, rows, 40)
    assert (directory / LOG).read_bytes().count(b"\n") < 15
    assert again(kept)["rows"]["r1"] == {"revision": 61, "number": 1}
    assert kept._live == sum(written.size for written in kept._written["rows"].values())


def test_where_there_is_no_room_it_grows_on(
    kept: LogStorage, rows: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: AuthenticatedLog, values: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "SPARE", 200)
    with monkeypatch.context() as patched:
        patched.setattr(AuthenticatedLog, "draft", full)
        with caplog.at_level(logging.WARNING):
            churn(kept, rows, 30)
    said = [record.getMessage() for record in caplog.records]
    assert set(said) == {"The approvals' log cannot be written anew, and goes on growing: No space left on device."}
    assert 1 < len(said) < 15  # not at every write
    assert again(kept)["rows"]["r1"]["revision"] == 31
