"""Refusals of callers that nobody knows: the first of a minute are recorded one by one, the rest by their number.

Otherwise whoever reaches the gateway could fill its disk. Pure: time comes in as an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

ONE_BY_ONE = 60  # a minute
PERIOD = 60.0  # seconds
MOST = 1000  # pairs of address and reason that are told apart; the rest goes under OTHERS
OTHERS = ("others", "")


class StrangersTally:
    """Counts what is not recorded by itself."""

    def __init__(self) -> None:
        self._began = 0.0
        self._recorded = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def counts_alone(self, address: str, reason: str, now: float, *, scarce: bool) -> bool:
        """Whether a refusal at `now` (monotonic seconds) is only counted. `scarce`: the disk is nearly full."""
        if now - self._began >= PERIOD:
            self._began, self._recorded = now, 0
        if self._recorded < ONE_BY_ONE and not scarce:
            self._recorded += 1
            return False
        key = (address, reason)
        self._counts[key if key in self._counts or len(self._counts) < MOST else OTHERS] += 1
        return True

    def take(self) -> Mapping[str, Any] | None:
        """What has been counted since the last time, for an event of the recording; None for nothing."""
        if not self._counts:
            return None
        counts, self._counts = self._counts, Counter()
        refused = [
            {"address": address, "reason": reason, "count": count}
            for (address, reason), count in sorted(counts.items(), key=lambda entry: -entry[1])
        ]
        return {"count": sum(counts.values()), "refused": refused}
