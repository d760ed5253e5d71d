"""The state of an evaluation, and its limit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.spellings import Once, by_letters, cost_of_folding
from lockgate.policy.folding import fold

MAX_STEPS = 100_000  # about a tenth of a second: what an agent sends must not stop the gateway
NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)
class Evaluation:
    """The evaluation of one condition after the other, as of all that one decision asks; counts the steps of all.

    `facts` are those of the condition at hand. `element` is what its comprehension is at; none stands in another.
    """

    facts: Mapping[str, Any] = NONE
    element: Any = None
    steps: int = 0
    folded: dict[int, tuple[Mapping[str, Any], Mapping[str, str | None]]] = field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Whether a condition was cut short; whatever is evaluated from then on is unevaluable."""
        return self.steps > MAX_STEPS

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise Unevaluable(f"deciding takes more than {MAX_STEPS} steps")

    def has_one_spelling(self, found: Mapping[str, Any], name: str) -> bool:
        """Whether no other name of `found` differs in letter case only."""
        return self.letters(found).get(fold(name), name) == name

    def letters(self, found: Mapping[str, Any]) -> Mapping[str, str | None]:
        """`by_letters` of the names of `found`, made once. `found` is kept: its id stays taken so."""
        kept = self.folded.get(id(found))
        if kept is None:
            self.spend(cost_of_folding(found))
            kept = self.folded[id(found)] = found, by_letters(found)
        return kept[1]

    def parameters(self, found: Mapping[str, Any]) -> Once | None:
        """Where `found` is one of the request's own maps, what knows how targets read its names."""
        if isinstance(found, Once):
            return found
        query = self.facts.get("request", NONE).get("query")
        return query if isinstance(query, Once) and found is query.values_by_name else None
