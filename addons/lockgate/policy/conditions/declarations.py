"""`types:` of a rule: what the open fields that its conditions read are declared to be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.conditions.fields import field_of, written
from lockgate.policy.conditions.kinds import BOOL, INT, NUMBER, STRING, Kind, list_of, map_of
from lockgate.policy.conditions.syntax import ConditionInvalid, Path, parse

TYPES: Mapping[str, Kind] = {
    "string": STRING,
    "number": NUMBER,
    "int": INT,
    "bool": BOOL,
    "list": list_of(None),
    "map": map_of(None),
    "list(string)": list_of(STRING),
    "list(number)": list_of(NUMBER),
    "list(bool)": list_of(BOOL),
}
INSTANTS = frozenset({"timestamp", "duration"})


def parse_types(types: Mapping[str, str]) -> dict[Path, Kind]:
    """The declared kinds by path, from `{"body.amount": "number"}`.

    Raises ConditionInvalid, with the key in its `path`, for what is no open field or no type of JSON.
    """
    found: dict[Path, Kind] = {}
    for key, name in types.items():
        path = parse_field(key)
        if path in found:
            raise invalid(key, f"{written(path)} is declared twice: leave one out")
        found[path] = parse_type(key, name)
    return found


def parse_field(key: str) -> Path:
    try:
        path = field_of(parse(key))
    except ConditionInvalid:
        path = None
    if path is None:
        raise invalid(
            key,
            f"{key} is no field below body or principal.claims:"
            ' write its path, as body.amount or principal.claims["cost-center"]',
        )
    return path


def parse_type(key: str, name: str) -> Kind:
    kind = TYPES.get(name)
    if kind is None and name in INSTANTS:
        raise invalid(key, f"JSON has no {name}: declare string, and write {name}({key}) in the condition")
    if kind is None:
        raise invalid(key, f"unknown type {name}: {suggestion(name, TYPES)}")
    return kind


def require_read(types: Mapping[str, str], read: Collection[Path]) -> None:
    """Raises ConditionInvalid, with the key in its `path`, for a declared field that is not among those `read`."""
    for key in types:
        if parse_field(key) not in read:
            hint = suggestion(key, map(written, read)) if read else "leave it out"
            raise invalid(key, f"no condition of this rule reads {key}: {hint}")


def invalid(key: str, message: str) -> ConditionInvalid:
    return ConditionInvalid(0, message, ("types", key))
