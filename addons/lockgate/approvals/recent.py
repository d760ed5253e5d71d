"""What was decided lately about each caller: whoever approves sees what else it does. In memory alone."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import NamedTuple

MOST = 10  # decisions of one caller
MOST_CALLERS = 10_000


class Recent(NamedTuple):
    """One decision: when (seconds since the epoch), what came out, about what, by which rule."""

    at: float
    verdict: str
    verb: str
    target: str
    resource: str
    rule: str | None


class RecentDecisions:
    """The last ten of each caller; of too many callers those are forgotten that were not heard of for longest."""

    def __init__(self) -> None:
        self._by_caller: OrderedDict[tuple[str, str], deque[Recent]] = OrderedDict()

    def note(self, issuer: str, subject: str, recent: Recent) -> None:
        caller = (issuer, subject)
        found = self._by_caller.get(caller)
        if found is None:
            found = self._by_caller[caller] = deque(maxlen=MOST)
            if len(self._by_caller) > MOST_CALLERS:
                self._by_caller.popitem(last=False)
        else:
            self._by_caller.move_to_end(caller)
        found.append(recent)

    def of(self, issuer: str, subject: str) -> Sequence[Recent]:
        """The latest first."""
        return tuple(reversed(self._by_caller.get((issuer, subject), ())))
