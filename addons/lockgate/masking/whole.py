"""A whole body under masks: a JSON document, many of them, or text where nothing but forms is looked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lockgate.bodies import text
from lockgate.bodies.json import dumps, is_json, parse
from lockgate.bodies.pipeline import Pipeline
from lockgate.errors import MaskingFailed
from lockgate.masking.streams import Masks, mask_stream, sequence


def mask_body(masks: Masks, body: bytes, content_type: str | None) -> tuple[bytes, Mapping[str, int]]:
    """What may be seen of a decoded body, and how many values were masked. All that it takes and gives can be pickled.
    For one thread of a process: it remembers where paths lead.

    Raises BodyUnreadable for one that has no certain meaning, MaskingFailed for one that is no document.
    """
    masker = sequence(masks)
    if is_json(content_type):
        document, counts = masker.apply(parse(body))
        return dumps(document), counts
    if text.is_text(content_type):
        seen, counts = masker.apply_to_text(text.decode(body, content_type))
        return text.encode(seen, content_type), counts
    documents = mask_stream(masks, content_type, counted := Counter[str]())
    if documents is not None:
        return Pipeline(documents).whole(body), counted
    raise MaskingFailed("neither a JSON document nor text")
