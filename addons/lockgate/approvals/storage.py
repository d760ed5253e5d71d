"""A TinyDB storage that appends: each change of a row is one line of a log, authenticated, and chained to the last.

TinyDB hands a storage all tables at every write. This one writes only rows whose `revision` is another than it wrote
last, since to write thousands of rows anew for each change would stop the gateway for as long. `commit` makes what was
written durable, with one wait for the disk for the log and one for the head.

    approvals.log    HMAC-SHA256 (hex), a space, JSON, a line end; the first line is the log's header
    approvals.head   two slots of 128 bytes, written in turn: the number of the last line that was acknowledged

A line's MAC covers the MAC before it, so that no line can be altered, taken out, put in or moved without the key. A log
that ends before what the head says was acknowledged is an older one. What comes behind that, and is torn, was being
written when the machine stopped: it is cut off. Not detected: a state directory that was put back whole, as it was
before; and who has the key, which lies in the same directory.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from lockgate import state
from lockgate.errors import StoreUnavailable

LOG, HEAD = "approvals.log", "approvals.head"
VERSION = 1
SLOT = 128  # bytes
MAC = 64  # characters
START = "0" * MAC  # what the first line of a log follows
SPARE = 1024 * 1024  # bytes that a log may have beside what is live, before it is written anew
TIMES = 4  # how many times what is live it may have

Tables = dict[str, dict[str, dict[str, Any]]]


class LogStorage(Storage):
    """For one thread. `open` before anything else, and again after a fault."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._directory = directory
        self._key = key
        self._log = -1
        self._head = -1
        self._forget()

    def _forget(self) -> None:
        self._tables: Tables = {}
        self._revisions: dict[tuple[str, str], int] = {}
        self._sizes: dict[tuple[str, str], int] = {}  # of the line each row has, in bytes
        self._live = 0  # all of them
        self._pending: list[bytes] = []
        self._last = START
        self._number = 0
        self._length = 0

    # TinyDB's side

    def read(self) -> Tables:
        return self._tables

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """Take what has changed; it is nowhere but in memory until `commit`."""
        self._tables = data
        for table, rows in data.items():
            for row_id, row in rows.items():
                if self._revisions.get((table, row_id)) != row["revision"]:
                    self._append(table, row_id, row)
        if len(self._revisions) > sum(map(len, data.values())):
            for table, row_id in [each for each in self._revisions if each[1] not in data.get(each[0], {})]:
                self._append(table, row_id, None)

    def close(self) -> None:
        for descriptor in (self._log, self._head):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._head = -1

    # The log's side

    def open(self) -> None:
        """Read the log; cut off what was being written when the gateway stopped.

        Raises StoreUnavailable: it is not what was written last. OSError.
        """
        self.close()
        self._forget()
        log, head = self._directory / LOG, self._directory / HEAD
        acknowledged = self._read_head(head)
        if not log.exists():
            if acknowledged is not None:
                raise StoreUnavailable(f"{log} is gone, though {head} says it was there: put it back. {START_ANEW}")
            self._begin(log)
        self._log = os.open(log, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        state.require_private(os.fstat(self._log), log)
        self._replay(log, acknowledged or 0)
        if acknowledged is None and self._number > 1:
            raise StoreUnavailable(f"{head} is gone, though {log} is not empty: put it back. {START_ANEW}")
        self._head = os.open(head, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        state.require_private(os.fstat(self._head), head)
        self._acknowledge()
        state.sync_directory(self._directory)

    def commit(self) -> None:
        """Return once what was written is durable. Raises OSError: it may be, or not; `open` tells."""
        if not self._pending:
            return
        write_all(self._log, b"".join(self._pending))
        os.fsync(self._log)
        self._length += sum(map(len, self._pending))
        self._pending.clear()
        self._acknowledge()
        if self._length > TIMES * self._live + SPARE:
            self._compact()

    def _append(self, table: str, row_id: str, row: dict[str, Any] | None) -> None:
        line = self._line({"table": table, "id": row_id, "row": row})
        self._pending.append(line)
        self._note(table, row_id, row, len(line))

    def _note(self, table: str, row_id: str, row: dict[str, Any] | None, size: int) -> None:
        self._live -= self._sizes.pop((table, row_id), 0)
        if row is None:
            self._revisions.pop((table, row_id), None)
        else:
            self._revisions[table, row_id] = row["revision"]
            self._sizes[table, row_id] = size
            self._live += size

    def _line(self, content: dict[str, Any]) -> bytes:
        """The next line of the log."""
        self._number += 1
        text = json.dumps({"number": self._number, **content}, separators=(",", ":"))
        self._last = self._mac(self._last + text)
        return f"{self._last} {text}\n".encode("ascii")

    def _mac(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("ascii"), "sha256").hex()

    def _begin(self, log: Path) -> None:
        """A log of nothing."""
        state.make(log, self._line({"version": VERSION}))
        self._last, self._number = START, 0  # it is read like any other

    def _replay(self, log: Path, acknowledged: int) -> None:
        for start, line in lines(self._log):
            problem = self._take(line)
            if problem is None:
                self._length = start + len(line)
            elif self._number < acknowledged:
                place = f"{log}: line {self._number + 1} {problem}"
                raise StoreUnavailable(f"{place}: put back what was there. {START_ANEW}")
            else:
                break
        if self._number < max(acknowledged, 1):
            raise StoreUnavailable(f"{log} ends before what was acknowledged: an older one was put back. {START_ANEW}")
        os.ftruncate(self._log, self._length)
        os.lseek(self._log, self._length, os.SEEK_SET)
        os.fsync(self._log)

    def _take(self, line: bytes) -> str | None:
        """Take a line into the tables; what is wrong with it, None where nothing is."""
        text = line[MAC + 1 : -1].decode("latin-1")
        whole = line.endswith(b"\n") and text.isascii()
        if not whole or not hmac.compare_digest(line[:MAC], self._mac(self._last + text).encode("ascii")):
            return "was changed, or is not of this log, or not by this key"
        content = json.loads(text)
        if self._last == START:
            if content.get("version") != VERSION:
                return f"is of a version that is not known here, which is {VERSION}"
            self._number = content["number"]
        else:
            self._number += 1
            if content["number"] != self._number:
                return "does not follow the one before"
            rows = self._tables.setdefault(content["table"], {})
            if content["row"] is None:
                rows.pop(content["id"], None)
            else:
                rows[content["id"]] = content["row"]
            self._note(content["table"], content["id"], content["row"], len(line))
        self._last = line[:MAC].decode("ascii")
        return None

    def _compact(self) -> None:
        """Write what is live anew, as a log that goes on from this one."""
        log = self._directory / LOG
        draft = log.with_name(f".{LOG}.draft")
        draft.unlink(missing_ok=True)
        self._last = START
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        length = 0
        try:
            for line in self._whole():
                write_all(descriptor, line)
                length += len(line)
            os.fsync(descriptor)
            draft.replace(log)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(self._log)
        self._log, self._length = descriptor, length
        state.sync_directory(self._directory)
        self._acknowledge()

    def _whole(self) -> Iterator[bytes]:
        yield self._line({"version": VERSION})
        for table, rows in self._tables.items():
            for row_id, row in rows.items():
                yield self._line({"table": table, "id": row_id, "row": row})

    # The head

    def _acknowledge(self) -> None:
        """Say which line is the last. Of the two slots one is whole, whenever the machine stops."""
        text = f"{VERSION} {self._number}"
        slot = f"{self._mac('head ' + text)} {text}".ljust(SLOT - 1) + "\n"
        os.pwrite(self._head, slot.encode("ascii"), (self._number % 2) * SLOT)
        os.fsync(self._head)

    def _read_head(self, head: Path) -> int | None:
        """The number of the last line that was acknowledged; None where there never was one."""
        try:
            with open(head, "rb", opener=state.opener) as file:
                state.require_private(os.fstat(file.fileno()), head)
                content = file.read(2 * SLOT + 1)
        except FileNotFoundError:
            return None
        if not content:
            return None  # made, and not yet written
        found = [number for start in (0, SLOT) if (number := self._slot(content[start : start + SLOT])) is not None]
        if not found:
            raise StoreUnavailable(f"{head} was changed, or is not by this key: put it back. {START_ANEW}")
        return max(found)

    def _slot(self, slot: bytes) -> int | None:
        mac, _, text = slot.decode("latin-1").strip().partition(" ")
        if not text.isascii() or not hmac.compare_digest(mac.encode(), self._mac("head " + text).encode()):
            return None
        version, _, number = text.partition(" ")
        return int(number) if version == str(VERSION) else None


START_ANEW = f"To begin without any approval, move {LOG} and {HEAD} away together"


def lines(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """Each line of a file with its place; the last one may have no end."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        start = 0
        for line in file:
            yield start, line
            start += len(line)


def write_all(descriptor: int, data: bytes) -> None:
    """write(2) may take less than it is given. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
