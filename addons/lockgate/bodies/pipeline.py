"""Transforms of a body that goes on as it comes: what each makes of a part, the next one gets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from lockgate.errors import BodyUnreadable, MaskingFailed


class Transform(Protocol):
    """Makes of a body, in whatever parts it comes, what may pass of it; the same whatever the parts are.

    Keeps no more than a bounded part, and holds nothing back that it could decide. Both methods may raise
    BodyUnreadable and MaskingFailed: what they gave before may pass, nothing that follows may.
    """

    def feed(self, data: bytes) -> Iterable[bytes]:
        """What may pass now that `data` has come."""
        ...

    def end(self) -> Iterable[bytes]:
        """What may pass now that nothing more comes."""
        ...


class Pipeline:
    """Several transforms in a row, itself a transform; with none, bytes pass as they are.

    Gives one piece at most for each part that comes, never an empty one. Once something has raised, so does all that
    follows.
    """

    def __init__(self, *transforms: Transform) -> None:
        self._transforms = transforms
        self._broken = False

    @property
    def alters(self) -> bool:
        """Whether what passes may differ from what came."""
        return bool(self._transforms)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What may pass now. Raises, behind it, BodyUnreadable or MaskingFailed."""
        pieces: Iterable[bytes] = (data,) if data else ()
        for transform in self._transforms:
            pieces = joined(fed(transform, pieces))
        return self._guarded(pieces)

    def end(self) -> Iterator[bytes]:
        """What may pass at the end. Raises, behind it, BodyUnreadable or MaskingFailed."""
        pieces: Iterable[bytes] = ()
        for transform in self._transforms:
            pieces = joined(ended(transform, pieces))
        return self._guarded(pieces)

    def whole(self, body: bytes) -> bytes:
        """What may pass of a body that has come whole. Raises BodyUnreadable, MaskingFailed."""
        return b"".join([*self.feed(body), *self.end()])

    def _guarded(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        if self._broken:
            raise MaskingFailed("a part before this one could not be masked")
        self._broken = True
        yield from pieces
        self._broken = False


def fed(transform: Transform, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from transform.feed(piece)


def ended(transform: Transform, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from fed(transform, pieces)
    yield from transform.end()


def joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """All that `pieces` gives as one piece, if any; what it raises comes behind that."""
    passed = bytearray()
    try:
        for piece in pieces:
            passed += piece
    except (BodyUnreadable, MaskingFailed):
        if passed:
            yield bytes(passed)
        raise
    if passed:
        yield bytes(passed)
