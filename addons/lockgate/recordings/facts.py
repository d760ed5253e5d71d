"""The facts that conditions read, as a record may tell them: redacted as the request itself is. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any
from urllib.parse import quote

from lockgate.bodies.json import Float
from lockgate.errors import BodyUnreadable, MaskingFailed
from lockgate.model import Form, RecordKind
from lockgate.policy.conditions.fields import written
from lockgate.policy.conditions.syntax import Path
from lockgate.recordings import redact
from lockgate.recordings.redact import Found
from lockgate.recordings.redactions import Redactions

REDACTED = redact.REDACTED.decode()
DETAILS = frozenset({("request", "query"), ("request", "query_all"), ("request", "headers")})
LONGEST = 1024  # bytes of JSON: the body itself is recorded beside


def recorded(facts: Mapping[Path, Any], body: Any, redactions: Redactions) -> dict[str, Any]:
    """Facts by their names in conditions, redacted; `{"omitted": N}` stands for one of N bytes, where that is too many.

    `body` is all of the request's: what rules leave out of it may depend on what stands beside a field.
    """
    try:
        left = redactions.document(body)
    except (BodyUnreadable, MaskingFailed):
        left = None
    kept = {path: value for path, value in facts.items() if not is_left_out(path, redactions.keeps)}
    return {written(path): bounded(fact(path, value, left, redactions)) for path, value in kept.items()}


def is_left_out(path: Path, keeps: RecordKind) -> bool:
    """Whether it is of a part of the request that is not recorded."""
    return (keeps != "full" and path[0] == "body") or (keeps == "digest" and path[:2] in DETAILS)


def fact(path: Path, value: Any, body: Any, redactions: Redactions) -> Any:
    match path:
        case ("body", *names):
            return named(path, field(names, body), redactions)
        case ("request", "path"):
            return target(value, redactions)
        case ("request", "query" | "query_all", *names):
            return by_name(names, value, lambda name, each: parameter(name, each, redactions))
        case ("request", "headers", *names):
            return by_name(names, value, lambda name, each: header(name, each, redactions))
        case _:
            return named(path, value, redactions)


def field(names: Sequence[str], body: Any) -> Any:
    """What is left of a field of the body."""
    found = dict(body.fields) if isinstance(body, Form) else body
    for index, name in enumerate(names):
        if not isinstance(found, Mapping) or name not in found:
            return REDACTED
        found = found[name]
        if index == 0 and isinstance(body, Form):
            found = found[0] if len(found) == 1 else list(found)
    return found


def named(path: Path, value: Any, redactions: Redactions) -> Any:
    """A value without what the names within it, and those that lead to it, say is a secret."""
    if value is None or type(value) in (bool, int, str):
        if any(redact.is_secret(name.encode(), redactions.names) for name in path):
            return REDACTED
        return redact.text(value.encode("utf-8", "replace"), redactions.names).decode() if type(value) is str else value
    document = plain(value)
    for name in reversed(path):
        document = {name: document}
    try:
        document = json.loads(redact.text(json.dumps(document).encode(), redactions.names))
        for name in path:
            document = document[name]
    except (ValueError, KeyError, TypeError):
        return REDACTED
    return document


def plain(value: Any) -> Any:
    """In the types of JSON; a number that no double is, as its text."""
    if isinstance(value, Float) and not value.lossless:
        return value.text
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if isinstance(value, str | int | float | NoneType) else str(value)


def by_name(names: Sequence[str], value: Any, scrub: Callable[[str, str], str]) -> Any:
    """Parameters or header fields: one of them, one given several times, or all."""
    if not names:
        return {name: [scrub(name, each) for each in values] for name, values in value.items()}
    if isinstance(value, str):
        return scrub(names[0], value)
    return [scrub(names[0], each) for each in value]


def parameter(name: str, value: str, redactions: Redactions) -> str:
    pair = f"/?{quote(name, safe='')}=0"
    return named((), value, redactions) if target(pair, redactions) == pair else REDACTED


def target(text: str, redactions: Redactions) -> str:
    data = text.encode("utf-8", "backslashreplace")
    return redact.target(redactions.target(data, Found()), redactions.names).decode("utf-8", "backslashreplace")


def header(name: str, value: str, redactions: Redactions) -> str:
    fields = redactions.headers([(name.encode(), value.encode("utf-8", "backslashreplace"))], Found())
    return redact.headers(fields, redactions.names)[0][1].decode("utf-8", "backslashreplace")


def bounded(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float) or (type(value) is str and len(value) < LONGEST // 12):
        return value  # short in any case: JSON writes a character in twelve at most
    size = len(json.dumps(value))
    return value if size <= LONGEST else {"omitted": size}
