"""Which roles a role extends, near and far. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lockgate.errors import Problem
from lockgate.policy.checked import Checked
from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.schema.rules import Role, Rule

RoleFile = Checked[Role, Rule]

MAX_ROLES = 100  # that one role extends, near and far
MAX_HINTS = 100  # that are looked for, which takes a millisecond where there are thousands of roles


def lineages(roles: Mapping[str, RoleFile | None], problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    """Each role with every role it extends, itself first. Unknown ones and circles are noted.

    None stands for a role whose file cannot be read: it exists all the same.
    """
    parents: dict[str, list[str]] = {}
    for name, checked in roles.items():
        parents[name] = list(checked.model.extends) if checked and checked.model else []
        for index, parent in enumerate(parents[name]):
            if checked and parent not in roles:
                hint = suggestion(parent, roles) if len(problems) < MAX_HINTS else "one of many that are wrong"
                message = f"unknown role {parent}: {hint}"
                problems.append(checked.document.problem(("extends", index), message))
    found = {name: ancestors(name, parents) for name in roles}
    for name, checked in roles.items():
        if checked and len(found[name]) > MAX_ROLES + 1:
            message = f"{name} extends more than {MAX_ROLES} roles, near and far: join some of them"
            problems.append(checked.document.problem(("extends",), message, key=True))
    for name, checked in roles.items():
        for index, parent in enumerate(parents[name]):
            if checked and name in found.get(parent, ()):
                message = f"{name} extends itself through {parent}: leave one extends of the circle out"
                problems.append(checked.document.problem(("extends", index), message))
    return found


def ancestors(name: str, parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """`name` and every role it extends, each once; of more than MAX_ROLES some are left out."""
    found, pending = dict.fromkeys([name]), [name]
    while pending and len(found) <= MAX_ROLES + 1:
        for parent in parents[pending.pop()]:
            if parent in parents and parent not in found:
                found[parent] = None
                pending.append(parent)
    return tuple(found)
