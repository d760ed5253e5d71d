"""Secrets that a command prints: a password manager's, a cloud's own tool. No shell stands between."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence

from lockgate.errors import SecretUnavailable

TIMEOUT = 10.0  # seconds
MAX_OUTPUT = 16 * 1024  # bytes
# All that a command gets of the gateway's environment, where other secrets are.
ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


async def read(name: str) -> str:
    """What the command prints, less one newline at its end. Bytes outside ASCII come as replacement characters.

    `name` is the command and its arguments, quoted as a POSIX shell has it. What it prints as errors is let go. It has
    ten seconds. Raises SecretUnavailable.
    """
    command = shlex.split(name)
    environment = {known: os.environ[known] for known in ENVIRONMENT if known in os.environ}
    try:
        return await printed(command, environment, TIMEOUT, errors=DEVNULL, directory="/")
    except SecretUnavailable as error:
        raise SecretUnavailable(f"exec:{command[0]}: {error}") from None


async def printed(
    command: Sequence[str],
    environment: Mapping[str, str],
    seconds: float,
    *,
    errors: int | None = None,
    directory: str | None = None,
) -> str:
    """What a command prints, less one newline at its end. Its standard error goes to `errors`, it runs in `directory`;
    both are our own where they are None.

    Raises SecretUnavailable where it cannot be run, fails, prints more than 16 KiB or is not done after `seconds`: it
    and what it has started are then killed.
    """
    read_end, write_end = os.pipe()
    comes, pipe = await reading(read_end)
    try:
        process = await start(command, environment, write_end, errors, directory)
        try:
            async with asyncio.timeout(seconds):
                output = await first(comes, MAX_OUTPUT + 1)
                code = await process.wait() if len(output) <= MAX_OUTPUT else None
        except TimeoutError:
            raise SecretUnavailable(f"not done after {seconds:g} seconds") from None
        finally:
            if process.returncode is None:
                kill(process)
                await process.wait()
    finally:
        pipe.close()
    if code is None:
        raise SecretUnavailable(f"prints more than {MAX_OUTPUT} bytes")
    if code != 0:
        raise SecretUnavailable(ending(code))
    return output.decode("ascii", errors="replace").removesuffix("\n").removesuffix("\r")


def kill(process: Process) -> None:
    """End it and what it has started, unless that has gone out of its way."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended just now
        pass


async def reading(end: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """A pipe to read from. asyncio's own, of a process, could not be closed before all who hold it have ended."""
    reader = asyncio.StreamReader()
    pipe = open(end, "rb", buffering=0)  # noqa: ASYNC230, SIM115 - not a file; the transport closes it
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    return reader, transport


async def start(
    command: Sequence[str], environment: Mapping[str, str], output: int, errors: int | None, directory: str | None
) -> Process:
    """Takes `output` over. Raises SecretUnavailable."""
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=output,
            stderr=errors,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise SecretUnavailable(str(error.strerror)) from None
    finally:
        os.close(output)


async def first(reader: asyncio.StreamReader, count: int) -> bytes:
    """All that comes, or the first `count` bytes."""
    try:
        return await reader.readexactly(count)
    except asyncio.IncompleteReadError as ended:
        return ended.partial


def ending(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"ended by signal {-code}"
