"""Whether the gateway is open at all. Once shut it stays shut until the process has ended."""

from __future__ import annotations

import threading

_shut = threading.Event()


def shut() -> None:
    """Refuse everything from now on."""
    _shut.set()


def closed() -> bool:
    """Whether everything is refused."""
    return _shut.is_set()
