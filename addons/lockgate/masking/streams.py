"""A body under masks that goes on as it comes. What else can be masked a part at a time belongs here, by its type.

A part is masked by a function of what has come and is not yet masked: it gives what may pass, and what it has to see
again once more has come. So it can be called anywhere; what is kept in between is the stream's, and bounded.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from lockgate.bodies import ndjson, sse, text
from lockgate.bodies.pipeline import Job, Passed, Transform
from lockgate.errors import BodyTooLarge, BodyUnreadable, MaskingFailed
from lockgate.masking.detectors import REACH, Place, is_word, places, replaced
from lockgate.masking.masker import Masker, Sequential, compile_masks
from lockgate.model import Mask, Show

MAX_HELD = 256 * 1024  # bytes that cannot pass until more has come
AT_ONCE = 2 * 1024  # bytes: at most 10 ms of work, whatever they are; more is a job
LOOKED_ANEW = 8  # what is kept of a text is looked through again once it has grown by one part in so many


@dataclass(frozen=True, slots=True)
class Masks:
    """What is masked by, as it is told to whoever masks: it can be pickled, which a compiled masker cannot."""

    masks: tuple[Mask, ...]
    shows: tuple[Show, ...] = ()
    key: bytes = b""

    def __repr__(self) -> str:
        return f"<Masks of {len(self.masks) + len(self.shows)}>"

    def masker(self) -> Masker:
        """A masker that many threads may use. Raises ValueError as `compile_masks` does."""
        return masker(self.masks, self.shows, self.key)


masker = lru_cache(maxsize=4096)(compile_masks)


@lru_cache(maxsize=256)
def sequence(masks: Masks) -> Sequential:
    """A masker for small documents, for one thread: what streams in the loop, or in a worker."""
    return masks.masker().sequence()


@dataclass(frozen=True, slots=True)
class Part:
    """What came of one: what may pass, how many values were masked, what has to be seen again, and what is wrong with
    what follows.
    """

    passed: bytes
    counts: Mapping[str, int]
    rest: bytes
    fault: BodyUnreadable | MaskingFailed | None = None


Masking = Callable[[Masks, bytes, bytes, bool], Part]
"""Masks what has come; told also the byte before it (none at the beginning), and whether nothing more comes."""


def mask_stream(masks: Masks, content_type: str | None, counts: Counter[str]) -> Transform | None:
    """A transform that masks a body part by part; None for one that can only be masked whole.

    How many values were masked is added to `counts`.
    """
    masking = masking_of(content_type, by_path=masks.masker().by_path)
    if masking is None:
        return None
    return MaskedText(masks, masking, counts) if text.is_text(content_type) else MaskedLines(masks, masking, counts)


def masking_of(content_type: str | None, *, by_path: bool) -> Masking | None:
    """How a stream of a type is masked; None where it cannot be. By paths, a text cannot."""
    if sse.is_sse(content_type):
        return mask_events
    if ndjson.is_ndjson(content_type):
        return mask_lines
    if by_path or not text.is_text(content_type):
        return None
    try:
        return partial(mask_text, text.charset_of(content_type))
    except BodyUnreadable:
        return None


class MaskedLines:
    """Documents, masked as soon as the line that ends one has come."""

    def __init__(self, masks: Masks, masking: Masking, counts: Counter[str]) -> None:
        self._masks = masks
        self._masking = masking
        self._counts = counts
        self._held = b""
        self._behind = b""

    def feed(self, data: bytes) -> Iterator[Passed]:
        """What may pass. Raises, behind it, BodyUnreadable and MaskingFailed."""
        self._held += data
        if len(self._held) > MAX_HELD or self._may_pass(data):
            yield from self._part(last=False)

    def end(self) -> Iterator[Passed]:
        """What was held back. Raises as `feed` does."""
        yield from self._part(last=True)

    def _may_pass(self, data: bytes) -> bool:
        """Whether more than before may pass now that `data` has come."""
        return b"\n" in data or b"\r" in data

    def _part(self, *, last: bool) -> Iterator[Passed]:
        job = Job(partial(self._masking, self._masks, self._held, self._behind, last))
        if len(self._held) > AT_ONCE:
            yield job
        part = job.result()
        taken = len(self._held) - len(part.rest)
        self._behind = self._held[taken - 1 : taken] if taken else self._behind
        self._held = part.rest
        self._counts.update(part.counts)
        yield part.passed
        if part.fault is not None:
            raise part.fault


class MaskedText(MaskedLines):
    """Text in which forms are looked for: what may be the beginning of a value waits for what follows."""

    _looked_at = 0  # bytes that were kept when it was last looked through

    def _may_pass(self, data: bytes) -> bool:  # noqa: ARG002 - any bytes may settle what a text is
        return len(self._held) > self._looked_at + self._looked_at // LOOKED_ANEW

    def _part(self, *, last: bool) -> Iterator[Passed]:
        yield from super()._part(last=last)
        self._looked_at = len(self._held)


def mask_events(masks: Masks, data: bytes, behind: bytes, last: bool) -> Part:
    """Server-sent events, the data of each a document."""
    data = without_split_end(data, behind)
    whole = len(data) if last else end_of_events(data)
    counts = Counter[str]()
    change = partial(masked_document, sequence(masks), counts)
    rewriter = sse.Rewriter(change, begun=bool(behind))
    return rewritten(rewriter, data, whole, last, counts)


def mask_lines(masks: Masks, data: bytes, behind: bytes, last: bool) -> Part:
    """A document a line."""
    data = without_split_end(data, behind)
    whole = len(data) if last else max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    counts = Counter[str]()
    return rewritten(ndjson.Rewriter(partial(masked_document, sequence(masks), counts)), data, whole, last, counts)


def rewritten(
    rewriter: sse.Rewriter | ndjson.Rewriter, data: bytes, whole: int, last: bool, counts: Mapping[str, int]
) -> Part:
    """What is made of the first `whole` bytes, which end where an event or a line does."""
    passed = bytearray()
    fault: BodyUnreadable | MaskingFailed | None = None
    try:
        for piece in rewriter.feed(data[:whole]):
            passed += piece
        for piece in rewriter.end():
            if not last:
                raise MaskingFailed("an event is not whole")
            passed += piece
    except (BodyUnreadable, MaskingFailed) as error:
        fault = error
    rest = data[whole:]
    if fault is None and len(rest) > MAX_HELD:
        fault = BodyTooLarge(f"an event is larger than {MAX_HELD} bytes")
    return Part(bytes(passed), counts, rest, fault)


def masked_document(masker: Masker, counts: Counter[str], document: Any) -> Any:
    """What may be seen of one of many documents. Raises MaskingFailed."""
    seen, found = masker.apply(document)
    counts.update(found)
    return seen


BLANK_LINES = (b"\n\n", b"\n\r", b"\r\r")  # the end of a line and that of a blank one, their last bytes apart
BETWEEN = re.compile(rb"(?:(?::[^\r\n]*)?(?:\r\n|\r|\n))*")  # comments and blank lines


def end_of_events(data: bytes) -> int:
    """Where the last event ends that has its blank line, with what stands behind it and before the next."""
    found = max(data.rfind(line) for line in BLANK_LINES)
    end = found + 2 if found >= 0 else 0
    if data[end - 1 : end] == b"\r" and data[end : end + 1] == b"\n":
        end += 1
    between = BETWEEN.match(data, end)
    return between.end() if between else end


def without_split_end(data: bytes, behind: bytes) -> bytes:
    """Without the LF of a CRLF whose CR has ended the part before."""
    return data[1:] if behind == b"\r" and data.startswith(b"\n") else data


def mask_text(charset: str, masks: Masks, data: bytes, _behind: bytes, last: bool) -> Part:
    """Text, `charset` the codec to read it by; its bytes may end amid a character."""
    decoder = codecs.getincrementaldecoder(charset)()
    try:
        whole = decoder.decode(data, final=last)
    except UnicodeDecodeError:
        return Part(b"", {}, data, BodyUnreadable("it is not of the charset its type says"))
    found = places(whole, masks.masker().detected)
    cut = len(whole) if last else settled(whole, found)
    seen = replaced(whole[:cut], [place for place in found if place[0] < cut])
    rest = data[len(whole[:cut].encode(charset)) :]
    fault = BodyTooLarge(f"a value is larger than {MAX_HELD} bytes") if len(rest) > MAX_HELD else None
    counts = {f"detect {kind}": count for kind, count in seen.counts.items()}
    return Part(seen.text.encode(charset), counts, rest, fault)


def settled(whole: str, found: Sequence[Place]) -> int:
    """Up to where a text is as it will be, whatever follows: no value, found or to be, goes on over that place."""
    cut = max(len(whole) - REACH, whole.rfind("\n") + 1, whole.rfind("\r") + 1)
    before = None
    while before != cut:
        before = cut
        if cut == len(whole) or is_word(whole[cut]):
            cut -= ending_word(whole, cut)
        cut = min([cut, *crossing(found, cut, len(whole))])
    return cut


def ending_word(whole: str, end: int) -> int:
    """How many characters of one word stand before `end`."""
    start = end
    while start > 0 and is_word(whole[start - 1]):
        start -= 1
    return end - start


def crossing(found: Iterable[Place], cut: int, end: int) -> Iterator[int]:
    """The beginnings of values that reach over `cut`, or to the very end, where they may go on."""
    return (start for start, reached, _ in found if start < cut and (reached > cut or reached == end))
