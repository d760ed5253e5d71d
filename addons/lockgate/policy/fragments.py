"""What editors are told of the rules' values: fragments of JSON Schema draft-07. Pure.

Editors read YAML with its types, so a count is an integer here and a flag is true or false, where the loader reads
text. What stands plainly in a file and is taken by the loader, a fragment takes too; it may take more, as long as
gross errors show. `errorMessage`, `enumDescriptions` and `defaultSnippets` are extensions of VS Code's JSON and YAML
services; elsewhere they are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from re import Pattern
from typing import Any

Fragment = dict[str, Any]


def said_by(read: Callable[[Any], Any]) -> str:
    """What a reader of one value answers to text that is nothing like what it takes."""
    try:
        read("?")
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{read.__name__} takes anything: give it a message")


def text(*examples: str) -> Fragment:
    """Any text: what YAML takes for a number included."""
    return {
        "type": ["string", "number"],
        "pattern": r"\S",
        "errorMessage": "text is needed here",
        **({"examples": list(examples)} if examples else {}),
    }


def written(
    pattern: str | Pattern[str], message: str, *examples: str, types: str | Sequence[str] = "string"
) -> Fragment:
    """Text of one form; `message` says which. The pattern must be a regular expression in JavaScript too (ECMA-262)."""
    source = pattern if isinstance(pattern, str) else pattern.pattern
    return {
        "type": types,
        "pattern": f"^({source})$",
        "errorMessage": message,
        **({"examples": list(examples)} if examples else {}),
    }


def whole_number(message: str, *examples: int, most: int = 9999) -> Fragment:
    return {
        "type": "integer",
        "minimum": 1,
        "maximum": most,
        "errorMessage": message,
        **({"examples": list(examples)} if examples else {}),
    }


def choice(values: Mapping[str, str] | Sequence[str]) -> Fragment:
    """One of some words, each with what it means where that is given."""
    described = {"enumDescriptions": list(values.values())} if isinstance(values, Mapping) else {}
    return {"enum": list(values), **described}


def one_or_list(entry: Fragment) -> Fragment:
    """One entry, which is text, or a list of them. Without `anyOf`, of whose branches editors name the wrong one."""
    return {**entry, "type": [*listed(entry["type"]), "array"], "items": entry, "minItems": 1}


def mapping(values: Fragment, keys: Fragment | None = None) -> Fragment:
    return {"type": "object", "additionalProperties": values, **({"propertyNames": keys} if keys else {})}


def scalar_or_mapping(scalar: Fragment, members: Mapping[str, Fragment]) -> Fragment:
    """A word, or a mapping with exactly one of `members`, which are offered with their examples."""
    offered = [f"{{{name}: {member['examples'][0]}}}" for name, member in members.items()]
    one = {
        "type": "object",
        "properties": dict(members),
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "defaultSnippets": [{"label": each, "body": each} for each in offered],
    }
    return {"anyOf": [scalar, one]}


def exactly_one(keys: Sequence[str]) -> Fragment:
    """A mapping has one of `keys`. Each wrong key is named, which `oneOf` would not do."""
    message = f"exactly one of {', '.join(keys[:-1])} and {keys[-1]} is needed here"

    def among(key: str, *others: str) -> Fragment:
        if not others:
            return some_of(keys, message)
        return {"if": {"required": [key]}, "then": without(others, message), "else": among(*others)}

    return among(*keys)


def without(keys: Sequence[str], message: str) -> Fragment:
    """A mapping has none of `keys`."""
    return {"properties": dict.fromkeys(keys, False), "errorMessage": message}


def some_of(keys: Sequence[str], message: str) -> Fragment:
    """A mapping has some of `keys`."""
    return {"anyOf": [{"required": [key], "errorMessage": message} for key in keys]}


def listed(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
