"""Bodies that are masked as they come: the same of them passes however they are cut."""

from __future__ import annotations

import json
import pickle
import time
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.pipeline import Job, Pipeline
from lockgate.errors import BodyTooLarge, BodyUnreadable, MaskingFailed, WorkFailed
from lockgate.masking import compile_masks
from lockgate.masking.detectors import DETECTORS, REACH, redact
from lockgate.masking.streams import AT_ONCE, MAX_HELD, Masks, mask_stream, mask_text, masked_document
from lockgate.masking.whole import mask_body
from lockgate.model import Mask

MASKS = Masks((Mask("$..ssn", "redact"), Mask("$.list[0]", "drop")))
EVERY_KIND = Masks(tuple(Mask("", "detect", kind) for kind in DETECTORS))
DOCUMENT = {"n": 1.5, "ssn": "078-05-1120", "list": ["first", {"ssn": ["078-05-1120"]}], "text": "a\r\n\u2028b"}
SEEN = {"n": 1.5, "ssn": "[redacted]", "list": [{"ssn": "[redacted]"}], "text": "a\r\n\u2028b"}


def frame(kind: str, documents: list[Any], ascii_only: bool = True, end: str = "\n") -> bytes:
    form = f"data: {{}}{end}{end}" if kind == "text/event-stream" else f"{{}}{end}"
    return "".join(form.format(json.dumps(one, ensure_ascii=ascii_only)) for one in documents).encode()


def pipeline(kind: str, masks: Masks = MASKS, counts: Counter[str] | None = None) -> Pipeline:
    transform = mask_stream(masks, kind, Counter[str]() if counts is None else counts)
    assert transform is not None
    return Pipeline(transform)


def parts(whole: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted(cuts)
    return [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]


def passed(through: Pipeline, pieces: Iterable[bytes]) -> bytes:
    given = [*(piece for part in pieces for piece in through.feed(part)), *through.end()]
    return b"".join(piece for piece in given if isinstance(piece, bytes))


KINDS = ["text/event-stream", "application/x-ndjson"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@given(st.data())
def test_every_document_is_masked_however_it_is_cut(kind: str, end: str, data: st.DataObject) -> None:
    whole = frame(kind, [DOCUMENT, 1, DOCUMENT], ascii_only=False, end=end)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=8))
    counts = Counter[str]()
    given = passed(pipeline(kind, counts=counts), parts(whole, cuts))
    texts = [line.removeprefix(b"data: ") for line in given.split(b"\n") if line]
    assert [json.loads(text) for text in texts] == [SEEN, 1, SEEN]
    assert counts == {"$..ssn": 4, "$.list[0]": 2}


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_of_what_ends_in_a_fault_the_same_passes_however_it_is_cut(kind: str, data: st.DataObject) -> None:
    whole = frame(kind, [DOCUMENT, 1]) + frame(kind, ["x"]).replace(b'"', b"'") + frame(kind, [2])
    through, seen = pipeline(kind), bytearray()

    def feed() -> None:
        for part in parts(whole, data.draw(st.lists(st.integers(0, len(whole)), max_size=8))):
            for piece in through.feed(part):
                assert isinstance(piece, bytes)
                seen.extend(piece)

    with pytest.raises(BodyUnreadable):
        feed()
    assert seen.count(b"\n") == frame(kind, [SEEN, 1]).count(b"\n")
    assert b"078" not in seen


EVENTS = ["data: 1", "data:2\nevent: x", ":", ": c", "", "id: 1", "data", "\ufeffdata: 3"]
ENDS = ["\n", "\r\n", "\r"]


@given(st.data())
def test_events_in_any_order_and_with_any_ends(data: st.DataObject) -> None:
    """What a parser makes of the whole is what is made of its parts."""
    lines = data.draw(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from(ENDS)), max_size=12))
    whole = "".join(line + end for line, end in lines).encode()
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=12))
    assert outcome(parts(whole, cuts)) == outcome([whole])


def outcome(pieces: Iterable[bytes]) -> tuple[bytes, bool]:
    """What passes of events, and whether it ends in a fault."""
    through, seen = pipeline("text/event-stream"), bytearray()
    given = chain(chain.from_iterable(map(through.feed, pieces)), through.end())
    try:
        for piece in given:
            assert isinstance(piece, bytes)
            seen += piece
    except BodyUnreadable:
        return bytes(seen), True
    return bytes(seen), False


@pytest.mark.parametrize(
    ("kind", "part", "passes"),
    [
        pytest.param(KINDS[0], b"data: 1\n\n", b"data: 1\n\n", id="event"),
        pytest.param(KINDS[0], b"data: 1\r\r", b"data: 1\n\n", id="event-cr"),
        pytest.param(KINDS[0], b": c\n", b":\n\n", id="comment"),
        pytest.param(KINDS[1], b"1\n", b"1\n", id="line"),
        pytest.param("text/plain", b"A line\n", b"A line\n", id="text"),
        pytest.param("text/plain", b"a, " * 100, b"a, " * 57, id="text-without-a-line"),
    ],
)
def test_what_is_whole_passes_at_once(kind: str, part: bytes, passes: bytes) -> None:
    masks = EVERY_KIND if kind == "text/plain" else MASKS
    through = pipeline(kind, masks)
    for _ in range(3):
        assert b"".join(piece for piece in through.feed(b"\n" + part) if isinstance(piece, bytes)).count(passes)


@pytest.mark.parametrize("kind", [None, "application/json", "text/html", "application/json-seq"])
def test_what_cannot_be_masked_by_paths_as_it_comes(kind: str | None) -> None:
    assert mask_stream(MASKS, kind, Counter()) is None


@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset=utf-16", "text/json", "image/png"])
def test_in_what_no_forms_are_looked_for_as_it_comes(kind: str) -> None:
    assert mask_stream(EVERY_KIND, kind, Counter()) is None


def test_what_cannot_be_masked_is_not_seen() -> None:
    counts = Counter[str]()
    with pytest.raises(MaskingFailed):
        masked_document(compile_masks(MASKS.masks), counts, {1: "no text for a name"})
    assert counts == {}


@pytest.mark.parametrize("kind", KINDS)
def test_many_documents_that_are_there_whole(kind: str) -> None:
    seen, counts = mask_body(MASKS, frame(kind, [DOCUMENT, DOCUMENT]), kind)
    assert [json.loads(line.removeprefix(b"data: ")) for line in seen.split(b"\n") if line] == [SEEN, SEEN]
    assert counts == {"$..ssn": 4, "$.list[0]": 2}


# Work that can be done elsewhere


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_part_is_a_job_that_can_be_done_anywhere(kind: str) -> None:
    through, pieces = pipeline(kind), []
    for piece in through.feed(frame(kind, [DOCUMENT] * (AT_ONCE // 50))):
        if isinstance(piece, Job):
            piece.done(pickle.loads(pickle.dumps(piece.work))())
        pieces.append(piece)
    job, seen = pieces
    assert isinstance(job, Job)
    assert isinstance(seen, bytes)
    assert b"078-05" not in seen
    assert seen.count(b"[redacted]") == 2 * (AT_ONCE // 50)


def test_a_job_that_failed_ends_it() -> None:
    through = pipeline(KINDS[1])
    given = through.feed(b"1\n" * AT_ONCE)
    job = next(given)
    assert isinstance(job, Job)
    job.failed(WorkFailed("gone"))
    with pytest.raises(MaskingFailed, match="gone"):
        next(given)
    with pytest.raises(MaskingFailed):
        next(through.end())


def test_what_masks_are_says_nothing() -> None:
    masks = Masks((Mask("$", "hash"),), key=b"secret key of hashes, 32 bytes..")
    assert "secret" not in f"{masks} {masks!r}"


# Text

CARD, IBAN = "4111 1111 1111 1111", "GB82 WEST 1234 5698 7654 32"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"
JWT = f"eyJ{'a' * 300}.{'b' * 400}.{'c' * 300}"
MAIL, PHONE, KEY = "jörg.marsh@bücher.example", "+49 (30) 901-820 11", f"ghp_{'a1' * 20}"
VALUES = [CARD, IBAN, PEM, JWT, MAIL, PHONE, KEY]
FILLERS = ["\n", " ", ", ", "word ", "12 ", "3 ", "\r\n", "é", "-----", "x" * 90, "a, b. " * 40]


@given(st.data())
def test_a_value_in_text_is_taken_out_however_it_is_cut(data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.sampled_from(VALUES + FILLERS), max_size=12))
    whole = "".join(pieces).encode()
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=12))
    counts = Counter[str]()
    seen = passed(pipeline("text/plain", EVERY_KIND, counts), parts(whole, cuts)).decode()
    once = redact(whole.decode(), DETECTORS)
    left = [value for value in VALUES if value in seen and value not in once.text]
    assert left == []
    if not cuts:
        assert (seen, counts) == (once.text, {f"detect {kind}": count for kind, count in once.counts.items()})


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("around", [("It is ", ", I think. "), ("\n", "\n"), ("x" * 500 + " ", " " + "y" * 500)])
def test_a_value_that_comes_a_byte_at_a_time(value: str, around: tuple[str, str]) -> None:
    whole = (around[0] + value + around[1] + "It is over.").encode()
    once = redact(whole.decode(), DETECTORS).text
    assert passed(pipeline("text/plain", EVERY_KIND), [bytes([byte]) for byte in whole]).decode() == once


def test_text_waits_for_no_more_than_a_value_may_need() -> None:
    through = pipeline("text/plain", EVERY_KIND)
    seen = b"".join(piece for piece in through.feed(b"one, two, " * 100) if isinstance(piece, bytes))
    assert 1000 - len(seen) <= REACH + len("two, ")


@pytest.mark.parametrize("start", ["-----BEGIN PRIVATE KEY-----\n", "eyJ", "a"])
def test_a_value_without_end_ends_it(start: str) -> None:
    through = pipeline("text/plain", EVERY_KIND)

    def feed() -> None:
        for piece in through.feed(start.encode()):
            assert piece == b""
        for _ in range(MAX_HELD // 50_000 + 2):
            for piece in through.feed(b"a" * 50_000):
                assert not isinstance(piece, bytes)

    with pytest.raises(BodyTooLarge):
        feed()


def test_text_that_is_not_of_its_charset_ends_it() -> None:
    through = pipeline("text/plain", EVERY_KIND)
    assert b"".join(piece for piece in through.feed(b"good\n") if isinstance(piece, bytes)) == b"good\n"
    with pytest.raises(BodyUnreadable):
        list(through.feed(b"\xff\n"))


def test_a_character_in_two_parts() -> None:
    assert passed(pipeline("text/plain", EVERY_KIND), [b"caf\xc3", b"\xa9\n"]) == "café\n".encode()
    assert passed(pipeline("text/plain; charset=iso-8859-1", EVERY_KIND), [b"caf", b"\xe9\n"]) == b"caf\xe9\n"


def test_what_is_kept_is_not_looked_through_with_every_byte() -> None:
    through = pipeline("text/plain", EVERY_KIND)
    list(through.feed(b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 100_000))
    began = time.process_time()
    for _ in range(5000):
        list(through.feed(b"A"))
    assert time.process_time() - began < 1


def test_the_end_of_text_says_what_it_was() -> None:
    part = mask_text("utf-8", EVERY_KIND, b"ends with 4111 1111 1111 1111", b"", True)
    assert (part.passed, part.rest, part.fault) == (b"ends with [redacted card]", b"", None)
