from __future__ import annotations

from collections.abc import Callable

from lockgate.approvals.approval import Approval
from lockgate.approvals.watcher import MOST, Watcher


async def test_one_that_falls_behind_is_told(draft: Callable[..., Approval]) -> None:
    watcher = Watcher()
    for _ in range(MOST):
        watcher.put(draft())
    assert not watcher.lost
    watcher.put(draft())
    assert watcher.lost
    assert await watcher.next(1) == draft()
