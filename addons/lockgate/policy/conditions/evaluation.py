"""The state of one evaluation of a condition, and its limit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.spellings import by_letters
from lockgate.policy.folding import fold

MAX_STEPS = 100_000  # about a tenth of a second: an agent's long list must not stop the gateway


@dataclass(slots=True)
class Evaluation:
    """One evaluation; counts its steps. `element` is what a comprehension is at; none stands in another."""

    facts: Mapping[str, Any]
    element: Any = None
    steps: int = 0
    folded: dict[int, tuple[Mapping[str, Any], Mapping[str, str | None]]] = field(default_factory=dict)

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise Unevaluable(f"the condition takes more than {MAX_STEPS} steps")

    def has_one_spelling(self, found: Mapping[str, Any], name: str) -> bool:
        """Whether no other name of `found` differs in letter case only. `found` is kept: its id stays taken so."""
        kept = self.folded.get(id(found))
        if kept is None:
            self.spend(len(found) // 16)
            kept = self.folded[id(found)] = found, by_letters(found)
        return kept[1].get(fold(name), name) == name
