"""Whether the gateway is open at all. Once shut it stays shut until the process has ended. And what a door raises."""

from __future__ import annotations

import threading

_shut = threading.Event()


class Shut(Exception):
    """Raised inside a door when the proof is missing: nothing more of this stream passes."""


def shut() -> None:
    """Refuse everything from now on."""
    _shut.set()


def closed() -> bool:
    """Whether everything is refused."""
    return _shut.is_set()
