"""What the author of a file is told when it does not fit its model. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, get_args

from pydantic_core import ErrorDetails

from lockgate.policy.schema import Model
from lockgate.policy.traps import COLON, TIGHT_KEY

MAX_ECHO = 40  # characters of a key that a message repeats
EXPECTED = {
    "model_type": "a mapping is needed here: lines of key: value",
    "dict_type": "a mapping is needed here: lines of key: value",
    "list_type": "a list is needed here: lines that begin with -",
    "string_type": "text is needed here",
    "too_short": "the list is empty",
    "too_long": "the list has more entries than are taken here",
}


def explain(error: ErrorDetails, model: type[Model]) -> str:
    """What a validation error says to the author of the file."""
    kind, loc = error["type"], error["loc"]
    if kind == "missing":
        return f"the key {loc[-1]} is missing"
    if kind == "extra_forbidden":
        owner = owner_of(model, loc[:-1])
        return unknown_key(str(loc[-1]), list(owner.model_fields), owner.echo)
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "literal_error":
        values = error["msg"].removeprefix("Input should be ").replace("'", "")
        return f"the values taken here are {values}" if " or " in values else f"the one value taken here is {values}"
    if kind == "model_type" and isinstance(error["input"], str) and TIGHT_KEY.match(error["input"]):
        return COLON
    return EXPECTED.get(kind, f"not valid here ({kind})")


def unknown_key(wrong: str, known: list[str], echo: bool) -> str:
    if wrong.startswith("$") and "mask" in known:
        return "a path belongs to mask: indent it more than mask"
    short = wrong if len(wrong) <= MAX_ECHO else f"{wrong[:MAX_ECHO]}..."
    near = get_close_matches(short, known, 1) if echo else []
    start = f"unknown key {short}" if echo else "unknown key"
    return f"{start}: did you mean {near[0]}?" if near else f"{start}: known here: {', '.join(known)}"


def owner_of(model: type[Model], loc: tuple[str | int, ...]) -> type[Model]:
    """The model that the part of a file at `loc` is read by."""
    for part in loc:
        field = model.model_fields.get(str(part))
        inner = model_in(field.annotation) if field else None
        model = inner or model
    return model


def model_in(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part))), None)
