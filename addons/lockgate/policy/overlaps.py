"""Whether two rules may be about the same request: what a deny cuts out of an allow. Pure.

Where it is not certain, they may.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockgate.policy.patterns import Many, One, Part, Pattern, Text, spelled
from lockgate.policy.rules import EVERY_METHOD, Line


def lines_meet(restricting: Line, allowing: Line) -> bool:
    """Whether a line of a deny or hold may be about something that a line of an allow is about."""
    if not set(restricting.targets) & set(allowing.targets):
        return False
    if not any(restricting.takes(verb) for verb in allowing.verbs) and EVERY_METHOD not in allowing.verbs:
        return False
    if restricting.pattern is None or allowing.pattern is None:
        return True
    return patterns_meet(restricting.pattern, allowing.pattern)


def patterns_meet(restricting: Pattern, allowing: Pattern) -> bool:
    """Whether some path that `allowing` fits may be fitted, loosely, by `restricting`."""
    return any(runs_meet(restricting.folded, parts) for parts in every_spelling(allowing.folded))


def every_spelling(parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], ...]:
    """`parts`, and what fits some of the same paths in their other spelling, with or without a slash at the end."""
    if isinstance(parts[-1], Many):  # the part before it may be the empty one behind a slash
        return (parts, parts[:-2], (*parts, Text(("",))))
    return spelled(parts)


def runs_meet(one: Sequence[Part], other: Sequence[Part]) -> bool:
    """Whether some run of path parts may fit both, by stepping through both at once."""
    seen, pending = {(0, 0)}, [(0, 0)]
    while pending:
        at, there = pending.pop()
        if at == len(one) and there == len(other):
            return True
        steps = set()
        if at < len(one) and there < len(other) and parts_meet(one[at], other[there]):
            steps.add((at + (not isinstance(one[at], Many)), there + (not isinstance(other[there], Many))))
        if at < len(one) and isinstance(one[at], Many):
            steps.add((at + 1, there))
        if there < len(other) and isinstance(other[there], Many):
            steps.add((at, there + 1))
        steps -= seen
        seen |= steps
        pending += steps
    return False


def parts_meet(one: Part, other: Part) -> bool:
    """Whether one path part may fit both."""
    if isinstance(one, Text) and isinstance(other, Text):
        return texts_meet(one, other)
    if isinstance(one, Text) and isinstance(other, One):
        return other.empty or one.pieces != ("",)
    if isinstance(other, Text) and isinstance(one, One):
        return one.empty or other.pieces != ("",)
    return True


def texts_meet(one: Text, other: Text) -> bool:
    if len(one.pieces) == 1:
        return other.fits(one.pieces[0])
    if len(other.pieces) == 1:
        return one.fits(other.pieces[0])
    start, other_start = one.pieces[0], other.pieces[0]
    end, other_end = one.pieces[-1], other.pieces[-1]
    return (start.startswith(other_start) or other_start.startswith(start)) and (
        end.endswith(other_end) or other_end.endswith(end)
    )
