"""Processes beside the gateway's own, for work that would hold up every connection: Python runs one thing at a time.

A worker is told a function and its arguments through a pipe and answers through another (pickled, both ends are ours);
nothing of it is on disk. It knows nothing beside: no environment, no open file of the gateway's. It ends when the
gateway does, however that ends, because its pipe does.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import resource
import select
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import BinaryIO, cast

from lockgate.errors import LockgateError, WorkFailed

MOST = 4  # processes
SECONDS = 30.0  # that a piece of work may take
WAITING = 1024  # pieces of work that may wait for a worker
SIZE = struct.Struct("!Q")
# `-P`: the working directory is not where modules are looked for.
COMMAND = (sys.executable, "-P", "-c", f"from {__name__} import serve; serve()")

Work = Callable[[], object]
"""What is to be done: a function of a module with its arguments (`functools.partial`), all of which can be pickled."""


@dataclass(slots=True)
class Worker:
    """A process that waits for work."""

    process: asyncio.subprocess.Process

    @property
    def tasks(self) -> asyncio.StreamWriter:
        return cast("asyncio.StreamWriter", self.process.stdin)

    @property
    def answers(self) -> asyncio.StreamReader:
        return cast("asyncio.StreamReader", self.process.stdout)


class Workers:
    """A few processes, each started when it is first needed. For one event loop; begun work is never given up."""

    def __init__(self, most: int | None = None) -> None:
        """`most` is how many; without it, one for each processor, two at least and four at most."""
        most = most or max(2, min(MOST, os.cpu_count() or 1))
        self._free: list[Worker] = []
        self._turns = asyncio.Semaphore(most)
        self._long_turns = asyncio.Semaphore(max(1, most - 1))
        self._waiting = 0

    async def run[T](self, work: Callable[[], T], *, long: bool = False) -> T:
        """What `work` returns, done in a worker. What is `long` leaves one for the rest: it may take its seconds.

        Raises what it raises where that is an error of Lockgate's own. Raises WorkFailed for any other, where the
        worker ends or takes too long, and where too much waits already.
        """
        if self._waiting >= WAITING:
            raise WorkFailed("too much waits to be done")
        self._waiting += 1
        try:
            async with self._long_turns if long else nullcontext(), self._turns:
                return await self._run(work)
        finally:
            self._waiting -= 1

    async def _run[T](self, work: Callable[[], T]) -> T:
        worker: Worker | None = None
        try:
            async with asyncio.timeout(SECONDS):
                worker = self._idle() or await start()
                outcome = await ask(worker, work)
        except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise WorkFailed(f"a worker gave no answer: {type(error).__name__}") from None
        else:
            self._free.append(worker)
            worker = None
        finally:
            if worker is not None:
                await stop(worker)
        if isinstance(outcome, LockgateError):
            raise outcome
        result: T = outcome  # type: ignore[assignment]  # what `work` gives, by `serve`
        return result

    def _idle(self) -> Worker | None:
        """One that is there already; not one that has ended meanwhile, by whatever hand."""
        while self._free:
            worker = self._free.pop()
            if worker.process.returncode is None:
                return worker
        return None

    async def close(self) -> None:
        """End those that have nothing to do."""
        while self._free:
            await stop(self._free.pop())


async def start() -> Worker:
    """A worker. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the gateway, which has work that goes on until its end
    )
    return Worker(process)


async def stop(worker: Worker) -> None:
    """End it, whatever it is doing, and wait until it has."""
    with suppress(ProcessLookupError):  # it has ended already
        worker.process.kill()
    await worker.process.communicate()


async def ask(worker: Worker, work: Work) -> object:
    """What came of it: its result, or its error. Raises OSError, IncompleteReadError."""
    content = pickle.dumps(work, pickle.HIGHEST_PROTOCOL)
    worker.tasks.writelines((SIZE.pack(len(content)), content))
    await worker.tasks.drain()
    (size,) = SIZE.unpack(await worker.answers.readexactly(SIZE.size))
    return pickle.loads(await worker.answers.readexactly(size))  # noqa: S301 - from a process of our own


# In the worker


def serve() -> None:
    """Do what comes through standard input until it ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what is worked on is never on disk
    threading.Thread(target=end_with_gateway, args=(sys.stdin.fileno(),), daemon=True).start()
    tasks, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that is printed is an answer
    while (content := received(tasks)) is not None:
        answer = pickle.dumps(outcome_of(content), pickle.HIGHEST_PROTOCOL)
        try:
            answers.write(SIZE.pack(len(answer)))
            answers.write(answer)
            answers.flush()
        except BrokenPipeError:
            os._exit(1)  # the gateway has ended


def end_with_gateway(tasks: int) -> None:
    """End when nobody holds the other end of the pipe any more, amid whatever is being done."""
    gone = select.poll()
    gone.register(tasks, 0)  # of no event but that
    gone.poll()
    os._exit(1)


def received(tasks: BinaryIO) -> bytes | None:
    """The next piece of work; None where there will be none."""
    size = tasks.read(SIZE.size)
    if len(size) < SIZE.size:
        return None
    content = tasks.read(SIZE.unpack(size)[0])
    return content if len(content) == SIZE.unpack(size)[0] else None


def outcome_of(content: bytes) -> object:
    """What the work gives, or its error: of one that is not ours the kind alone, for its text may quote anything."""
    try:
        return pickle.loads(content)()  # noqa: S301 - from the gateway
    except LockgateError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
        return WorkFailed(f"a worker had a fault: {type(error).__name__}")
