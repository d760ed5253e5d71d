"""Files that only grow, and the directories they lie in: owner only, and durable when asked.

What belongs here: system calls and what their failures leave behind. What never does: what is written.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from lockgate.errors import SetupError
from lockgate.state import sync_directory

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700


class AppendFile:
    """A new file, written at its end only. `size` bytes are whole pieces; the first `durable` of them are on the disk.

    Every method raises OSError for what the disk says. A half piece is cut off at once, or before the next is written.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self.path = path
        self.size = 0
        self.durable = 0
        self._half_piece = False
        self._descriptor = os.open(path, flags, PRIVATE_FILE)
        try:
            sync_directory(path.parent)
        except OSError:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """Hand one piece to the operating system: from here on a killed process does not lose it, a power cut may."""
        if self._half_piece:
            self.truncate(self.size)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            self._half_piece = True
            self.truncate(self.size)
            raise
        self.size += len(data)

    def sync(self) -> None:
        """Return once all of the file is on the disk, under its name."""
        size = self.size
        os.fsync(self._descriptor)
        self.require_in_place()
        self.durable = size

    def require_in_place(self) -> None:
        """Raise FileNotFoundError unless the path still names this file: a deleted one takes writes without a word."""
        if not os.path.samestat(self.path.stat(), os.fstat(self._descriptor)):
            raise FileNotFoundError(f"another file lies at {self.path}")

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        self._half_piece = False
        self.size = size
        self.durable = min(self.durable, size)

    def close(self) -> None:
        os.close(self._descriptor)


def make_directory(path: Path, ours: frozenset[str] = frozenset(), suffixes: tuple[str, ...] = ()) -> None:
    """A directory of the owner's own. An existing one that holds nothing but `ours` is closed to others.

    Raises SetupError for one that others may write to and that holds files of theirs, OSError otherwise.
    """
    try:
        path.mkdir(mode=PRIVATE_DIRECTORY, parents=True)
    except FileExistsError:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077 and all(entry.name in ours or entry.name.endswith(suffixes) for entry in path.iterdir()):
            path.chmod(PRIVATE_DIRECTORY)
        elif mode & stat.S_IWOTH:
            raise SetupError(f"{path}: everyone may write to this directory; use one of the gateway's own") from None


class DirectoryLock:
    """Held by the one process that writes into a directory; the system frees it when the process ends."""

    def __init__(self, path: Path) -> None:
        """Raises BlockingIOError when another process holds it."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            self.close()
            raise

    def in_place(self) -> bool:
        """Whether the path still names the file that is locked."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        os.close(self._descriptor)


def free_space(directory: Path) -> int:
    """Bytes that may still be written there; none where that cannot be found out."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def is_locked(path: Path) -> bool:
    """Whether a process writes into the directory of this lock. Asking with a shared lock disturbs no writer."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
