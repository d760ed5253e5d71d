"""How many follow what changes, of each approver and in all: every one costs a connection and a queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from lockgate.model import Principal
from lockgate.web.problem import Problem

MOST = 100
MOST_OF_ONE = 5


class Followers:
    """For one event loop."""

    def __init__(self) -> None:
        self._by_approver: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def one_more(self, approver: Principal) -> Iterator[None]:
        """Counts one while it lasts. Raises Problem (429, 503) where there are too many."""
        who = (approver.issuer, approver.subject)
        if self._by_approver[who] >= MOST_OF_ONE:
            raise Problem(429, f"You follow the approvals {MOST_OF_ONE} times already: close some.", retry_after=10)
        if self._by_approver.total() >= MOST:
            raise Problem(503, "Too many follow the approvals now: ask for the list instead.", retry_after=60)
        self._by_approver[who] += 1
        try:
            yield
        finally:
            self._by_approver[who] -= 1
            if not self._by_approver[who]:
                del self._by_approver[who]
