"""The text of every generation of the rules that decided something, kept beside the recordings.

`DIR/generations/SHA256/` holds a generation's files as they were, so that a decision can be explained later.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lockgate.errors import SetupError
from lockgate.state import sync_directory


def keep(directory: Path, generation: str, files: Mapping[str, bytes]) -> None:
    """Write a generation's files (content by path within the rules), durably, unless they are there already.

    Raises:
        SetupError: they cannot be written.
    """
    kept = directory / "generations" / generation
    if kept.is_dir():
        return
    draft = kept.with_name(f".{generation}.draft")
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
