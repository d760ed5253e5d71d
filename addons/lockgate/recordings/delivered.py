"""What went to the agent of an answer that was passed on as it came: enough of it for the record. Pure."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

By = Literal["complete", "agent", "target", "gateway"]


class Delivered:
    """The first bytes of a body, up to a limit, and the length and the hash (SHA-256) of all that was delivered."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes."""
        self._limit = limit
        self._kept = bytearray()
        self.hash = hashlib.sha256()
        self._length = 0
        self._ended: By | None = None
        self._why = ""

    @property
    def length(self) -> int:
        """Bytes delivered."""
        return self._length

    @property
    def body(self) -> bytes:
        """The bytes delivered, the first `limit` of them."""
        return bytes(self._kept)

    def add(self, data: bytes) -> None:
        """Note bytes that are about to be delivered."""
        self._kept += data[: self._limit - len(self._kept)]
        self.hash.update(data)
        self._length += len(data)

    def end(self, by: By, why: str = "") -> None:
        """Note that it is over: `complete`, or who ended it before, and why. What was noted first stays."""
        if self._ended is None:
            self._ended, self._why = by, why

    def entry(self) -> dict[str, Any]:
        """What the record says of it."""
        entry: dict[str, Any] = {"length": self._length, "ended": self._ended}
        if self._why:
            entry["why"] = self._why
        return entry

    def release(self) -> None:
        """Let go of the body: it is recorded."""
        self._kept = bytearray()
        self._limit = 0
