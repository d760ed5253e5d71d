"""Masks over a document, in one pass however many masks there are. Pure; no recursion, so no depth is too deep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lockgate.errors import MaskingFailed
from lockgate.masking.paths import Key, Steps, advance, children, parse
from lockgate.masking.strategies import DROP, masked, strongest
from lockgate.model import Mask


class State:
    """How far each path has come at one place of the document: a state of a lazily built automaton.

    Field names repeat, so where a name leads is worked out once and looked up afterwards.
    """

    __slots__ = ("mask", "positional", "positions", "targets")

    def __init__(self, masks: Sequence[Mask], trails: Sequence[Steps], positions: tuple[tuple[int, ...], ...]) -> None:
        done = [mask for mask, trail, at in zip(masks, trails, positions, strict=True) if at and at[-1] == len(trail)]
        self.positions = positions
        self.mask = strongest(done) if done else None
        self.positional = any(
            trail[index].positional
            for trail, at in zip(trails, positions, strict=True)
            for index in at
            if index < len(trail)
        )
        self.targets: dict[Key, State | None] = {}


class Masker:
    """Compiled masks. Holds no document and may be used by many threads at once."""

    def __init__(self, masks: Sequence[Mask]) -> None:
        self.masks = tuple(masks)
        self.trails = tuple(parse(mask.path) for mask in self.masks)

    def apply(self, document: Any) -> tuple[Any, Mapping[str, int]]:
        """The masked document, and how many values each path masked.

        `document` is JSON as Python has it: dict, list, str, int, float, bool, None. It is the caller's to give
        away: it is masked in place. Where masks meet, the stronger one counts. Raises MaskingFailed when the document
        cannot be masked; it may then be half masked and must not be used.
        """
        try:
            return Walk(self.masks, self.trails).over(document)
        except (RecursionError, MemoryError, TypeError, ValueError, AttributeError, LookupError) as error:
            raise MaskingFailed(f"the document cannot be masked: {type(error).__name__}") from error


def compile_masks(masks: Sequence[Mask]) -> Masker:
    """A masker for `masks`. Raises ValueError for a bad path, which loading the rules has already refused."""
    return Masker(masks)


class Walk:
    """One pass over one document. The automaton lives as long: keys of documents must not pile up in memory."""

    def __init__(self, masks: tuple[Mask, ...], trails: tuple[Steps, ...]) -> None:
        self.masks = masks
        self.trails = trails
        self.states: dict[tuple[tuple[int, ...], ...], State] = {}
        self.counts: Counter[str] = Counter()

    def over(self, document: Any) -> tuple[Any, Mapping[str, int]]:
        start = State(self.masks, self.trails, tuple((0,) for _ in self.masks))
        if start.mask is not None:
            self.counts[start.mask.path] += 1
            whole = masked(start.mask, document)
            return (None if whole is DROP else whole), dict(self.counts)
        pending = [(document, start)]
        while pending:
            node, state = pending.pop()
            dropped: list[Key] = []
            for key, child in list(children(node)):
                reached = self.reach(state, key, len(node))
                if reached is None:
                    continue
                if reached.mask is None:
                    if isinstance(child, (dict, list)):
                        pending.append((child, reached))
                    continue
                self.counts[reached.mask.path] += 1
                put = masked(reached.mask, child)
                if put is DROP:
                    dropped.append(key)
                else:
                    node[key] = put
            remove(node, dropped)
        return document, dict(self.counts)

    def reach(self, state: State, key: Key, length: int) -> State | None:
        """The state at the child `key`; None where no mask can be at or below it."""
        if isinstance(key, int):
            if state.positional:
                return self.follow(state, key, length)
            key = 0  # nothing here tells one element of a list from another
        try:
            return state.targets[key]
        except KeyError:
            found = state.targets[key] = self.follow(state, key, length)
            return found

    def follow(self, state: State, key: Key, length: int) -> State | None:
        positions = tuple(
            advance(trail, at, key, length) for trail, at in zip(self.trails, state.positions, strict=True)
        )
        if not any(positions):
            return None
        found = self.states.get(positions)
        if found is None:
            found = self.states[positions] = State(self.masks, self.trails, positions)
        return found


def remove(node: Any, keys: list[Key]) -> None:
    """Take children out, in time linear in the container's size."""
    if isinstance(node, list):
        if keys:
            gone = set(keys)
            node[:] = [child for index, child in enumerate(node) if index not in gone]
        return
    for key in keys:
        del node[key]
