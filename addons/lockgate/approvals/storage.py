"""A TinyDB storage over an authenticated log, and the tables that go with it.

TinyDB hands a storage all tables at every write, copied. With thousands of rows that would stop the gateway for as
long, so these tables are altered where they are and say which rows they touched. Of those the ones whose `revision` is
another than was written last are appended, a line each; `commit` makes them durable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

from tinydb.storages import Storage
from tinydb.table import Table

from lockgate.approvals.log import AuthenticatedLog

SPARE = 1024 * 1024  # bytes that a log may have beside what is live, before it is written anew
TIMES = 3  # how many times what is live it may have

Row = dict[str, Any]
Rows = dict[str, Row]  # by their ids

log = logging.getLogger(__name__)


class Written(NamedTuple):
    """Of a row, as it is in the log: its revision, and the size of its line in bytes."""

    revision: int
    size: int


class LogStorage(Storage):
    """For one thread. `open` before anything else, and again after a fault."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._log = AuthenticatedLog(directory, key)
        self._forget()

    def _forget(self) -> None:
        self._tables: dict[str, Rows] = {}
        self._written: dict[str, dict[str, Written]] = {}
        self._live = 0  # bytes of the lines of all rows
        self._put_off = 0  # the length up to which the log is not to be written anew

    # TinyDB's side

    def read(self) -> dict[str, Rows]:
        return self._tables

    def write(self, data: dict[str, Rows]) -> None:
        """Take what has changed, wherever it did; it is nowhere but in memory until `commit`."""
        self._tables = data
        for table in data.keys() | self._written.keys():
            self.touched(table, data.get(table, {}).keys() | self._written.get(table, {}).keys())

    def close(self) -> None:
        self._log.close()

    # The log's side

    def open(self) -> None:
        """Take what the log has. Raises StoreUnavailable: it is not what was written last. OSError."""
        self._forget()
        self._log.open(self._take)

    def rows(self, table: str) -> Rows:
        return self._tables.setdefault(table, {})

    def touched(self, table: str, ids: Iterable[str]) -> None:
        """Append those of these rows that are not as they were written last."""
        rows, written = self.rows(table), self._written.get(table, {})
        for row_id in ids:
            row, before = rows.get(row_id), written.get(row_id)
            if (None if row is None else row["revision"]) != (None if before is None else before.revision):
                self._note(table, row_id, row, self._log.append({"table": table, "id": row_id, "row": row}))

    def commit(self) -> None:
        """Return once what was written is durable. Raises OSError: `open` must follow, and none of it counts."""
        self._log.commit(with_head=False)

    def settle(self) -> None:
        """Have the log's head tell of it. Raises OSError: `open` must follow."""
        self._log.settle()

    def compact(self) -> None:
        """Write the log anew where little of it is live, with nothing written since `commit`.

        Raises OSError: `open` must follow. That there is no room for it is not raised: there may be for less.
        """
        if self._log.length <= max(TIMES * self._live + SPARE, self._put_off):
            return
        values = [
            {"table": table, "id": row_id, "row": row}
            for table, rows in self._tables.items()
            for row_id, row in rows.items()
        ]
        try:
            draft = self._log.draft(values)
        except OSError as error:
            log.warning("The approvals' log cannot be written anew, and goes on growing: %s.", error.strerror)
            self._put_off = self._log.length + SPARE
            return
        self._log.put(draft)

    def _take(self, value: dict[str, Any], size: int) -> None:
        table, row_id, row = value["table"], value["id"], value["row"]
        if row is None:
            self.rows(table).pop(row_id, None)
        else:
            self.rows(table)[row_id] = row
        self._note(table, row_id, row, size)

    def _note(self, table: str, row_id: str, row: Row | None, size: int) -> None:
        written = self._written.setdefault(table, {})
        before = written.pop(row_id, None)
        self._live -= before.size if before else 0
        if row is not None:
            written[row_id] = Written(row["revision"], size)
            self._live += size


class ById(Table):
    """A table whose rows are known by the ids that they have anyway, and altered where they are."""

    document_id_class = str  # type: ignore[assignment]
    default_query_cache_capacity = 0  # no query is asked twice

    def __init__(self, storage: LogStorage, name: str) -> None:
        super().__init__(storage, name)
        self._log_storage = storage

    def _update_table(self, updater: Callable[[Any], None]) -> None:
        """In place of TinyDB's, which copies the map of all ids twice. Where there is none such, it still works."""
        rows = Touched(self._log_storage.rows(self.name))
        updater(rows)
        self._log_storage.touched(self.name, rows.touched)


class Touched(MutableMapping[str, Row]):
    """The rows of a table, and which of them somebody has had hold of."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.touched: set[str] = set()

    def __getitem__(self, row_id: str) -> Row:
        self.touched.add(row_id)
        return self._rows[row_id]

    def __setitem__(self, row_id: str, row: Row) -> None:
        self.touched.add(row_id)
        self._rows[row_id] = row

    def __delitem__(self, row_id: str) -> None:
        self.touched.add(row_id)
        del self._rows[row_id]

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
