"""Takes changed rules while the gateway runs (law 7): looks at their directory every second, and at once on SIGHUP.

Rules that cannot be taken leave those in force as they are. What a request is decided by is fixed when it is whole, so
a reload touches none that is decided; of those whose answer still goes on, the door asks at each part of it.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NoReturn

from lockgate.errors import LockgateError, RecordingUnavailable, RulesInvalid
from lockgate.policy.files import printable
from lockgate.proxy.looks import Content, Looks
from lockgate.runtime import Runtime

INTERVAL = 1.0  # seconds between two looks
RETRY = 10.0  # seconds until rules are tried again that the gateway, not their text, was to blame for

log = logging.getLogger(__name__)


class Reload:
    """Runs beside the proxy, one reload at a time; reading and compiling is done in a thread of its own.

    The threads that the event loop lends may all be waiting: for a slow name server, or a secret's file.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._looks = Looks(runtime.rules, runtime.current.generation.id)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lockgate-reload")
        self._asked = asyncio.Event()
        self._refused: tuple[str, ...] = ()  # the last content's id and what was said of it, while it is refused

    def ask(self) -> None:
        """Take what is there now. However often this is asked before it is begun, it is done once."""
        self._asked.set()

    async def run(self) -> NoReturn:
        """Look until cancelled."""
        pause = INTERVAL
        try:
            while True:
                asked = await self._asked_within(pause)
                pause = await self.turn(asked=asked)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _asked_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._asked.wait(), seconds)
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def turn(self, *, asked: bool = False) -> float:
        """Look once, and take what is to be taken; how many seconds to wait before the next look.

        What the gateway is to blame for, and not the rules, is tried again: it may have passed by then.
        """
        content: Content | None = None
        try:
            content = await self._in_thread(partial(self._looks.look, asked=asked))
            if content:
                await self._take(content, asked=asked)
        except RulesInvalid as invalid:
            directory = printable(str(self._runtime.rules))
            self._refuse(content, [f"{directory}/{problem}" for problem in invalid.problems], asked=asked)
            return INTERVAL
        except Exception as error:  # whatever it is: the rules in force are whole all the same
            self._looks.forget()
            self._refuse(content, [fault(error)], asked=asked)
            return RETRY
        return INTERVAL

    async def _in_thread[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _take(self, content: Content, *, asked: bool) -> None:
        if content.invalid:
            raise content.invalid
        held = self._runtime.current.generation
        if content.id == held.id:
            if asked or self._refused:
                log.info("Rules not changed: generation %s stays in force.", held.id[:12])
        else:
            prepared = await self._in_thread(partial(self._runtime.prepare, content.files))
            await self._runtime.put_in_force(prepared)
            new = prepared.generation
            log.info("Rules reloaded: generation %s, %d targets.", new.id[:12], len(new.targets))
        self._refused = ()

    def _refuse(self, content: Content | None, problems: Sequence[str], *, asked: bool) -> None:
        """Say and record all of it once; when asked again, that it is still so."""
        held = self._runtime.current.generation.id[:12]
        refused = (content.id if content else "", *problems)
        if refused == self._refused:
            if asked:
                log.error("Rules refused as before: generation %s stays in force.", held)
            return
        self._refused = refused
        log.error("Rules refused: generation %s stays in force.", held)
        for problem in problems:
            log.error("%s", problem)
        try:
            self._runtime.note_refused(problems)
        except RecordingUnavailable as error:
            log.error("The refusal cannot be recorded: %s.", error)  # noqa: TRY400 - nothing to trace


def fault(error: Exception) -> str:
    """What kept the gateway from taking rules, in a line. Of an error that is not its own, text may quote anything."""
    if isinstance(error, RecordingUnavailable):
        return f"Their reload cannot be recorded: {error}."
    if isinstance(error, LockgateError):
        return str(error)
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"Fault in reading them: {type(error).__name__} at {frame.f_code.co_filename}:{line}."
