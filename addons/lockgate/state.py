"""Secrets the gateway makes for itself and keeps in its state directory: whole, owner only, made once.

What belongs here: such files and their rights. What never does: what the secrets are for.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from secrets import token_bytes, token_hex

from lockgate.errors import SetupError

KEY_SIZE = 32  # bytes
MAX_FILE = 16 * 1024  # bytes


def key(directory: Path, name: str) -> bytes:
    """The random key `name` of the state directory: 32 bytes, made at first use, the same ever after.

    Of several processes that make it at once all get the same. Raises SetupError when the file cannot be read or made,
    has another length, or others may read it: with another key what was hashed before would no longer be known again.
    """
    path = directory / f"{name}.key"
    try:
        require_private(directory.stat(), directory)
        if not path.exists():
            make(path, token_bytes(KEY_SIZE))
        content, _ = read(path)
    except OSError as error:
        raise SetupError(f"The key {path} cannot be used: {error.strerror}.") from error
    if len(content) != KEY_SIZE:
        raise SetupError(
            f"The key {path} has {len(content)} bytes, not {KEY_SIZE}: restore it, or delete it and a new one is made; "
            "hashes then differ from earlier ones."
        )
    return content


def make(path: Path, content: bytes) -> None:
    """Put a new file at `path`, whole, durable and 0600 from the start; where another was faster, its file stays.

    Raises OSError.
    """
    draft = write_draft(path, content)
    try:
        path.hardlink_to(draft)  # unlike a rename, it never replaces
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync_directory(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Put a file at `path` in place of what is there: 0600, durable, at every moment one of the two, whole.

    Raises OSError.
    """
    draft = write_draft(path, content)
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise
    sync_directory(path.parent)


def write_draft(path: Path, content: bytes) -> Path:
    """A durable file of the owner's alone beside `path`, to be given its name."""
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink()
        raise
    return draft


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable (fsync(2): a file's own fsync does not cover its entry)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> tuple[bytes, os.stat_result]:
    """A file's first 16 KiB, and the status of the file they were read from. Follows no link.

    Raises OSError, PermissionError where it is no regular file of the owner's alone.
    """
    with open(path, "rb", opener=opener) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(errno.EPERM, "not a regular file", str(path))
        require_private(status, path)
        return file.read(MAX_FILE), status


def opener(name: str, flags: int) -> int:
    """Follows no link, and does not block on a named pipe."""
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def require_private(status: os.stat_result, path: Path) -> None:
    """Raise PermissionError, with the remedy, unless it is the owner's alone."""
    if status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", str(path))
    if status.st_mode & 0o077:
        right = "0700" if stat.S_ISDIR(status.st_mode) else "0600"
        raise PermissionError(errno.EPERM, f"open to group or others; chmod {right}", str(path))
