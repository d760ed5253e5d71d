"""Checkpoints pushed to where whoever may write to the recordings may not: a file on another volume, a URL.

Beside everything else: what cannot be delivered is tried again for as long as the gateway runs, and decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from lockgate.credentials.cache import Cache
from lockgate.credentials.sources import Secrets
from lockgate.errors import LockgateError
from lockgate.model import WebhookNotifier
from lockgate.notify.webhook import post, signature

Deliver = Callable[[bytes], None]
"""Delivers one line of JSON, without its end. Raises OSError or LockgateError where it could not."""

PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before what was not delivered is tried again
MOST = 10_000  # that wait for one place
WITHIN = 10.0  # seconds for one delivery to a URL

log = logging.getLogger(__name__)


class Pushing:
    """One thread for each place, so that one that is dead or slow holds up no other."""

    def __init__(self, places: Mapping[str, Deliver], *, pause: float = PAUSE) -> None:
        """`places` by the name that an operator is told."""
        self._lanes = [Lane(name, deliver, pause) for name, deliver in places.items()]

    def push(self, document: Mapping[str, Any]) -> None:
        """From any thread; never waits, never fails."""
        line = json.dumps(document).encode()
        for lane in self._lanes:
            lane.put(line)

    def close(self, within: float) -> None:
        """Wait for what is under way, for so many seconds."""
        end = time.monotonic() + within
        for lane in self._lanes:
            lane.end()
        for lane in self._lanes:
            lane.join(max(end - time.monotonic(), 0.0))


class Lane(Thread):
    def __init__(self, name: str, deliver: Deliver, pause: float) -> None:
        super().__init__(name="lockgate-checkpoints", daemon=True)
        self._place = name
        self._deliver = deliver
        self._pause = pause
        self._wake = Condition()
        self._waiting: deque[bytes] = deque(maxlen=MOST)
        self._ending = False
        self.start()

    def put(self, line: bytes) -> None:
        with self._wake:
            self._waiting.append(line)
            self._wake.notify()

    def end(self) -> None:
        with self._wake:
            self._ending = True
            self._wake.notify()

    def run(self) -> None:
        pause = self._pause
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._ending)
                if not self._waiting:
                    return
                line = self._waiting[0]
            fault = self._try(line)
            with self._wake:
                if fault is None:
                    if self._waiting and self._waiting[0] is line:  # else it was too many
                        self._waiting.popleft()
                    if pause != self._pause:
                        log.warning("Checkpoints reach %s again.", self._place)
                    pause = self._pause
                    continue
                if pause == self._pause or self._ending:
                    log.error("Checkpoints do not reach %s: %s; %d wait.", self._place, fault, len(self._waiting))
                if self._ending:
                    return
                self._wake.wait_for(lambda: self._ending, pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _try(self, line: bytes) -> str | None:
        try:
            self._deliver(line)
        except (OSError, LockgateError) as fault:
            return (fault.strerror or type(fault).__name__) if isinstance(fault, OSError) else str(fault)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is only about telling somebody
            return type(fault).__name__
        return None


def to_file(path: Path) -> Deliver:
    """A line at the end of a file, durable, 0600 where it is made."""

    def deliver(line: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            view = memoryview(line + b"\n")
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    return deliver


def to_url(notifier: WebhookNotifier) -> Deliver:
    """A POST, signed as notices are."""

    async def send(line: bytes) -> None:
        secret = await Secrets(Cache()).read(notifier.secret)
        now = time.time()
        headers = {"Lockgate-Signature": signature(line, secret, int(now))}
        ends_at = asyncio.get_running_loop().time() + WITHIN
        await post(notifier.url, line, ends_at, now, headers=headers, ca=notifier.ca)

    return lambda line: asyncio.run(send(line))
