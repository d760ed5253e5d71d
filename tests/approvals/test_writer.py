from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from harness.office import MemoryStore
from lockgate.approvals.approval import Approval
from lockgate.approvals.store import Change
from lockgate.approvals.writer import Writer
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
