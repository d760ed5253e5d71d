"""Ends the process, with an error, when the chain is no longer what was started: a gateway that is not whole is none.

mitmproxy reloads a script that changed, and goes on without one that broke or went away; then everything passes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lockgate.proxy import latch

INTERVAL = 0.25  # seconds
GRACE = 10.0  # seconds for an orderly end, then the process is ended all the same
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h: a supervisor restarts it, and nobody takes it for a wish

log = logging.getLogger(__name__)


def end(reason: str, flush: Callable[[], object]) -> NoReturn:
    """Refuse everything, write what is still to be written, and end the process with `EXIT_CODE`."""
    latch.shut()
    log.error("%s Everything is refused; the process ends.", reason)
    timer = threading.Timer(GRACE, os._exit, [EXIT_CODE])
    timer.daemon = True
    timer.start()
    flush()
    leave(EXIT_CODE)


def leave(code: int) -> NoReturn:
    """End the process here and now: an orderly end was seen to hang in mitmproxy's native parts."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def watch(script: Path, whole: Callable[[], str | None], flush: Callable[[], object]) -> None:
    """Look after the script's file and the chain for as long as the process runs.

    Args:
        script: the file mitmproxy was told to load.
        whole: says what is wrong with the installed chain, None where nothing is.
        flush: writes what is still to be written.
    """
    started_with = fingerprint(script)
    while True:
        try:
            changed = fingerprint(script) != started_with
        except OSError:
            changed = False  # it could not be looked at: too many open files say nothing of the script
        if changed:
            end(f"{script.name} was changed or removed while running: restart to take a new version.", flush)
        if wrong := whole():
            end(wrong, flush)
        await asyncio.sleep(INTERVAL)


def fingerprint(script: Path) -> str | None:
    """SHA-256 of the file's content; None where there is no such file.

    Raises:
        OSError: it cannot be read now.
    """
    try:
        return hashlib.sha256(script.read_bytes()).hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
