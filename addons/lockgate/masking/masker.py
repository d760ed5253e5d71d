"""Masks and shows over a document, in one pass however many there are. Pure; no recursion, so no depth is too deep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lockgate.errors import MaskingFailed
from lockgate.masking.automaton import Automaton, Paths, State
from lockgate.masking.detectors import redact, redact_strings
from lockgate.masking.digests import KEY_SIZE
from lockgate.masking.paths import Key, children
from lockgate.masking.strategies import DROP, STRENGTH, masked
from lockgate.model import Mask, Show

EVERY = max(STRENGTH.values())
PLAIN = {str, int, float, bool, type(None)}


MANY = 1000  # states that are kept from one document to the next


class Masker:
    """Compiled masks and shows. Holds no document and may be used by many threads at once."""

    def __init__(self, paths: Paths, key: bytes, detected: Sequence[str] = (), *, by_path: bool = True) -> None:
        self._paths = paths
        self._key = key
        self.detected = tuple(detected)  # kinds that are looked for in every text
        self.by_path = by_path  # whether anything is masked or shown beside

    def sequence(self) -> Sequential:
        """The same for many small documents one after the other, in a fraction of the time; for one thread."""
        return Sequential(self._paths, self._key, self.detected, by_path=self.by_path)

    def apply(self, document: Any) -> tuple[Any, Mapping[str, int]]:
        """What may be seen of `document`, and how many values each path masked and each show dropped.

        `document` is JSON as Python has it: dict, list, str, int, float, bool, None. It is not changed; the result has
        parts of it in it. Shows first, masks on what they keep; indices are those of the document as it came. Where
        masks meet, the stronger one counts; a hash is of what masks stronger than it have left. Shows count as
        `show RULE`. What is detected is taken out of what they leave, and counts as `detect KIND`. Raises MaskingFailed
        when the document cannot be masked, so that it must not be used.
        """
        try:
            left, counts = Walk(self._automaton(), self._key).over(document) if self.by_path else (document, {})
            if not self.detected:
                return left, counts
            left, found = redact_strings(left, self.detected)
            return left, {**counts, **named(found)}
        except (RecursionError, MemoryError, TypeError, ValueError, AttributeError, LookupError) as error:
            raise MaskingFailed(f"the document cannot be masked: {type(error).__name__}") from error

    def apply_to_text(self, text: str) -> tuple[str, Mapping[str, int]]:
        """As `apply`, of a text that is no document. Raises MaskingFailed where paths are masked or shown."""
        if self.by_path:
            raise MaskingFailed("paths are masked, and it is no document")
        found = redact(text, self.detected)
        return found.text, named(found.counts)

    def _automaton(self) -> Automaton:
        return Automaton(self._paths)


class Sequential(Masker):
    """A masker that remembers where paths lead, within bounds, from one document to the next."""

    def __init__(self, paths: Paths, key: bytes, detected: Sequence[str], *, by_path: bool) -> None:
        super().__init__(paths, key, detected, by_path=by_path)
        self._kept = Automaton(paths)

    def _automaton(self) -> Automaton:
        if self._kept.size > MANY:
            self._kept = Automaton(self._paths)
        return self._kept


def compile_masks(
    masks: Sequence[Mask], shows: Sequence[Show] = (), key: bytes = b"", *, any_case: bool = False
) -> Masker:
    """A masker for `masks` on what all of `shows` keep.

    `key` (32 bytes) is that of `hash`. `any_case`: names in paths stand for any letter case. Raises ValueError for a
    bad path, which loading the rules has already refused, and for a hash without a key.
    """
    if any(mask.kind == "hash" for mask in masks) and len(key) < KEY_SIZE:
        raise ValueError(f"a hash needs a key of {KEY_SIZE} bytes")
    by_path = [mask for mask in masks if mask.kind != "detect"]
    detected = sorted({str(mask.argument) for mask in masks if mask.kind == "detect"})
    return Masker(Paths(by_path, shows, any_case=any_case), key, detected, by_path=bool(by_path or shows))


def named(counts: Mapping[str, int]) -> dict[str, int]:
    return {f"detect {kind}": count for kind, count in counts.items()}


class Frame:
    """An object or list that is being gone through, and what is made of it.

    `mask` is what replaces it in the end. `floor`: masks in it must be stronger than this to count. `holds`: whether
    something in it is shown.
    """

    __slots__ = ("above", "floor", "holds", "key", "length", "made", "mask", "rest", "state")

    def __init__(
        self, node: Any, state: State, above: Frame | None = None, key: Key = 0, mask: Mask | None = None
    ) -> None:
        if isinstance(node, dict) and not {str}.issuperset(map(type, node)):
            raise TypeError("a member's name is no text")
        self.above = above or self
        self.key = key
        self.state = state
        self.mask = mask
        self.floor: int = above.floor if above else 0
        if mask is not None:
            self.floor = STRENGTH["hash"] if mask.kind == "hash" else EVERY
        self.holds = state.whole
        self.length = len(node)
        self.rest: Iterator[tuple[Key, Any]] = children(node)
        self.made: Any = {} if isinstance(node, dict) else []

    def put(self, key: Key, value: Any) -> None:
        if isinstance(self.made, list):
            self.made.append(value)
        else:
            self.made[key] = value


class Walk:
    """One pass over one document."""

    def __init__(self, automaton: Automaton, key: bytes) -> None:
        self._automaton = automaton
        self._key = key
        self._counts: Counter[str] = Counter()

    def over(self, document: Any) -> tuple[Any, Mapping[str, int]]:
        start = self._automaton.start
        top = Frame([document], start)
        frame: Frame = self._take(top, 0, document, start) or top
        while frame is not top:
            frame = self._next(frame) or self._close(frame)
        return (top.made[0] if top.made else None), dict(self._counts)

    def _next(self, frame: Frame) -> Frame | None:
        """Go on through the children, up to one that is gone through itself."""
        state, length = frame.state, frame.length
        for key, child in frame.rest:
            reached = self._automaton.reach(state, key, length)
            if reached.clear and not (reached.masked_below and self._may_be_masked(child, reached)):
                frame.holds = True
                frame.put(key, child)
            elif (opened := self._take(frame, key, child, reached)) is not None:
                return opened
        return None

    def _may_be_masked(self, child: Any, state: State) -> bool:
        """Whether something in `child` may be masked. Of a list of plain values one item's place says it of all."""
        if not isinstance(child, list) or state.positional or not PLAIN.issuperset(map(type, child)):
            return isinstance(child, (dict, list))
        return not self._automaton.reach(state, 0, len(child)).clear

    def _take(self, above: Frame, key: Key, child: Any, state: State) -> Frame | None:
        """Put into `above` what is to be seen of a child; give it back where that is known only after its children."""
        if state.hidden:
            self._drop(state)
            return None
        mask = state.mask if state.mask and STRENGTH[state.mask.kind] > above.floor else None
        looks_inside = state.masked_below and (mask is None or mask.kind == "hash")
        if isinstance(child, (dict, list)) and (looks_inside or not state.whole):
            return Frame(child, state, above, key, mask)
        if state.whole:
            above.holds = True
            self._put(above, key, child, mask)
        else:
            self._drop(state)
        return None

    def _close(self, frame: Frame) -> Frame:
        """Put what was made of an object or list into the one above, and go on there."""
        above = frame.above
        if frame.holds or frame.state.named:
            above.holds = above.holds or frame.holds
            self._put(above, frame.key, frame.made, frame.mask)
        else:
            self._drop(frame.state)
        return above

    def _put(self, above: Frame, key: Key, value: Any, mask: Mask | None) -> None:
        if mask is not None:
            self._counts[mask.path] += 1
            value = masked(mask, value, self._key)
        if value is not DROP:
            above.put(key, value)

    def _drop(self, state: State) -> None:
        self._counts[f"show {state.hider}"] += 1
