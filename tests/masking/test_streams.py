from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.pipeline import Pipeline
from lockgate.errors import BodyUnreadable, MaskingFailed
from lockgate.masking import Masker, compile_masks
from lockgate.masking.streams import mask_stream, masked_document
from lockgate.masking.whole import mask_body
from lockgate.model import Mask

MASKS = [Mask("$..ssn", "redact"), Mask("$.list[0]", "drop")]
DOCUMENT = {"n": 1.5, "ssn": "078-05-1120", "list": ["first", {"ssn": ["078-05-1120"]}], "text": "a\r\n\u2028b"}
SEEN = {"n": 1.5, "ssn": "[redacted]", "list": [{"ssn": "[redacted]"}], "text": "a\r\n\u2028b"}


@pytest.fixture
def masker() -> Masker:
    return compile_masks(MASKS)


def frame(kind: str, documents: list[Any], ascii_only: bool = True) -> bytes:
    form = "data: {}\n\n" if kind == "text/event-stream" else "{}\n"
    return "".join(form.format(json.dumps(one, ensure_ascii=ascii_only)) for one in documents).encode()


KINDS = ["text/event-stream", "application/x-ndjson"]


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_every_document_is_masked_however_it_is_cut(kind: str, data: st.DataObject) -> None:
    whole = frame(kind, [DOCUMENT, 1, DOCUMENT], ascii_only=False)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    counts = Counter[str]()
    transform = mask_stream(compile_masks(MASKS), kind, counts)
    assert transform is not None
    pipeline = Pipeline(transform)
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    given = b"".join([*(piece for part in parts for piece in pipeline.feed(part)), *pipeline.end()])
    texts = [line.removeprefix(b"data: ") for line in given.split(b"\n") if line]
    assert [json.loads(text) for text in texts] == [SEEN, 1, SEEN]
    assert counts == {"$..ssn": 4, "$.list[0]": 2}


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_of_what_ends_in_a_fault_the_same_passes_however_it_is_cut(kind: str, data: st.DataObject) -> None:
    whole = frame(kind, [DOCUMENT, 1]) + frame(kind, ["x"]).replace(b'"', b"'") + frame(kind, [2])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    transform = mask_stream(compile_masks(MASKS), kind, Counter[str]())
    assert transform is not None
    pipeline, passed = Pipeline(transform), bytearray()

    def feed() -> None:
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            for piece in pipeline.feed(whole[start:end]):
                passed.extend(piece)

    with pytest.raises(BodyUnreadable):
        feed()
    assert passed.count(b"\n") == frame(kind, [SEEN, 1]).count(b"\n")
    assert b"078" not in passed


@pytest.mark.parametrize("kind", [None, "application/json", "text/html", "application/json-seq"])
def test_what_is_not_of_many_documents(masker: Masker, kind: str | None) -> None:
    assert mask_stream(masker, kind, Counter()) is None


def test_what_cannot_be_masked_is_not_seen(masker: Masker) -> None:
    counts = Counter[str]()
    with pytest.raises(MaskingFailed):
        masked_document(masker, counts, {1: "no text for a name"})
    assert counts == {}


@pytest.mark.parametrize("kind", KINDS)
def test_many_documents_that_are_there_whole(masker: Masker, kind: str) -> None:
    seen, counts = mask_body(masker, frame(kind, [DOCUMENT, DOCUMENT]), kind)
    assert [json.loads(line.removeprefix(b"data: ")) for line in seen.split(b"\n") if line] == [SEEN, SEEN]
    assert counts == {"$..ssn": 4, "$.list[0]": 2}
