"""Transforms of a body that goes on as it comes: what each makes of a part, the next one gets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from lockgate.errors import BodyUnreadable, LockgateError, MaskingFailed


class Job[T]:
    """Work on a part that takes its time. Whoever goes through a pipeline may have it done elsewhere; else it is done
    where its result is asked for.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        """`work` can be pickled, and done anywhere."""
        self.work = work
        self._outcome: tuple[T] | LockgateError | None = None

    def done(self, result: T) -> None:
        """Note what came of it."""
        self._outcome = (result,)

    def failed(self, error: LockgateError) -> None:
        """Note that nothing came of it."""
        self._outcome = error

    def result(self) -> T:
        """What came of it. Raises MaskingFailed where nothing did, and what `work` raises where it is done here."""
        if self._outcome is None:
            return self.work()
        if isinstance(self._outcome, LockgateError):
            raise MaskingFailed(str(self._outcome)) from self._outcome
        return self._outcome[0]


Passed = bytes | Job[Any]
"""A piece that may pass; or work that has to be done before anything more is known."""


class Transform(Protocol):
    """Makes of a body, in whatever parts it comes, what may pass of it; the same whatever the parts are.

    Keeps no more than a bounded part. Both methods may raise BodyUnreadable and MaskingFailed: what they gave before
    may pass, nothing that follows may.
    """

    def feed(self, data: bytes) -> Iterable[Passed]:
        """What may pass now that `data` has come."""
        ...

    def end(self) -> Iterable[Passed]:
        """What may pass now that nothing more comes."""
        ...


class Pipeline:
    """Several transforms in a row, itself a transform; with none, bytes pass as they are.

    Beside jobs it gives one piece at most for each part that comes, never an empty one. Once something has raised, so
    does all that follows.
    """

    def __init__(self, *transforms: Transform) -> None:
        self._transforms = transforms
        self._broken = False

    @property
    def alters(self) -> bool:
        """Whether what passes may differ from what came."""
        return bool(self._transforms)

    def feed(self, data: bytes) -> Iterator[Passed]:
        """What may pass now. Raises, behind it, BodyUnreadable or MaskingFailed."""
        pieces: Iterable[Passed] = (data,) if data else ()
        for transform in self._transforms:
            pieces = joined(fed(transform, pieces))
        return self._guarded(pieces)

    def end(self) -> Iterator[Passed]:
        """What may pass at the end. Raises, behind it, BodyUnreadable or MaskingFailed."""
        pieces: Iterable[Passed] = ()
        for transform in self._transforms:
            pieces = joined(ended(transform, pieces))
        return self._guarded(pieces)

    def whole(self, body: bytes) -> bytes:
        """What may pass of a body that has come whole; its jobs are done here. Raises BodyUnreadable, MaskingFailed."""
        pieces = (*self.feed(body), *self.end())
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))

    def _guarded(self, pieces: Iterable[Passed]) -> Iterator[Passed]:
        if self._broken:
            raise MaskingFailed("a part before this one could not be masked")
        self._broken = True
        yield from pieces
        self._broken = False


def fed(transform: Transform, pieces: Iterable[Passed]) -> Iterator[Passed]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield from transform.feed(piece)
        else:
            yield piece


def ended(transform: Transform, pieces: Iterable[Passed]) -> Iterator[Passed]:
    yield from fed(transform, pieces)
    yield from transform.end()


def joined(pieces: Iterable[Passed]) -> Iterator[Passed]:
    """All that `pieces` gives as one piece, if any; what it raises comes behind that, jobs before it."""
    passed = bytearray()
    try:
        for piece in pieces:
            if isinstance(piece, bytes):
                passed += piece
            else:
                yield piece
    except (BodyUnreadable, MaskingFailed):
        if passed:
            yield bytes(passed)
        raise
    if passed:
        yield bytes(passed)
