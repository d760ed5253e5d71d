"""An append-only log of JSON values: durable, and authenticated, so that nobody without the key alters what it says.

    approvals.log    HMAC-SHA256 (hex), a space, JSON, a line end; the first line is the log's header
    approvals.head   HMAC-SHA256 (hex), and of the last line that was acknowledged its number and its MAC

A line's MAC covers the MAC before it: no line can be altered, taken out, put in, moved or doubled. The head, replaced
once the log is durable, or a moment later where that was acknowledged first, tells a log that ends before, or is
another than, what was acknowledged. What comes behind that and does not verify was being written when the machine
stopped: it is cut off. A crash between the two leaves a log with more than its head tells, which counts where it is
whole.

Not detected: both files put back together as they once were, which the gateway while it runs does notice; and who has
the key, or puts another there and makes a log with it: it lies in the same directory. With both files gone there is a
new log of nothing: what was kept is lost, that it was used along with that it was approved, and none of it comes back.
"""

from __future__ import annotations

import errno
import hmac
import json
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

from lockgate import state
from lockgate.errors import StoreUnavailable

LOG, HEAD = "approvals.log", "approvals.head"
VERSION = 1
MAC = 64  # characters
START_ANEW = f"To begin without any approval, stop the gateway and move {LOG} and {HEAD} away together"


class Mark(NamedTuple):
    """A line of the log, by its number and its MAC, which stands for all lines before it too."""

    number: int
    mac: str


START = Mark(0, "0" * MAC)  # what the header of the first log follows


class AuthenticatedLog:
    """For one thread, one process. `open` before anything else, and again after a fault.

    What was acknowledged is remembered while the object lives: opened again, it takes nothing older, and nothing that
    a fault left behind it.
    """

    def __init__(self, directory: Path, key: bytes) -> None:
        """`key` is 32 bytes that nobody else has."""
        self._directory = directory
        self._path = directory / LOG
        self._key = key
        self._file = -1
        self._pending: list[str] = []
        self._mark: Mark | None = None  # the last that was acknowledged
        self._told: Mark | None = None  # the one that the head tells of
        self.length = 0  # of the log up to there, in bytes

    def open(self, take: Callable[[Any, int], None]) -> None:
        """Read the log: `take` is given each value, and the size of its line in bytes. Then it may be appended to.

        Raises StoreUnavailable: it is not what was written last. OSError.
        """
        self.close()
        head = self._read_head()
        known: Mark | None = head
        limit = None
        if self._mark is not None and (head is None or head.number <= self._mark.number):
            known, limit = self._mark, self.length
        if known is None and not os.path.lexists(self._path):
            self._begin()
        try:
            self._file = open_private(self._path, os.O_RDWR)
        except FileNotFoundError:
            text = f"{self._path} is gone, though it was there: put it back"
            raise StoreUnavailable(f"{text}. {START_ANEW}") from None
        mark, length = self._replay(take, known, limit)
        os.ftruncate(self._file, length)
        os.lseek(self._file, length, os.SEEK_SET)
        os.fsync(self._file)
        if mark != head:
            self._write_head(mark)
        state.sync_directory(self._directory)
        self._mark, self.length = mark, length
        self._told = mark

    def close(self) -> None:
        self._pending.clear()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def append(self, value: Any) -> int:
        """Take a value, which is nowhere but in memory until `commit`. Returns the size of its line in bytes."""
        text = dumped(value)
        self._pending.append(text)
        return size(text)

    def commit(self, *, with_head: bool = True) -> None:
        """Return once what was appended is durable. Without its head `settle` must follow soon.

        Raises OSError: `open` must follow, and finds nothing of it. Only if the process ends before that some of it may
        count in the next, as what is being written while the machine stops may.
        """
        if not self._pending:
            return
        mark, written = self._require_mark(), []
        for text in self._pending:
            mark = self._following(mark, text)
            written.append(line(mark, text))
        data = b"".join(written)
        self._require_in_place()
        try:
            write_all(self._file, data)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):  # `open` cuts it off too, but the gateway may be stopped before
                os.ftruncate(self._file, self.length)
            raise
        if with_head:
            self._write_head(mark)
        self._pending.clear()
        self._mark, self.length = mark, self.length + len(data)

    def settle(self) -> None:
        """Have the head tell of all that was acknowledged. Raises OSError: `open` must follow."""
        if self._file >= 0 and self._mark is not None and self._mark != self._told:
            self._write_head(self._mark)

    # Written anew

    def draft(self, values: Collection[Any]) -> Draft:
        """A log of these values alone, to be put in place of this one, which is left as it is. Raises OSError.

        Its last line has the number that the last line here has: it can be told from an older log, or from a part.
        """
        self.settle()
        last = self._require_mark()
        path = self._directory / f".{LOG}.draft"
        file = new_file(path)
        try:
            header = dumped({"version": VERSION, "log": token_hex(16), "number": last.number - len(values), "of": last})
            mark = Mark(last.number - len(values), self._mac(START.mac + header))
            write_all(file, line(mark, header))
            length = size(header)
            for value in values:  # each write lets other threads run
                text = dumped(value)
                mark = self._following(mark, text)
                write_all(file, line(mark, text))
                length += size(text)
            os.fsync(file)
        except BaseException:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        return Draft(path, file, mark, length)

    def put(self, draft: Draft) -> None:
        """Go on with it, with nothing appended since. Raises OSError: `open` must follow."""
        try:
            self._require_in_place()
            state.sync_directory(self._directory)  # this log's head is the last that the draft can be told by
            draft.path.replace(self._path)
        except BaseException:
            os.close(draft.file)
            draft.path.unlink(missing_ok=True)
            raise
        os.close(self._file)
        # From here on this is the log, whether or not all that follows can be done.
        self._file, self._mark, self.length = draft.file, draft.mark, draft.length
        state.sync_directory(self._directory)
        self._write_head(draft.mark)

    # Lines

    def _mac(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("ascii"), "sha256").hex()

    def _following(self, mark: Mark, text: str) -> Mark:
        return Mark(mark.number + 1, self._mac(mark.mac + text))

    def _verified(self, end: int) -> Iterator[tuple[Any, Mark, int]]:
        """The value, mark and size in bytes of each line, the header first: up to `end`, and as far as they verify."""
        mark, length = START, 0
        for content in lines(self._file):
            text = content[MAC + 1 : -1].decode("latin-1")
            if length >= end or not content.endswith(b"\n") or not text.isascii():
                return
            mac = self._mac(mark.mac + text)
            if not hmac.compare_digest(content[: MAC + 1], f"{mac} ".encode("ascii")):
                return
            value = json.loads(text)
            mark = Mark(mark.number + 1 if length else value["number"], mac)
            yield value, mark, len(content)
            length += len(content)

    def _begin(self) -> None:
        """A log of nothing. `log` tells it from every other."""
        text = dumped({"version": VERSION, "log": token_hex(16), "number": START.number, "of": START})
        state.make(self._path, line(Mark(START.number, self._mac(START.mac + text)), text))

    def _replay(self, take: Callable[[Any, int], None], known: Mark | None, limit: int | None) -> tuple[Mark, int]:
        """The last line that counts, and where it ends. Raises StoreUnavailable where it is not the log of `known`."""
        written = os.fstat(self._file).st_size
        end = written if limit is None else min(written, limit)
        mark, renewed, length, count, is_known = START, START, 0, 0, False
        for value, mark, size in self._verified(end):
            if count:
                take(value, size)
            else:
                require_version(value["version"], self._path)
                renewed = Mark(*value["of"])
            count += 1
            length += size
            is_known = is_known or mark == known or (renewed == known and mark.number == renewed.number)
        if count == 0 or not (is_known or (known is None and mark.number == START.number)):
            raise StoreUnavailable(f"{self._wrong(mark, known, count, is_whole=length == end)}. {START_ANEW}")
        return mark, length

    def _wrong(self, mark: Mark, known: Mark | None, count: int, *, is_whole: bool) -> str:
        """What is wrong with a log of which so many lines verify, up to `mark`; and what to do."""
        head = self._directory / HEAD
        if not is_whole:
            place = f"{self._path}: line {count + 1}"
            return f"{place} was changed, or is not of this log, or not by this key: put back what was there"
        if known is None and count:
            return f"{head} is gone, though it was there: put it back"
        if known is None or mark.number < known.number:
            return f"{self._path} ends before what was acknowledged: an older one was put back, or a part"
        return f"{self._path} is another log than the one that {head} is of: put that back"

    # The head

    def _write_head(self, mark: Mark) -> None:
        """Say which line is the last. A machine that stops may leave the head before, which is older than the log."""
        text = f"{VERSION} {mark.number} {mark.mac}"
        draft = self._directory / f".{HEAD}.draft"
        file = new_file(draft)
        try:
            write_all(file, f"{self._mac('head ' + text)} {text}\n".encode("ascii"))
            os.fsync(file)
        finally:
            os.close(file)
        draft.replace(self._directory / HEAD)
        self._told = mark

    def _read_head(self) -> Mark | None:
        """The last line that was acknowledged; None where there never was one."""
        path = self._directory / HEAD
        try:
            content, _ = state.read(path)
        except FileNotFoundError:
            return None
        mac, _, text = content.decode("latin-1").rstrip("\n").partition(" ")
        if not text.isascii() or not hmac.compare_digest(mac.encode(), self._mac("head " + text).encode()):
            raise StoreUnavailable(f"{path} was changed, or is not by this key: put it back. {START_ANEW}")
        version, number, last = text.split(" ")
        require_version(version, path)
        return Mark(int(number), last)

    # The file

    def _require_mark(self) -> Mark:
        if self._file < 0 or self._mark is None:
            raise OSError(errno.EBADF, "not open", str(self._path))
        return self._mark

    def _require_in_place(self) -> None:
        """Raises OSError where the file is no longer the one that would be read, or somebody else has written to it."""
        status = os.fstat(self._file)
        if status.st_size != self.length or not os.path.samestat(status, self._path.lstat()):
            raise OSError(errno.ESTALE, "was altered by something else", str(self._path))


class Draft(NamedTuple):
    """A log that is written, durable, and nowhere yet."""

    path: Path
    file: int
    mark: Mark
    length: int


def require_version(version: object, path: Path) -> None:
    """Raises StoreUnavailable unless it is the one that is read here."""
    if str(version) != str(VERSION):
        raise StoreUnavailable(f"{path} is of version {version}, and this reads {VERSION}: run what wrote it")


def dumped(value: Any) -> str:
    """ASCII without a line end. Numbers come back as they are."""
    return json.dumps(value, separators=(",", ":"))


def line(mark: Mark, text: str) -> bytes:
    return f"{mark.mac} {text}\n".encode("ascii")


def size(text: str) -> int:
    """How many bytes the line of this text has."""
    return MAC + 1 + len(text) + 1


def lines(descriptor: int) -> Iterator[bytes]:
    """Each line of a file from its start, with its end; the last one may have none."""
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        yield from file


def write_all(descriptor: int, data: bytes) -> None:
    """write(2) may take less than it is given. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def open_private(path: Path, flags: int) -> int:
    """A regular file of the owner's alone. Follows no link, waits for no pipe. Raises OSError."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(errno.EPERM, "not a regular file", str(path))
        state.require_private(status, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def new_file(path: Path) -> int:
    """An empty file in place of what an earlier attempt left. Raises OSError."""
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
