"""Keyed digests that stand for values: equal values have equal ones, and nothing else can be told from them. Pure."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator
from typing import Any

KEY_SIZE = 32  # bytes
DIGITS = 32  # hexadecimal, of the 64 that HMAC-SHA-256 gives: 128 bits are enough that no two values meet

NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")  # RFC 8259, 6


def digest(value: Any, key: bytes) -> str:
    """`[hash:...]`, 32 hexadecimal digits of the HMAC-SHA-256 (RFC 2104) of a JSON value.

    Equal are values that JSON readers take for the same: members in any order, numbers by what they count (1, 1.0 and
    1e0; never rounded to doubles). 1 and "1" differ. Raises ValueError for a short key, TypeError for what is not JSON.
    """
    if len(key) < KEY_SIZE:
        raise ValueError(f"a key of {KEY_SIZE} bytes is needed")
    return f"[hash:{hmac.digest(key, b''.join(canonical(value)), 'sha256').hex()[:DIGITS]}]"


def canonical(value: Any) -> Iterator[bytes]:
    """Pieces of a text that only equal values share: JSON in ASCII, members by name, each with a comma behind it."""
    pending: list[Any] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, bytes):  # no JSON value: punctuation put here below
            yield node
        elif isinstance(node, dict):
            pending.append(b"}")
            for name in sorted(node, reverse=True):
                pending += (b",", node[name], b":", quoted(name))
            pending.append(b"{")
        elif isinstance(node, list):
            pending.append(b"]")
            for element in reversed(node):
                pending += (b",", element)
            pending.append(b"[")
        else:
            yield scalar(node)


def scalar(value: Any) -> bytes:
    if value is None or isinstance(value, bool):
        return json.dumps(value).encode()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float):
        return number(getattr(value, "text", None) or repr(value))
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def quoted(text: str) -> bytes:
    if not isinstance(text, str):
        raise TypeError("a member's name is no text")
    return json.dumps(text).encode()


def number(text: str) -> bytes:
    """A number without its spelling: digits that neither begin nor end with 0, and the power of ten they count."""
    found = NUMBER.fullmatch(text)
    if found is None:
        raise TypeError("not a JSON number")
    sign, whole, fraction, exponent = found[1], found[2], found[3] or "", int(found[4] or 0) - len(found[3] or "")
    digits = (whole + fraction).lstrip("0")
    exponent += len(digits) - len(digits := digits.rstrip("0"))
    return f"{sign}{digits}e{exponent}".encode() if digits else b"0"
