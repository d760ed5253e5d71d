"""Echoes of a secret out of a body that goes on as it comes: a transform. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lockgate.bodies.echoes import REDACTED, Echo
from lockgate.errors import MaskingFailed
from lockgate.model import Sensitive


class Scrubbing(Sensitive):
    """Replaces echoes by `[redacted]`: of the whole the same is left as `Echo.redact` leaves, one echo after the other.

    Holds back only what may become an echo once more has come. Raises nothing.
    """

    def __init__(self, echoes: Iterable[Echo]) -> None:
        self._scrubs = [Scrub(echo) for echo in echoes]

    @property
    def count(self) -> int:
        """How many echoes were replaced so far."""
        return sum(scrub.count for scrub in self._scrubs)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What may pass now that `data` has come."""
        for scrub in self._scrubs:
            data = scrub.feed(data)
        yield data

    def end(self) -> Iterator[bytes]:
        """What was held back."""
        data = b""
        for scrub in self._scrubs:
            data = scrub.feed(data) + scrub.end()
        yield data


class Withholding(Scrubbing):
    """Passes nothing on from where a secret stands: for what would be broken by another length, or cannot be read.

    Both methods raise MaskingFailed.
    """

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield from self._unless_found(b"".join(super().feed(data)))

    def end(self) -> Iterator[bytes]:
        yield from self._unless_found(b"".join(super().end()))

    def _unless_found(self, data: bytes) -> Iterator[bytes]:
        if self.count:
            raise MaskingFailed("it has the credential in it")
        yield data


class Scrub(Sensitive):
    """Replaces one echo."""

    def __init__(self, echo: Echo) -> None:
        self.count = 0
        self._echo = echo
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        passed: list[bytes] = []
        position, pending = 0, self._echo.begins(data)
        for match in self._echo.matches(data):
            if match.start() >= pending:
                break
            passed += (data[position : match.start()], REDACTED)
            position = match.end()
            self.count += 1
            if position > pending:
                pending = self._echo.begins(data, position)
        self._held = data[pending:]
        return b"".join([*passed, data[position:pending]])

    def end(self) -> bytes:
        data, count = self._echo.redact(self._held)
        self.count += count
        self._held = b""
        return data
