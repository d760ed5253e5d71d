"""Every record in a line, kept beside the recordings so that listing them need not read them all again.

A cache, and never evidence: readers make it and go on with it, the gateway does not know of it. It is made anew where
it is missing, damaged, or of another version; a file that was replaced or altered, by its inode, size or time, is read
anew. Whoever may write to the directory may write to it too: what has to be certain is for `verify`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from lockgate.recordings.files import Record, RecordFile, base, in_order, opened
from lockgate.recordings.summary import outline, summary

FILE = ".index.sqlite"
VERSION = 1
TOGETHER = 1000  # rows that are written at once
SCHEMA = """
CREATE TABLE files (name TEXT PRIMARY KEY, inode INTEGER, changed INTEGER, size INTEGER, read INTEGER);
CREATE TABLE rows (file TEXT, offset INTEGER, row TEXT, PRIMARY KEY (file, offset)) WITHOUT ROWID;
"""


class Row(NamedTuple):
    """A record in a line (`summary`), and where it stands."""

    path: Path
    offset: int
    summary: dict[str, Any]


class Index:
    """That of one directory. `update` first; for one thread."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError where the directory is none. Where nothing may be written there, it is in memory alone."""
        self._directory = directory
        self._order: list[str] = []
        self._paths: dict[str, Path] = {}
        self.damaged: list[str] = []
        self._base = connected(directory / FILE)

    def close(self) -> None:
        self._base.close()

    def update(self, progress: Callable[[int], None] = lambda _: None) -> None:
        """Take what was recorded since. `progress` is told of bytes as they are read. Raises OSError."""
        paths = in_order(self._directory)
        self._order = [base(path) for path in paths]
        self._paths = {base(path): path for path in paths}
        known = {name for (name,) in self._base.execute("SELECT name FROM files")}
        with self._base:
            for gone in known - set(self._order):
                self._forget(gone)
        self.damaged.clear()
        for path in paths:
            self._read(path, progress)

    def rows(self, *, newest_first: bool = False) -> Iterator[Row]:
        """All rows in the order of the chain, or the other way round."""
        direction = "DESC" if newest_first else "ASC"
        for name in reversed(self._order) if newest_first else self._order:
            query = f"SELECT offset, row FROM rows WHERE file = ? ORDER BY offset {direction}"  # noqa: S608 (one of two)
            for offset, row in self._base.execute(query, (name,)):
                try:
                    told = json.loads(row)
                except ValueError:
                    told = in_a_line(RecordFile(self._paths[name]).at(offset))
                yield Row(self._paths[name], offset, told)

    def count(self) -> int:
        (count,) = self._base.execute("SELECT count(*) FROM rows").fetchone()
        return int(count)

    def _read(self, path: Path, progress: Callable[[int], None]) -> None:
        status = path.stat()
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        query = "SELECT inode, changed, size, read FROM files WHERE name = ?"
        name = base(path)
        held = self._base.execute(query, (name,)).fetchone()
        if held is not None and tuple(held[:3]) == seen:
            return
        if held is not None and path.name != name and held[3] == size_of(path):  # it was put away as it was
            with self._base:
                self._base.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", (name, *seen, held[3]))
            return
        grown = held is not None and held[0] == status.st_ino and status.st_size > held[2]
        read = held[3] if grown else 0
        file, damaged = RecordFile(path), []
        with self._base:
            if not grown:
                self._forget(name)
            rows: list[tuple[str, int, str]] = []
            for record in file.since(read):
                read = record.offset + len(record.raw)
                progress(len(record.raw))
                try:
                    rows.append((name, record.offset, json.dumps(in_a_line(record))))
                except ValueError:
                    damaged.append(f"{path}: the record at offset {record.offset} cannot be read")
                if len(rows) == TOGETHER:
                    self._add(rows)
            self._add(rows)
            if file.tail and not file.tail.torn:
                damaged.append(f"{path}: nothing can be read from offset {file.tail.offset} on")
            noted = (*seen, read) if not damaged else (-1, 0, 0, 0)  # what is damaged is told of each time
            self._base.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", (name, *noted))
        self.damaged += damaged

    def _add(self, rows: list[tuple[str, int, str]]) -> None:
        self._base.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
        rows.clear()

    def _forget(self, name: str) -> None:
        self._base.execute("DELETE FROM rows WHERE file = ?", (name,))
        self._base.execute("DELETE FROM files WHERE name = ?", (name,))


def size_of(path: Path) -> int:
    """Bytes of a record file as it was written. Raises OSError."""
    with opened(path) as file:
        return file.seek(0, os.SEEK_END)


def in_a_line(record: Record) -> dict[str, Any]:
    """Raises ValueError where it cannot be read."""
    try:
        return summary(outline(record.raw))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a record") from error


def connected(path: Path) -> sqlite3.Connection:
    """The index at `path`, an empty one where there is none that is of use."""
    for target in (path, path):
        try:
            target.touch(mode=0o600)
            found = sqlite3.connect(target, timeout=10.0)
        except (sqlite3.Error, OSError):
            break
        try:
            if prepared(found):
                return found
        except sqlite3.DatabaseError:
            pass  # it is none
        found.close()
        with suppress(OSError):
            target.unlink()
    memory = sqlite3.connect(":memory:")
    prepared(memory)
    return memory


def prepared(index: sqlite3.Connection) -> bool:
    """Whether it is an index of this version; what is empty is made one."""
    (version,) = index.execute("PRAGMA user_version").fetchone()
    with closing(index.execute("SELECT count(*) FROM sqlite_master")) as found:
        (tables,) = found.fetchone()
    if tables == 0:
        index.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        return True
    if version != VERSION:
        return False
    (state,) = index.execute("PRAGMA quick_check(1)").fetchone()
    index.execute("SELECT name, inode, changed, size, read FROM files LIMIT 1")
    index.execute("SELECT file, offset, row FROM rows LIMIT 1")
    return bool(state == "ok")
