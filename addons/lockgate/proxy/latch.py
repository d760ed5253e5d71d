"""Whether the gateway is open at all. Once shut it stays shut until the process has ended."""

from __future__ import annotations

_shut_because: str | None = None


def shut(reason: str) -> None:
    """Refuse everything from now on. The first reason stands."""
    global _shut_because
    _shut_because = _shut_because or reason


def closed() -> bool:
    """Whether everything is refused."""
    return _shut_because is not None
