"""What stands where a masked value stood, and which of two masks wins. Pure.

`redact` writes `[redacted]`; `keep_first` and `keep_last` leave n characters beside it: `[redacted]6789`; `hash` writes
a keyed digest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lockgate.masking.digests import digest
from lockgate.model import Mask

REDACTED = "[redacted]"
DROP = object()  # what `masked` gives for a value that must not be there at all

# Strongest first: where two masks meet, the stronger wins. The two `keep_` are equals.
STRENGTH = {"drop": 6, "nullify": 5, "redact": 4, "replace": 3, "hash": 2, "keep_first": 1, "keep_last": 1}


def masked(mask: Mask, value: Any, key: bytes = b"") -> Any:
    """What to put in the place of `value`, or DROP. Never part of a value it was not told to keep.

    `key` is that of `hash`. Raises ValueError when it is too short for one.
    """
    match mask.kind:
        case "drop":
            return DROP
        case "nullify":
            return None
        case "replace":
            return mask.argument
        case "hash":
            return digest(value, key)
        case "keep_first" | "keep_last" if isinstance(mask.argument, int) and shows(value, mask.argument):
            kept = mask.argument
            return value[:kept] + REDACTED if mask.kind == "keep_first" else REDACTED + value[-kept:]
        case _:
            return REDACTED


def shows(value: Any, kept: int) -> bool:
    """Whether part of `value` may be shown: a string longer than twice what is kept."""
    return kept > 0 and isinstance(value, str) and len(value) > 2 * kept


def strongest(masks: Iterable[Mask]) -> Mask:
    """The mask that wins. Equals that disagree are settled for the one that shows less, whatever their order.

    A `keep_first` against a `keep_last` is a redaction: together they would show both ends.
    """
    ranked = sorted(masks, key=lambda mask: (-STRENGTH[mask.kind], mask.kind, str(mask.argument), mask.path, mask.rule))
    first = ranked[0]
    if first.kind not in ("keep_first", "keep_last"):
        return first
    if len({mask.kind for mask in ranked}) > 1:
        return Mask(first.path, "redact", rule=first.rule)
    return min(ranked, key=lambda mask: mask.argument if isinstance(mask.argument, int) else 0)
