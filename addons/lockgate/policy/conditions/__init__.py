"""Conditions of rules: CEL, parsed and checked when rules are loaded, evaluated strictly (law 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lockgate.policy.conditions.check import check, http_facts, reads
from lockgate.policy.conditions.evaluate import evaluate
from lockgate.policy.conditions.syntax import ConditionInvalid, Node, parse

__all__ = ["Condition", "ConditionInvalid", "compile_condition"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition; `reads_body` says whether it needs the body parsed."""

    text: str
    tree: Node
    reads_body: bool

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether it holds. Raises Unevaluable where there is no certain answer."""
        return evaluate(self.tree, facts)


def compile_condition(text: str, captures: Iterable[str]) -> Condition:
    """A condition on HTTP requests whose resource pattern has these captures. Raises ConditionInvalid."""
    tree = parse(text)
    check(tree, http_facts(captures))
    return Condition(text, tree, reads(tree, "body"))
