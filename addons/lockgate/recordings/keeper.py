"""Puts closed record files away while the gateway runs, and prunes old ones, beside everything else: one thread."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Condition, Thread, get_native_id

from lockgate.errors import LockgateError
from lockgate.recordings.files import base
from lockgate.recordings.generations import forget
from lockgate.recordings.keeping import clean, due, prune, put_away
from lockgate.recordings.tombstones import Pruned

LOOK = 3600.0  # seconds between two looks at what is due
NICE = 10

log = logging.getLogger(__name__)


class Keeper:
    """`start` once nobody else writes to the directory. What it cannot do is logged, and tried again."""

    def __init__(
        self,
        directory: Path,
        *,
        compressed: bool,
        secret: str | None,
        keep: float | None,
        bury: Callable[[list[Pruned], str], None],
        in_force: Callable[[], str],
        closed: Iterable[Path] = (),
        look: float = LOOK,
    ) -> None:
        """`closed` are the files that an earlier run has left. `keep` are seconds; None prunes nothing. `bury` returns
        once a tombstone of the files is durable, with why they go. `in_force` names the generation whose text stays
        though no record may name it.
        """
        self._directory = directory
        self._compressed = compressed
        self._secret = secret
        self._keep = keep
        self._bury = bury
        self._in_force = in_force
        self._look = look
        self._wake = Condition()
        self._closed = {base(path): path for path in closed}
        self._fresh = True
        self._ending = False
        self._thread = Thread(target=self._run, name="lockgate-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def closed(self, path: Path) -> None:
        """From any thread: nothing more is written to this file."""
        with self._wake:
            self._closed[base(path)] = path
            self._fresh = True
            self._wake.notify()

    def close(self, within: float) -> None:
        """Let it end what it is at, for so many seconds; what it leaves half done the next start takes away."""
        with self._wake:
            self._ending = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(within)

    def _run(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
        while not self._ending:
            try:
                self._turn()
            except (OSError, LockgateError) as fault:
                said = (fault.strerror or str(fault)) if isinstance(fault, OSError) else str(fault)
                log.error("Recordings are kept as they are, and tried again: %s.", said)  # noqa: TRY400
            except Exception as fault:  # noqa: BLE001 - the recordings stay as they are
                log.error("Recordings are kept as they are: %s.", type(fault).__name__)  # noqa: TRY400
            with self._wake:
                self._wake.wait_for(lambda: self._fresh or self._ending, self._look)

    def _turn(self) -> None:
        with self._wake:
            self._fresh = False
            closed = list(self._closed.values())
        clean(self._directory, set(self._closed))
        for path in closed:
            if self._ending:
                return
            if path.exists():
                self._closed[base(path)] = put_away(path, compressed=self._compressed, secret=self._secret)
        if self._keep is not None:
            self._prune(self._keep)

    def _prune(self, keep: float) -> None:
        before = datetime.now(UTC) - timedelta(seconds=keep)
        found = due(self._directory, before, set(self._closed))
        if found:
            self._bury(found, f"older than {keep / 86400:g} days")
            prune(self._directory, found)
            forget(self._directory, self._in_force(), before.timestamp())
            log.info("Recordings: %d old files were pruned.", len(found))
        for each in found:
            self._closed.pop(base(Path(each.name)), None)
