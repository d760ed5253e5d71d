"""The text of every generation of the rules that decided something, kept beside the recordings.

`DIR/generations/SHA256/` holds a generation's files as they were, so that a decision can be explained later.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock

from lockgate.errors import SetupError
from lockgate.recordings.files import JOURNAL, RecordFile, in_order
from lockgate.recordings.journal import segments
from lockgate.state import sync_directory

FOLDER = "generations"
NAMED = re.compile(rb"10:generation;64:([0-9a-f]{64});")  # as a record or an intent says it, in its tnetstring

_changing = Lock()  # what is about to be put in force is not forgotten meanwhile


def keep(directory: Path, generation: str, files: Mapping[str, bytes]) -> None:
    """Write a generation's files (content by path within the rules), durably, unless they are there already.

    Raises:
        SetupError: they cannot be written.
    """
    kept = directory / FOLDER / generation
    with _changing:
        if not in_use_again(kept):
            write(directory, kept, files)


def in_use_again(kept: Path) -> bool:
    """Whether it is there; if so it counts as kept now."""
    try:
        os.utime(kept)
    except OSError:
        return kept.is_dir()
    return True


def write(directory: Path, kept: Path, files: Mapping[str, bytes]) -> None:
    draft = kept.with_name(f".{kept.name}.draft")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # parents=True makes the others open to all
        kept.parent.chmod(0o700)
        draft.mkdir(mode=0o700)
        for name, content in files.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
        for folder in {path.parent for path in draft.rglob("*")} | {draft}:
            sync_directory(folder)
        draft.rename(kept)
        sync_directory(kept.parent)
    except OSError as error:
        raise SetupError(f"The rules cannot be kept beside the recordings in {directory}: {error.strerror}.") from error


def forget(directory: Path, in_force: str | None, before: float) -> list[str]:
    """Delete the text of generations that were last put in force before this moment (seconds since the epoch), and that
    no record and no open intent names any more. Which; none where some record cannot be read. Blocks: reads everything.

    Raises OSError, RecordingLocked.
    """
    if not (directory / FOLDER).is_dir():
        return []
    texts = [path for path in (directory / FOLDER).iterdir() if path.is_dir() and not path.name.startswith(".")]
    left = {path.name for path in texts if path.stat().st_mtime < before} - {in_force}
    for content in contents(directory) if left else ():
        if content is None:
            return []
        left -= {name.decode() for name in NAMED.findall(content)}
        if not left:
            return []
    gone = []
    for name in sorted(left):
        path = directory / FOLDER / name
        with _changing:
            if path.stat().st_mtime < before:
                shutil.rmtree(path)
                gone.append(name)
    return gone


def contents(directory: Path) -> Iterator[bytes | None]:
    """Every segment of the journal, then every record, the newest files first; None for what is none."""
    for path in segments(directory / JOURNAL):
        try:
            yield path.read_bytes()
        except FileNotFoundError:
            continue  # all in it is recorded
    for path in reversed(in_order(directory)):
        file = RecordFile(path)
        for record in file:
            yield record.raw
        if file.tail is not None and not file.tail.torn:
            yield None
