"""What the conditions of rules have read of a request, for its record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from lockgate.model import Action, HttpFacts, Principal, Unreadable
from lockgate.policy.authorize import Environment
from lockgate.policy.conditions.spellings import Once
from lockgate.policy.conditions.syntax import Path
from lockgate.policy.patterns import NO_CAPTURES
from lockgate.policy.rules import Policy

ABSENT: Final = object()


def facts_read(
    policy: Policy,
    principal: Principal,
    actions: Sequence[Action],
    facts: HttpFacts,
    now: datetime,
    considered: Iterable[str],
) -> dict[str, dict[Path, Any]]:
    """By the name of each rule that was `considered` and has a condition: the facts it reads, as they are at hand.

    What the request does not have is not among them. Of a parameter or header that is given several times, all values.
    """
    bound = Environment(principal, facts, now)
    found: dict[str, dict[Path, Any]] = {}
    captured: dict[str, Mapping[str, str]] | None = None
    for name in considered:
        read = policy.facts.get(name)
        if not read:
            continue
        if captured is None and any(path[0] == "path" for path in read):
            captured = captures(policy, principal, actions)
        bound.captures = (captured or {}).get(name, NO_CAPTURES)
        values = {path: value_at(path, bound) for path in sorted(read)}
        found[name] = {path: value for path, value in values.items() if value is not ABSENT}
    return found


def captures(policy: Policy, principal: Principal, actions: Sequence[Action]) -> dict[str, Mapping[str, str]]:
    """What the lines of the rules about the actions have captured, by the rules' names; of several the first."""
    found: dict[str, Mapping[str, str]] = {}
    for action in actions:
        about, _ = policy.matching(principal.roles, action.target, action.verb, action.resource)
        for rule, each in about:
            found.setdefault(rule.name, each)
    return found


def value_at(path: Path, bound: Mapping[str, Any]) -> Any:
    found: Any = bound
    for name in path:
        if isinstance(found, Once):
            values = found.values_by_name.get(name, ())
            found = (values[0] if len(values) == 1 else list(values)) if values else ABSENT
        elif isinstance(found, Environment):
            found = found[name]
        else:
            found = found.get(name, ABSENT) if isinstance(found, Mapping) else ABSENT
    if isinstance(found, Once):
        return dict(found.values_by_name)
    return ABSENT if isinstance(found, Unreadable) else found
