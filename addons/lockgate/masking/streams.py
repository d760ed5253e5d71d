"""A body under masks that goes on as it comes. What else can be masked a part at a time belongs here, by its type."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from lockgate.bodies import ndjson, sse
from lockgate.bodies.pipeline import Transform
from lockgate.masking.masker import Masker


def mask_stream(masker: Masker, content_type: str | None, counts: Counter[str]) -> Transform | None:
    """A transform that masks a body document by document; None for one that can only be masked whole.

    How many values were masked is added to `counts`.
    """
    change = partial(masked_document, masker.sequence(), counts)
    if sse.is_sse(content_type):
        return sse.Rewriter(change)
    return ndjson.Rewriter(change) if ndjson.is_ndjson(content_type) else None


def masked_document(masker: Masker, counts: Counter[str], document: Any) -> Any:
    """What may be seen of one of many documents. Raises MaskingFailed."""
    seen, found = masker.apply(document)
    counts.update(found)
    return seen
