"""A notice to a command: JSON on its standard input. No shell stands between, and it gets none of our secrets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE

from lockgate.errors import NotDelivered
from lockgate.model import CommandNotifier
from lockgate.notify.notice import Notice

ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


async def deliver(notifier: CommandNotifier, notice: Notice, seconds: float) -> None:
    """Raises NotDelivered where it cannot be run, fails, or is not done in time: it and what it started are killed."""
    command = notifier.command[0]
    environment = {known: os.environ[known] for known in ENVIRONMENT if known in os.environ}
    try:
        process = await asyncio.create_subprocess_exec(
            *notifier.command,
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        lasting = isinstance(error, (FileNotFoundError, PermissionError))
        raise NotDelivered(f"{command} cannot be run: {error.strerror}", again=not lasting) from None
    try:
        async with asyncio.timeout(seconds):
            await process.communicate(json.dumps(notice.document()).encode() + b"\n")
    except TimeoutError:
        raise NotDelivered(f"{command} was not done after {seconds:g} seconds", again=False) from None
    finally:
        if process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has ended just now
                pass
            await process.wait()
    if code := process.returncode:
        raise NotDelivered(f"{command} ended {f'with exit code {code}' if code > 0 else f'by signal {-code}'}")
