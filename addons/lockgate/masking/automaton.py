"""Where paths lead: a lazily built automaton over all masks and shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lockgate.masking.paths import Key, Positions, Step, Steps, advance, parse
from lockgate.masking.strategies import strongest
from lockgate.model import Mask, Show

ShowPositions = tuple[Positions, ...] | None
"""How far each path of a show has come; None at and below what it selects."""


class Paths:
    """The paths of masks and shows, parsed. Raises ValueError for a bad path.

    `any_case`: names are compared without regard to letter case.
    """

    def __init__(self, masks: Iterable[Mask], shows: Iterable[Show], *, any_case: bool = False) -> None:
        self.any_case = any_case
        self.masks = tuple(masks)
        self.shows = tuple(sorted(shows, key=lambda show: (show.rule, show.paths)))
        self.mask_trails = tuple(self._parsed(mask.path) for mask in self.masks)
        self.show_trails = tuple(tuple(map(self._parsed, show.paths)) for show in self.shows)
        trails = (*self.mask_trails, *(trail for each in self.show_trails for trail in each))
        self.names = frozenset(name for trail in trails for step in trail for name in step.names or ())

    def _parsed(self, path: str) -> Steps:
        return tuple(map(folded, parse(path))) if self.any_case else parse(path)


def folded(step: Step) -> Step:
    return step if step.names is None else replace(step, names=frozenset(map(str.casefold, step.names)))


class State:
    """What the paths say of one place in the document.

    Args:
        at_masks: how far the path of each mask has come.
        at_shows: how far the paths of each show have come.
        named: whether each show names the place itself on its way, and not only by `*` or `..`.
    """

    __slots__ = (
        "at_masks",
        "at_shows",
        "clear",
        "hidden",
        "hider",
        "mask",
        "masked_below",
        "named",
        "positional",
        "targets",
        "whole",
    )

    def __init__(
        self, paths: Paths, at_masks: tuple[Positions, ...], at_shows: tuple[ShowPositions, ...], named: bool
    ) -> None:
        self.at_masks = at_masks
        self.at_shows = at_shows
        self.named = named
        self.mask: Mask | None = selecting(paths, at_masks)
        self.masked_below = any(goes_on(trail, at) for trail, at in zip(paths.mask_trails, at_masks, strict=True))
        # Of several shows the first that does not show all of it is the one to name.
        withheld = [(show.rule, any(at)) for show, at in zip(paths.shows, at_shows, strict=True) if at is not None]
        self.whole = not withheld
        self.clear = self.whole and self.mask is None
        self.hidden = not all(leads_on for _, leads_on in withheld)
        self.hider = withheld[0][0] if withheld else ""
        steps = {trail[position] for trail, at in self._trails(paths) for position in at if position < len(trail)}
        self.positional = tuple(step for step in steps if step.positional)
        self.targets: dict[object, State] = {}

    def _trails(self, paths: Paths) -> Iterable[tuple[Steps, Positions]]:
        yield from zip(paths.mask_trails, self.at_masks, strict=True)
        for trails, at_show in zip(paths.show_trails, self.at_shows, strict=True):
            yield from zip(trails, at_show or ((),) * len(trails), strict=True)


def selecting(paths: Paths, at_masks: Sequence[Positions]) -> Mask | None:
    """The mask that wins where the walk stands."""
    done = [
        mask for mask, trail, at in zip(paths.masks, paths.mask_trails, at_masks, strict=True) if selects(trail, at)
    ]
    return strongest(done) if done else None


def selects(trail: Steps, at: Positions) -> bool:
    return bool(at) and at[-1] == len(trail)


def goes_on(trail: Steps, at: Positions) -> bool:
    return bool(at) and at[0] < len(trail)


class Automaton:
    """The states that a document leads to, made when they are first reached."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._states: dict[object, State] = {}
        at_shows = tuple(settled(trails, ((0,),) * len(trails)) for trails in paths.show_trails)
        self.start = State(paths, ((0,),) * len(paths.masks), at_shows, named=True)

    @property
    def size(self) -> int:
        """How many states were made."""
        return len(self._states)

    def reach(self, state: State, key: Key, length: int) -> State:
        """The state at the child `key` of a container of `length` children."""
        kind: object
        if isinstance(key, int):
            # Without steps by position one item of a list is like another.
            kind = tuple([step.takes_index(key, length) for step in state.positional])
        else:
            if self._paths.any_case:
                key = key.casefold()
            kind = key if key in self._paths.names else OTHER
        try:
            return state.targets[kind]
        except KeyError:
            found = state.targets[kind] = self._follow(state, key, length)
            return found

    def _follow(self, state: State, key: Key, length: int) -> State:
        paths = self._paths
        at_masks = tuple(
            advance(trail, at, key, length) for trail, at in zip(paths.mask_trails, state.at_masks, strict=True)
        )
        at_shows: list[ShowPositions] = []
        named = isinstance(key, str)
        for trails, at in zip(paths.show_trails, state.at_shows, strict=True):
            if at is None:
                at_shows.append(None)
                continue
            reached = tuple(advance(trail, one, key, length) for trail, one in zip(trails, at, strict=True))
            at_shows.append(settled(trails, reached))
            named = named and (at_shows[-1] is None or is_named(trails, at, key))
        identity = (at_masks, tuple(at_shows), named)
        found = self._states.get(identity)
        if found is None:
            found = self._states[identity] = State(paths, *identity)
        return found


OTHER = object()  # stands for every name that no path has


def settled(trails: Sequence[Steps], at: tuple[Positions, ...]) -> ShowPositions:
    """None once a path of the show has selected the place."""
    return None if any(selects(trail, one) for trail, one in zip(trails, at, strict=True)) else at


def is_named(trails: Sequence[Steps], at: tuple[Positions, ...], key: Key) -> bool:
    """Whether one of the paths takes `key` by its name."""
    return any(key in (trail[position].names or ()) for trail, one in zip(trails, at, strict=True) for position in one)
