"""Secrets in files of their own, read anew each time: a rotated one counts at once."""

from __future__ import annotations

import os
import stat

from lockgate.errors import SecretUnavailable

MAX_FILE = 16 * 1024  # bytes


def read(name: str) -> str:
    """The text of the file, less one newline at its end. Bytes outside ASCII come as replacement characters.

    Links are followed, as secrets are mounted through them. Raises SecretUnavailable unless it is a regular file that
    group and others cannot read or write.
    """
    try:
        with open(name, "rb", opener=opener) as file:
            require_private_file(os.fstat(file.fileno()), name)
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise SecretUnavailable(f"file:{name}: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise SecretUnavailable(f"file:{name}: larger than {MAX_FILE} bytes")
    return content.decode("ascii", errors="replace").removesuffix("\n").removesuffix("\r")


def opener(name: str, flags: int) -> int:
    """Does not block, so that a named pipe cannot hold up the gateway."""
    return os.open(name, flags | os.O_NONBLOCK)


def require_private_file(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SecretUnavailable(f"file:{name}: not a regular file")
    if status.st_mode & 0o066:
        raise SecretUnavailable(f"file:{name}: open to group or others; chmod 0600")
