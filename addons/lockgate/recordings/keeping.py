"""What becomes of record files once they are closed: compressed, encrypted, and in the end pruned. Everything blocks.

Each step leaves the directory readable, and a kill at any moment leaves what the next start goes on with: a form is
whole, durable and compared with the original before it takes its name, and the original goes last.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from lockgate.recordings.compressed import compress
from lockgate.recordings.encrypted import encrypt
from lockgate.recordings.files import COMPRESSED, ENCRYPTED, RecordFile, base, forms, in_order, opened, unwrapped
from lockgate.recordings.tombstones import Pruned
from lockgate.state import sync_directory

DRAFT = ".draft"
PIECE = 1024 * 1024


def put_away(path: Path, *, compressed: bool, secret: str | None) -> Path:
    """Bring a closed record file, as it was written, into the form that it is kept in; where that is.

    Raises OSError; the file is then as it was.
    """
    form = (COMPRESSED if compressed else "") + (ENCRYPTED if secret else "")
    if not form or path.name != base(path):
        return path
    drafts: list[Path] = []
    try:
        if compressed:
            drafts.append(new_draft(path, COMPRESSED))
            with path.open("rb") as source, drafts[-1].open("r+b") as out:
                compress(source, out)
                durable(out)
        if secret is not None:
            source_path = drafts[-1] if drafts else path
            drafts.append(new_draft(path, ENCRYPTED))
            with source_path.open("rb") as source, drafts[-1].open("r+b") as out:
                encrypt(source, out, secret)
                durable(out)
        with path.open("rb") as before, unwrapped(drafts[-1].open("rb"), form, [secret or ""]) as after:
            if digest(before) != digest(after):
                raise OSError(f"{path}: what was made of it does not give it back")
        kept = path.with_name(path.name + form)
        drafts.pop().rename(kept)
        sync_directory(path.parent)
        path.unlink()
        sync_directory(path.parent)
    finally:
        for each in drafts:
            each.unlink(missing_ok=True)
    return kept


def new_draft(path: Path, form: str) -> Path:
    """An empty file of the owner's alone, under a name that nobody reads."""
    made = path.with_name(
        f".{path.name}{form}.{os.getpid()}{DRAFT}"
    )  # an ended gateway's may be at the same file still
    made.unlink(missing_ok=True)
    os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    return made


def durable(out: BinaryIO) -> None:
    out.flush()
    os.fsync(out.fileno())


def digest(file: BinaryIO) -> bytes:
    found = hashlib.sha256()
    for piece in iter(lambda: file.read(PIECE), b""):
        found.update(piece)
    return found.digest()


def clean(directory: Path, closed: Collection[str]) -> None:
    """Take away what a kill has left: drafts, and those of the `closed` files (by name) that are in place in another
    form. Raises OSError, RecordingLocked.
    """
    for each in directory.glob(f".*{DRAFT}"):
        each.unlink(missing_ok=True)
    for name in closed:
        path = directory / name
        other = next((form for form in forms(path)[1:] if form.exists()), None)
        if other is not None and path.exists():
            with path.open("rb") as before, opened(other) as after:
                if digest(before) != digest(after):
                    raise OSError(f"{other} is not what {name} is: move one of them away")
            path.unlink()
            sync_directory(directory)


def due(directory: Path, before: datetime, closed: Collection[str]) -> list[Pruned]:
    """The oldest of the `closed` files (by name), in the order of the chain, whose records are from `before`: what may
    be pruned. None behind one that may not. Raises OSError, RecordingLocked.
    """
    found = []
    for path in in_order(directory):
        pruned = pruned_of(path, before) if base(path) in closed else None
        if pruned is None:
            break
        found.append(pruned)
    return found


def pruned_of(path: Path, before: datetime) -> Pruned | None:
    """A file whose first and last records are from `before`; None for any other, and for one with anything amiss."""
    file = RecordFile(path)
    first, last = file.first(), file.last()
    if file.tail is not None or first is None or last is None or first.seen.link is None or last.seen.link is None:
        return None
    if not all(is_from(record.lockgate.get("time"), before) for record in (first, last)):
        return None
    return Pruned(path.name, first.seen.link, last.seen.link, path.stat().st_size)


def is_from(time: object, before: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(time)) < before
    except (ValueError, TypeError):
        return False


def prune(directory: Path, files: Sequence[Pruned]) -> None:
    """Delete files, the oldest first, once a tombstone of them is durable. Raises OSError."""
    for each in files:
        (directory / each.name).unlink(missing_ok=True)
    sync_directory(directory)
