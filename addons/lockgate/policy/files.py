"""The files of a rules directory: their content, and whether they have changed. All that the rules read from a disk.

What cannot be read for certain is a problem, never left out: a guardrail that is missing denies nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from lockgate.errors import Problem, RulesInvalid

NOT_RULES = ("tests/", "schema.json")
MAX_FILE = 16 * 1024 * 1024  # bytes
MAX_FILES = 10_000
MAX_DEPTH = 16  # of directories

Stamp = tuple[str | int, ...]
Found = tuple[str, Path, os.stat_result | OSError]


def read_files(directory: Path) -> dict[str, bytes]:
    """The content of every file, by path within the directory, sorted; hidden files, tests and the schema left out.

    Links are followed, to directories too: that is how Kubernetes lays out a ConfigMap. Raises RulesInvalid.
    """
    if not os.path.isdir(directory):  # noqa: PTH112 - pathlib's raises where it may not look
        why = f"there is no directory {printable(str(directory))}: name the one with gateway.yaml"
        raise RulesInvalid([Problem(".", 1, 1, why)])
    contents: dict[str, bytes] = {}
    problems = []
    for name, path, status in islice(walk(directory), MAX_FILES + 1):
        try:
            if len(contents) == MAX_FILES:
                raise ValueError(f"one of more than {MAX_FILES} files: this is no rules directory")
            contents[name] = read_file(path, status)
        except (OSError, ValueError) as error:
            why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            problems.append(Problem(printable(name), 1, 1, why))
    if problems:
        raise RulesInvalid(problems)
    return dict(sorted(contents.items()))


def stamps(directory: Path) -> tuple[Stamp, ...]:
    """What tells one state of the files from another without reading them.

    The time of a file's last change (`st_ctime`) is among it, which cannot be set, unlike that of its last write.
    """
    return tuple(stamp(name, status) for name, _, status in islice(walk(directory), MAX_FILES + 1))


def walk(directory: Path, above: str = "", within: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Found]:
    """Every file with its name and status, always in the same order; for what cannot be looked at, the error.

    A directory whose own name cannot be printed, or is that of a rules file, stands there for all that is in it.
    `within` are the directories on the way here: a link may lead back to one.
    """
    try:
        status = directory.stat()
        here = (status.st_dev, status.st_ino)
        if here in within or len(within) == MAX_DEPTH:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        paths = sorted(directory.iterdir())
    except OSError as error:
        yield above.rstrip("/") or ".", directory, error
        return
    for path in paths:
        name = above + path.name
        if path.name.startswith(".") or f"{name}/".startswith(NOT_RULES):
            continue
        try:
            found: os.stat_result | OSError = path.stat()
        except OSError as error:
            found = error
        is_directory = isinstance(found, os.stat_result) and stat.S_ISDIR(found.st_mode)
        if is_directory and printable(path.name) == path.name and path.suffix not in (".yaml", ".yml"):
            yield from walk(path, f"{name}/", within | {here})
        elif is_directory or not path.name.endswith("~"):
            yield name, path, found


def stamp(name: str, status: os.stat_result | OSError) -> Stamp:
    if isinstance(status, OSError):
        return (name, status.errno or 0)
    return (name, status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_file(path: Path, status: os.stat_result | OSError) -> bytes:
    """The content of a regular file. Raises OSError, and ValueError for what is none or cannot be a rules file."""
    if printable(path.name) != path.name:
        raise ValueError("its name is not printable UTF-8: rename it")
    if isinstance(status, OSError):
        raise status
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file: take it away")
    # It may have become a named pipe since, which would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise ValueError(f"larger than {MAX_FILE} bytes: no rules file is")
    return content


def printable(name: str) -> str:
    """A file's name on one line, with `\\xff` for a byte that is not UTF-8 and `\\n` for a line's end."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
