from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from lockgate.bodies.pipeline import Job, Passed, Pipeline
from lockgate.errors import BodyUnreadable, MaskingFailed, WorkFailed


class Upper:
    """Letters in upper case, one piece each; `!` cannot be read."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        for letter in data:
            if letter == ord("!"):
                raise BodyUnreadable("no")
            yield bytes([letter]).upper()

    def end(self) -> Iterator[bytes]:
        yield b"."


class Late:
    """Everything a part later."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        held, self._held = self._held, data
        yield held

    def end(self) -> Iterator[bytes]:
        yield self._held


def test_with_nothing_to_do_it_passes() -> None:
    pipeline = Pipeline()
    assert not pipeline.alters
    assert list(pipeline.feed(b"abc")) == [b"abc"]
    assert list(pipeline.feed(b"")) == []
    assert list(pipeline.end()) == []


def test_one_piece_for_each_part_and_none_that_is_empty() -> None:
    pipeline = Pipeline(Upper(), Late())
    assert pipeline.alters
    assert list(pipeline.feed(b"abc")) == []
    assert list(pipeline.feed(b"def")) == [b"ABC"]
    assert list(pipeline.end()) == [b"DEF."]


def test_the_end_of_one_goes_through_the_next() -> None:
    assert Pipeline(Late(), Upper()).whole(b"abc") == b"ABC."


def test_what_is_before_a_fault_passes_and_nothing_behind_it() -> None:
    pipeline = Pipeline(Upper(), Upper())
    given = pipeline.feed(b"ab!cd")
    assert next(given) == b"AB"
    with pytest.raises(BodyUnreadable):
        next(given)
    for rest in (pipeline.feed(b"e"), pipeline.end()):
        with pytest.raises(MaskingFailed):
            next(rest)


class Works:
    """Everything twice, as work that may be done elsewhere."""

    def feed(self, data: bytes) -> Iterator[Passed]:
        job = Job(partial(bytes.__mul__, data, 2))
        yield b"<"
        yield job
        yield job.result()

    def end(self) -> Iterator[Passed]:
        return iter(())


def test_work_is_handed_on_before_what_comes_of_it() -> None:
    given = Pipeline(Works(), Upper()).feed(b"ab")
    job = next(given)
    assert isinstance(job, Job)
    job.done(b"z")
    assert list(given) == [b"<Z"]


def test_work_that_nobody_does_is_done_where_it_is_needed() -> None:
    assert Pipeline(Works(), Upper()).whole(b"ab") == b"<ABAB."


def test_work_that_failed_is_a_fault_behind_what_was_before_it() -> None:
    given = Pipeline(Works()).feed(b"ab")
    job = next(given)
    assert isinstance(job, Job)
    job.failed(WorkFailed("gone"))
    assert next(given) == b"<"
    with pytest.raises(MaskingFailed, match="gone"):
        next(given)


def test_a_whole_body_is_all_or_nothing() -> None:
    with pytest.raises(BodyUnreadable):
        Pipeline(Upper()).whole(b"ab!")


def test_a_part_that_nobody_took_to_its_end_is_a_fault() -> None:
    pipeline = Pipeline(Upper())
    assert next(pipeline.feed(b"a")) == b"A"
    with pytest.raises(MaskingFailed):
        next(pipeline.feed(b"b"))
