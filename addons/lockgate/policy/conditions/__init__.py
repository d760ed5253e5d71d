"""Conditions of rules: CEL, parsed and checked when rules are loaded, evaluated strictly (law 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from lockgate.policy.conditions.bounds import require_bounds
from lockgate.policy.conditions.check import NOTHING, Possible, check
from lockgate.policy.conditions.declarations import parse_types, require_read
from lockgate.policy.conditions.evaluate import Program, compiled
from lockgate.policy.conditions.evaluation import Evaluation
from lockgate.policy.conditions.fields import Fields, facts_read, fields_read
from lockgate.policy.conditions.kinds import http_facts
from lockgate.policy.conditions.regexes import compile_regex
from lockgate.policy.conditions.syntax import (
    Call,
    Comprehension,
    ConditionInvalid,
    Literal,
    Node,
    Path,
    names,
    parse,
    walk,
)

__all__ = ["Condition", "ConditionInvalid", "Evaluation", "compile_condition", "compile_conditions", "parse_types"]

MAX_PASSES = 5
FOLLOWING = "the types of its fields follow from one another in too many steps: declare them under types"
BOUND = frozenset({"principal", "request", "path", "body", "now"})
NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A checked condition. `reads` are those of `principal`, `request`, `path`, `body`, `now` that it needs bound,
    `facts` the paths of what it reads of them.

    `instructions` counts those of its regular expressions' programs: what compiling them has cost.
    """

    text: str
    reads: frozenset[str]
    facts: frozenset[Path]
    program: Program = field(repr=False)
    instructions: int = 0

    @property
    def reads_body(self) -> bool:
        return "body" in self.reads

    def holds(self, facts: Mapping[str, Any], evaluation: Evaluation | None = None) -> bool:
        """Whether it holds. Raises Unevaluable where there is no certain answer.

        All conditions of one decision share one `evaluation`: its steps, and what it remembers of the facts.
        """
        return self.program(facts, evaluation or Evaluation())


Lists = Mapping[str, tuple[str, ...] | tuple[int | Decimal, ...]]


def compile_condition(
    text: str, captures: Iterable[str], lists: Lists = NONE, types: Mapping[str, str] = NONE
) -> Condition:
    """A condition on HTTP requests: `compile_conditions` for one that stands alone, as a `when`."""
    return compile_all({"when": text}, captures, lists, types)["when"]


def compile_conditions(
    when: str | None,
    unless: str | None,
    captures: Iterable[str],
    lists: Lists = NONE,
    types: Mapping[str, str] = NONE,
    permits: bool | None = None,
    possible: Possible = NOTHING,
) -> tuple[Condition | None, Condition | None]:
    """The conditions of one rule on HTTP requests, whose resource pattern has these captures.

    `lists` are what conditions read as `lists.NAME`, `types` the declared types of open fields
    (`{"body.amount": "number"}`). An open field has one type in both conditions. `permits` says whether the rule
    permits where it matches: a list longer than a loop's bound must not make more permitted. `possible` has all that a
    fact can be, by its path: that it equals anything else is an error. Raises ConditionInvalid, whose `path` says which
    of the texts is meant: `("when",)`, `("unless",)` or `("types", key)`.
    """
    texts = {part: text for part, text in (("when", when), ("unless", unless)) if text is not None}
    found = compile_all(texts, captures, lists, types, permits, possible)
    return found.get("when"), found.get("unless")


def compile_all(
    texts: Mapping[str, str],
    captures: Iterable[str],
    lists: Lists,
    types: Mapping[str, str],
    permits: bool | None = None,
    possible: Possible = NOTHING,
) -> dict[str, Condition]:
    trees = {}
    for part, text in texts.items():
        with placed(part):
            trees[part] = parse(text)
    facts, fields = http_facts(captures, lists), Fields(parse_types(types))
    nodes = {part: walk(tree) for part, tree in trees.items()}
    all_nodes = [node for each in nodes.values() for node in each]
    read = fields_read(all_nodes)
    again, passes = True, 0
    while again:  # what is said of a field in one place may say more of it, or of another, in a place before
        before, passes = dict(fields.kinds), passes + 1
        for part, tree in trees.items():
            with placed(part):
                if passes > MAX_PASSES:
                    raise ConditionInvalid(0, FOLLOWING)
                check(tree, facts, fields, possible)
        again = max(read.values(), default=0) > 1 and before != fields.kinds
    for part, tree in trees.items():
        if any(isinstance(node, Comprehension) for node in nodes[part]):
            with placed(part):
                require_bounds(tree, permits if part == "when" or permits is None else not permits)
    require_read(types, read)
    checks = fields.checks(all_nodes, read)
    return {
        part: Condition(
            texts[part],
            names(nodes[part]) & BOUND,
            facts_read(tree, BOUND),
            compiled(tree, lists, checks),
            size(nodes[part]),
        )
        for part, tree in trees.items()
    }


def size(nodes: Iterable[Node]) -> int:
    """How many instructions the checked `matches()` among these nodes compile to."""
    written = [node.arguments[-1] for node in nodes if isinstance(node, Call) and node.function == "matches"]
    found = [compile_regex(str(each.value)) for each in written if isinstance(each, Literal)]
    return sum(regex.size + regex.lax_size for regex in found)


@contextmanager
def placed(part: str) -> Iterator[None]:
    try:
        yield
    except ConditionInvalid as error:
        error.path = (part,)
        raise
