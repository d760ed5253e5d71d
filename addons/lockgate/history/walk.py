"""The requests of recordings, file by file and record by record: never more than one in memory. Opens files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from lockgate.errors import RulesNotKept
from lockgate.history.again import Judge
from lockgate.history.generations import Generations
from lockgate.history.records import Past, past
from lockgate.recordings.files import RecordFile, in_order


class Walk:
    """The requests in record files, in order. While and after going through them: how many records are `damaged` (and
    files, from somewhere on), and the bytes that were `read` of the `size` on the disk. Only records whose bytes have
    `holding` somewhere are looked into.

    Raises OSError.
    """

    def __init__(self, paths: Iterable[Path], since: datetime | None = None, holding: bytes = b"") -> None:
        self.files = [file for path in paths for file in (in_order(path) if path.is_dir() else [path])]
        self.since = since
        self.holding = holding
        self.size = sum(file.stat().st_size for file in self.files if file.exists())  # it may just be put away
        self.read = 0
        self.records = 0
        self.damaged = 0
        self._generations: dict[Path, Generations] = {}
        self._missing: dict[str, str] = {}

    def __iter__(self) -> Iterator[tuple[Past, Generations]]:
        for file in self.files:
            generations = self._generations.setdefault(file.parent, Generations(file.parent))
            records = RecordFile(file)
            for record in records:
                found = self.past(record.raw)
                if found is not None and self.is_wanted(found):
                    yield found, generations
            self.damaged += records.tail is not None and not records.tail.torn

    def past(self, raw: bytes) -> Past | None:
        self.read += len(raw)
        self.records += 1
        if self.holding and self.holding not in raw:
            return None
        try:
            return past(raw)
        except ValueError:
            self.damaged += 1
            return None

    def is_wanted(self, found: Past) -> bool:
        if self.since is None:
            return True
        try:
            return datetime.fromisoformat(str(found.said.get("time"))) >= self.since
        except (ValueError, TypeError):
            return True  # nobody knows when: it counts

    def judge(self, generations: Generations, name: str) -> Judge:
        """Raises RulesNotKept, each time with what was wrong the first time."""
        if name in self._missing:
            raise RulesNotKept(self._missing[name])
        try:
            return generations.judge(name)
        except RulesNotKept as missing:
            self._missing[name] = str(missing)
            raise

    @property
    def missing(self) -> tuple[str, ...]:
        """Why generations could not be had."""
        return tuple(dict.fromkeys(self._missing.values()))
