"""Loops of bounded length: what the agent can make long is gone through only behind a bound on its size. Pure.

`size(X) <= 100 && X.all(...)`: where the loop is reached, the bound holds. What guards it is any part that has come out
one way before: the left side of && (true) and of || (false); the test of a conditional where any outcome will do.
"""

from __future__ import annotations

from collections.abc import Hashable

from lockgate.policy.conditions.describe import sketch
from lockgate.policy.conditions.syntax import (
    Binary,
    Call,
    Comprehension,
    Conditional,
    ConditionInvalid,
    ListOf,
    Literal,
    MapOf,
    Node,
    Unary,
    constant_path,
    parts,
    reads,
)

MAX_ELEMENTS = 1000

Guards = frozenset[Hashable]
NONE: Guards = frozenset()

# The operators whose left side may hold a bound.
AND, OR = frozenset({"&&"}), frozenset({"||"})
EITHER, NEITHER = AND | OR, AND & OR
NEGATION = {AND: OR, OR: AND, EITHER: EITHER, NEITHER: NEITHER}


def require_bounds(node: Node, permits: bool | None = None) -> None:
    """Raises ConditionInvalid, saying what to write, for a loop in `node` that no bound stands before.

    `permits` says whether more is permitted where `node` is true; None where that is not known. A list that is longer
    than its bound must never permit more: there, only `&&` may hold a bound, which makes the condition false, or only
    `||`, which makes it true.
    """
    require_below(node, {None: EITHER, True: AND, False: OR}[permits], NONE)


def require_below(node: Node, guarding: frozenset[str], guards: Guards) -> None:
    """`require_bounds` where `guards` are short, and a bound counts that one of the operators `guarding` has."""
    inner = EITHER if guarding == EITHER else NEITHER  # what a longer list makes of it further up is not known
    match node:
        case Binary(operator="&&" | "||", left=left, right=right):
            require_below(left, guarding, guards)
            fits = node.operator in guarding
            guards = guards | bounded_where(left, node.operator == "&&") if fits else guards
            require_below(right, guarding, guards)
        case Conditional(test=test, then=then, otherwise=otherwise):
            require_below(test, inner, guards)
            counts = guarding == EITHER  # elsewhere a longer list has the other branch decide
            require_below(then, guarding, guards | bounded_where(test, True) if counts else guards)
            require_below(otherwise, guarding, guards | bounded_where(test, False) if counts else guards)
        case Unary(operator="!", operand=operand):
            require_below(operand, NEGATION[guarding], guards)
        case _:
            if isinstance(node, Comprehension):
                require_bound(node, guarding, guards)
            for part in parts(node):
                require_below(part, inner, guards)


def require_bound(node: Comprehension, guarding: frozenset[str], guards: Guards) -> None:
    long = unbounded(node.operand, guards)
    if long is None:
        return
    name, loop = sketch(long), sketch(node)
    who = "a token" if "principal" in reads(long) else "the agent"
    raise ConditionInvalid(
        node.offset,
        f"{node.macro} goes through {name}, which {who} can make long:"
        f" write {bounded_form(guarding, name, loop)} ({MAX_ELEMENTS} at most)",
    )


def bounded_form(guarding: frozenset[str], name: str, loop: str) -> str:
    """What to write where a bound counts that an operator of `guarding` has."""
    forms = {"&&": f"size({name}) <= 100 && {loop}", "||": f"size({name}) > 100 || {loop}"}
    if guarding == EITHER:
        return f"{forms['&&']}; or {forms['||']} where a longer one must count as true, as in a deny"
    if guarding == NEITHER:
        return (
            f"size({name}) <= 100 && ..., or in a deny or hold size({name}) > 100 || ...,"
            " before all of the comparison, call or ?: that this stands in, so that a longer one does not get past it"
        )
    (operator,) = guarding
    return f"{forms[operator]}, so that a longer one does not get past this"


def unbounded(node: Node, guards: Guards) -> Node | None:
    """The part of what is gone through that may be of any length; None where none may."""
    if key(node) in guards:
        return None
    match node:
        case ListOf() | MapOf() | Comprehension():  # as long as they are written, or as what they go through
            return None
        case Conditional(then=one, otherwise=other) | Binary(operator="+", left=one, right=other):
            return unbounded(one, guards) or unbounded(other, guards)
        case _:
            return None if is_short(node) else node


def is_short(node: Node) -> bool:
    """Whether it is the rules' own list, or the roles, which are the issuer's."""
    path = constant_path(node)
    return path is not None and (path == ("principal", "roles") or path[0] == "lists")


def key(node: Node) -> Hashable:
    """What is equal for `body.items` and `body["items"]`."""
    return constant_path(node) or node


def bounded_where(node: Node, outcome: bool) -> Guards:
    """What is known to be short where `node` has come out as `outcome`."""
    match node:
        case Unary(operator="!"):
            return bounded_where(node.operand, not outcome)
        case Binary(operator="&&" | "||") if outcome is (node.operator == "&&"):
            return bounded_where(node.left, outcome) | bounded_where(node.right, outcome)
        case Binary():
            return bounded_by(node, outcome)
        case _:
            return NONE


def bounded_by(node: Binary, outcome: bool) -> Guards:
    """What a comparison of a size with a number written out bounds."""
    operator, sized, limit = node.operator, node.left, node.right
    if isinstance(sized, Literal):
        operator, sized, limit = FLIPPED.get(operator, operator), limit, sized
    if not outcome:
        operator = NEGATED.get(operator, "")
    match sized, limit:
        case Call(function="size", arguments=(operand,)), Literal(value=int(most)) if most <= MAX_ELEMENTS:
            return frozenset({key(operand)}) if operator in ("<", "<=", "==") else NONE
        case _:
            return NONE


FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
NEGATED = {">": "<=", ">=": "<", "!=": "=="}
