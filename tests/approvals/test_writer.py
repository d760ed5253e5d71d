from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from harness.office import MemoryStore
from lockgate.approvals.approval import Approval
from lockgate.approvals.store import Change
from lockgate.approvals.writer import SETTLES, Writer
from lockgate.errors import StoreUnavailable


async def test_of_two_changes_of_the_same_revision_one_is_taken(draft: Callable[..., Approval]) -> None:
    taken: list[Change] = []
    writer = Writer(MemoryStore(), taken.append)
    found = await asyncio.gather(writer.write(Change(draft())), writer.write(Change(draft())))
    assert (sorted(found), len(taken)) == ([False, True], 1)
    await writer.close()


async def test_any_fault_of_the_store_stops_it(
    draft: Callable[..., Approval], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MemoryStore):
        def apply(self, changes: Sequence[Change]) -> list[bool]:
            raise RuntimeError("quotes a request")

    writer = Writer(Broken(), lambda change: None)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await writer.write(Change(draft()))
    assert writer.broken
    assert "RuntimeError" in caplog.text and "quotes" not in caplog.text
    await writer.load()
    assert not writer.broken
    await writer.close()


async def test_it_closes_behind_what_is_being_written(draft: Callable[..., Approval]) -> None:
    store = MemoryStore()
    writer = Writer(store, lambda change: None)
    writing = asyncio.create_task(writer.write(Change(draft())))
    await asyncio.sleep(0)
    await writer.close()
    assert await writing
    assert list(store.rows) == ["a1"]


async def test_it_settles_once_nothing_more_is_written(draft: Callable[..., Approval]) -> None:
    store = MemoryStore()
    writer = Writer(store, lambda change: None)
    for number in range(3):
        assert await writer.write(Change(draft(f"a{number}")))
    assert store.settled == 0
    await asyncio.to_thread(store.settles.wait, 5)
    assert await writer.write(Change(draft("a3")))
    assert (store.settled, len(store.rows)) == (1, 4)
    await writer.close()


async def test_what_is_asked_for_while_it_settles_is_written(draft: Callable[..., Approval]) -> None:
    go_on = threading.Event()

    class Slow(MemoryStore):
        def settle(self) -> None:
            super().settle()
            go_on.wait(5)

    store = Slow()
    writer = Writer(store, lambda change: None)
    assert await writer.write(Change(draft("a0")))
    await asyncio.to_thread(store.settles.wait, 5)
    writing = asyncio.create_task(writer.write(Change(draft("a1"))))
    await asyncio.sleep(0)
    go_on.set()
    assert await writing
    await writer.close()


async def test_a_store_that_cannot_settle_takes_nothing_more(
    draft: Callable[..., Approval], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MemoryStore):
        def settle(self) -> None:
            raise StoreUnavailable("the disk is full")

    writer = Writer(Broken(), lambda change: None)
    assert await writer.write(Change(draft("a0")))
    await asyncio.sleep(5 * SETTLES)
    with pytest.raises(StoreUnavailable):
        await writer.write(Change(draft("a1")))
    assert "the disk is full" in caplog.text
    await writer.close()
