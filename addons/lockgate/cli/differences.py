"""How an answer differs from the one that a test expects. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from lockgate.bodies.json import parse
from lockgate.errors import BodyUnreadable
from lockgate.policy.cases import Answer

HASH = re.compile(r"\[hash:[0-9a-f]+\]")
ANY_HASH = "[hash]"  # how a test writes one: keys differ from gateway to gateway
SHOWN = 60  # characters of a value
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MISSING = object()


def difference(expected: Answer, got: Answer) -> str | None:
    """The first difference of what the agent got, None where there is none.

    `got` has the body as bytes where it has one of the target's.
    """
    if got.kind != "raw" or expected.kind not in ("json", "raw"):
        return None if got.kind == expected.kind else f"expected {said(expected)}, got {said(got)}"
    body: bytes = got.value
    if expected.kind == "json":
        try:
            return next(differences("$", expected.value, parse(body)), None)
        except BodyUnreadable:
            pass  # it is no document: shown as text below
    elif body == expected.value.encode():
        return None
    return f"expected {shown(expected.value)}, got {shown(body.decode('utf-8', 'replace'))}"


def said(answer: Answer) -> str:
    delivered = "it delivered" if isinstance(answer.value, bytes) else "text"
    return {"json": "a document", "raw": delivered}.get(answer.kind, answer.kind)


def differences(path: str, expected: Any, got: Any) -> Iterator[str]:
    """Each place where two documents differ, in the order of the expected one. 1 and 1.0 are equal, 1 and true not."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for name in {**expected, **got}:
            yield from differences(path + step(name), expected.get(name, MISSING), got.get(name, MISSING))
    elif isinstance(expected, list) and isinstance(got, list):
        for index in range(max(len(expected), len(got))):
            pair = (each[index] if index < len(each) else MISSING for each in (expected, got))
            yield from differences(f"{path}[{index}]", *pair)
    elif not same(expected, got):
        yield f"{path}: expected {shown(expected)}, got {shown(got)}"


def same(expected: Any, got: Any) -> bool:
    if isinstance(got, str) and HASH.fullmatch(got) and expected == ANY_HASH:
        return True
    return isinstance(expected, bool) == isinstance(got, bool) and bool(expected == got)


def step(name: str) -> str:
    return f".{name}" if NAME.fullmatch(name) else f"[{json.dumps(name, ensure_ascii=False)}]"


def shown(value: Any) -> str:
    """A value as JSON, cut short."""
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
