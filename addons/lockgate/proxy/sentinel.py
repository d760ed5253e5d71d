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

from lockgate.proxy import latch

INTERVAL = 0.25  # seconds
GRACE = 10.0  # seconds for an orderly end, then the process is ended all the same
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h: a supervisor restarts it, and nobody takes it for a wish

log = logging.getLogger(__name__)


def end(reason: str) -> None:
    """Refuse everything, then end the process with `EXIT_CODE`."""
    if latch.closed():
        return
    latch.shut()
    log.error("%s Everything is refused; the process ends.", reason)
    timer = threading.Timer(GRACE, os._exit, [EXIT_CODE])
    timer.daemon = True
    timer.start()
    asyncio.get_running_loop().call_soon(sys.exit, EXIT_CODE)


async def watch(script: Path, whole: Callable[[], str | None]) -> None:
    """Look after the script's file and the chain for as long as the process runs.

    Args:
        script: the file mitmproxy was told to load.
        whole: says what is wrong with the installed chain, None where nothing is.
    """
    started_with = fingerprint(script)
    while True:
        if fingerprint(script) != started_with:
            return end(f"{script.name} was changed or removed while running: restart to take a new version.")
        if wrong := whole():
            return end(wrong)
        await asyncio.sleep(INTERVAL)


def fingerprint(script: Path) -> str | None:
    """SHA-256 of the file's content; None where it cannot be read."""
    try:
        return hashlib.sha256(script.read_bytes()).hexdigest()
    except OSError:
        return None
