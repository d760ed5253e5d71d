"""Resource patterns of HTTP: `/v1/customers/{id}`, `/v1/**/export`, `/files/report-*.csv`. Pure.

Parts are separated by `/`. `*` within a part is any run of characters, alone it is one whole part, never empty; `**`
is zero or more parts, at the end one or more, of which the last may be empty: `/v1/**` matches `/v1/` and `/v1/a`, not
`/v1`. `{name}` is one part, captured. Matching takes time linear in the path for each `**`, whatever the path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

from lockgate.policy.folding import decoded, fold

MAX_LENGTH = 2048  # characters
MAX_PARTS = 256  # of a path that is read at all
MAX_STARS = 20  # in a pattern
MAX_MANY = 5  # of them `**`: what is behind each is tried at every part of a path
NO_CAPTURES: Mapping[str, str] = MappingProxyType({})
PART = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-F]{2})*")
DOUBLE_ENCODING = re.compile(r"%25[0-9A-F]{2}")
NO_TEXT = re.compile(r"[\x80-\x9f\ud800-\udfff]")  # C1 controls, and what stands for bytes that are not UTF-8
UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
CAPTURE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Text:
    """A part written out, `*` within it taken apart: `report-*.csv` is `("report-", ".csv")`."""

    pieces: tuple[str, ...]

    def fits(self, part: str) -> bool:
        if len(self.pieces) == 1:
            return part == self.pieces[0]
        first, *middle, last = self.pieces
        if len(part) < len(first) + len(last) or not (part.startswith(first) and part.endswith(last)):
            return False
        at, end = len(first), len(part) - len(last)
        for piece in middle:
            found = part.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    def folded(self) -> Text:
        pieces = tuple([folded(piece) for piece in self.pieces])
        return self if pieces == self.pieces else Text(pieces)


@dataclass(frozen=True, slots=True)
class One:
    """`*` or `{name}`: one part. `empty` lets it be the empty one behind a trailing slash."""

    name: str | None = None
    empty: bool = False

    def fits(self, part: str) -> bool:
        return self.empty or part != ""

    def folded(self) -> One:
        return self


@dataclass(frozen=True, slots=True)
class Many:
    """`**`: zero or more parts."""

    def folded(self) -> Many:
        return self


Part = Text | One | Many


class Resource:
    """A canonical path taken apart, once for all patterns it is held against.

    `texts` are what the parts say, their escapes decoded; `bare` are the parts in the one form of all their spellings,
    without a slash at the end.
    """

    __slots__ = ("bare", "parts", "path", "texts")

    def __init__(self, path: str) -> None:
        self.path = path
        self.parts = path.split("/")[1:]
        if "%" in path:
            self.texts = [decoded(part) for part in self.parts]
            found = [fold(text) for text in self.texts]
        else:  # most are, and at once it is faster
            self.texts = self.parts
            form = fold(path)
            found = self.parts if form == path else form.split("/")[1:]
        self.bare = found if found[-1] else found[:-1]


@dataclass(frozen=True, slots=True)
class Shape:
    """Parts that are written out or stand for one whole part, by place, and whether more must follow them.

    Most patterns are no more than that, and a path is held against this faster.
    """

    written: tuple[tuple[int, str], ...]
    single: tuple[int, ...]
    size: int
    open: bool

    def fits(self, given: Sequence[str]) -> bool:
        if len(given) <= self.size if self.open else len(given) != self.size:
            return False
        for at, text in self.written:
            if given[at] != text:
                return False
        return all(map(given.__getitem__, self.single))  # none is empty


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern. `folded` are its parts as they are held against a resource's spellings.

    `places` has each capture's name and part. `shape` and `folded_shape` are those of `parts` and `folded`, if any.
    """

    text: str
    parts: tuple[Part, ...]
    folded: tuple[Part, ...] = field(init=False, repr=False, compare=False)
    shape: Shape | None = field(init=False, repr=False, compare=False)
    folded_shape: Shape | None = field(init=False, repr=False, compare=False)
    places: tuple[tuple[str, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shape, form = shape_of(self.parts), tuple([part.folded() for part in self.parts])
        places = [(part.name, at) for at, part in enumerate(self.parts) if isinstance(part, One) and part.name]
        object.__setattr__(self, "folded", form)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "folded_shape", shape if form == self.parts else shape_of(form))
        object.__setattr__(self, "places", tuple(places))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.places)

    def match(self, resource: Resource) -> Mapping[str, str] | None:
        """What the captured parts say, where the pattern fits exactly; else None."""
        if self.shape is None:
            return fit(self.parts, resource.parts, resource.texts)
        return self.captures(resource) if self.shape.fits(resource.parts) else None

    def match_loosely(self, resource: Resource) -> Mapping[str, str] | None:
        """As `match`, but also in other letter case, with characters percent-encoded, with or without a trailing slash.

        For `deny` and `hold`: a target may take all these for one resource. `/v1/**` is about `/v1` then.
        """
        shape, bare = self.folded_shape, resource.bare
        if shape is None:
            found = fit(self.folded, bare, resource.texts)
            return fit(self.folded, [*bare, ""], [*resource.texts, ""]) if found is None else found
        return self.captures(resource) if shape.fits(bare) or shape.fits([*bare, ""]) else None

    def captures(self, resource: Resource) -> Mapping[str, str]:
        """Of a resource that its shape fits."""
        return {name: resource.texts[at] for name, at in self.places} if self.places else NO_CAPTURES


def shape_of(parts: Sequence[Part]) -> Shape | None:
    """The shape of parts, where they have one."""
    ends_open = isinstance(parts[-1], Many)
    parts = parts[:-2] if ends_open else parts
    written: list[tuple[int, str]] = []
    single: list[int] = []
    for at, part in enumerate(parts):
        if isinstance(part, Text) and len(part.pieces) == 1:
            written.append((at, part.pieces[0]))
        elif isinstance(part, One):
            single.append(at)
        else:
            return None
    return Shape(tuple(written), tuple(single), len(parts), ends_open)


def folded(part: str) -> str:
    """One form for all spellings of a part that a target might take for the same."""
    return fold(decoded(part))


def parse(text: str) -> Pattern:
    """Parse a pattern. Raises ValueError with what is wrong and what to write instead."""
    if not text.startswith("/"):
        raise ValueError(f"a resource starts with /: write /{text}")
    if "?" in text or "#" in text:
        raise ValueError("the query is never part of a resource: compare request.query in when:")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a resource has at most {MAX_LENGTH} characters: cut it short with **")
    written = text[1:].split("/")
    if len(written) - written.count("**") > MAX_PARTS:
        raise ValueError(f"no path has more than {MAX_PARTS} parts: such requests are refused")
    if text.count("*") > MAX_STARS or written.count("**") > MAX_MANY:
        raise ValueError(f"a resource has at most {MAX_STARS} *, and {MAX_MANY} **: cut it short with one **")
    if "" in written[:-1]:
        raise ValueError("an empty part (//) matches no path: write one /")
    parts = [part_of(part) for part in written]
    names = [part.name for part in parts if isinstance(part, One) and part.name]
    if len(set(names)) < len(names):
        raise ValueError("the same name is captured twice: name them apart")
    if names and parts.count(Many()) > 1:
        raise ValueError("with more than one ** it is not certain what is captured: use one ** or no {name}")
    if any(a == b == Many() for a, b in pairwise(parts)):
        raise ValueError("** beside ** says nothing more: write one **")
    if parts[-1] == Many():
        parts.insert(-1, One(empty=True))
    return Pattern(text, tuple(parts))


def part_of(written: str) -> Part:
    if written == "**":
        return Many()
    if written == "*":
        return One()
    capture = CAPTURE.fullmatch(written)
    if capture:
        return One(capture[1])
    if "{" in written or "}" in written:
        raise ValueError("a capture is a whole part with a plain name: /{id}/")
    if "**" in written:
        raise ValueError("** is a whole part: write * for characters within a part")
    if written in (".", ".."):
        raise ValueError("a . or .. part never reaches a rule: paths that have one are refused")
    if not PART.fullmatch(written):
        raise ValueError(
            "a part has letters, digits and -._~!$&'()*+,=:@ only: percent-encode other characters in capitals (%20)"
        )
    for code in re.findall(r"%..", written):
        check_escape(code)
    if DOUBLE_ENCODING.search(written):
        raise ValueError("no path is percent-encoded twice: such requests are refused")
    if "*" not in written and NO_TEXT.search(decoded(written)):
        raise ValueError(
            "no path has escapes of control characters, or of what is not UTF-8: such requests are refused"
        )
    return Text(tuple(written.split("*")))


def check_escape(code: str) -> None:
    """A pattern is written as canonical paths are, or it would never match."""
    character = chr(int(code[1:], 16))
    if UNRESERVED.fullmatch(character):
        raise ValueError(f"write {character} for {code}: that is how paths are compared")
    if character in "/\\;?#" or character < " " or character == "\x7f":
        raise ValueError(f"no path has {code}: such requests are refused")


def fit(parts: Sequence[Part], given: Sequence[str], captured: Sequence[str]) -> dict[str, str] | None:
    """The captures, taken from `captured`, where `parts` fit all of `given`; else None.

    Greedy with one retreat: on a mismatch only the last `**` takes one part more, which is enough for globs.
    """
    captures: dict[str, str] = {}
    at = index = 0
    retreat: tuple[int, int] | None = None
    while index < len(given):
        part = parts[at] if at < len(parts) else None
        if isinstance(part, Many):
            retreat = (at, index)
            at += 1
        elif part is not None and part.fits(given[index]):
            if isinstance(part, One) and part.name:
                captures[part.name] = captured[index]
            at, index = at + 1, index + 1
        elif retreat is not None:
            retreat = (retreat[0], retreat[1] + 1)
            at, index = retreat[0] + 1, retreat[1]
        else:
            return None
    return captures if all(isinstance(part, Many) for part in parts[at:]) else None


def covers(outer: Pattern, inner: Pattern) -> bool:
    """Whether `outer` certainly matches loosely every path that `inner` matches, exactly or loosely.

    Sound, not complete: False where it is not certain.
    """
    return any(encloses(outer.folded, parts) for parts in spelled(inner.folded))


def spelled(parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], ...]:
    """`parts`, and what fits the same paths in their other spelling, with or without a slash at the end."""
    if isinstance(parts[-1], Many):
        return (parts,)
    return (parts, parts[:-1] if parts[-1] == Text(("",)) else (*parts, Text(("",))))


def encloses(outer: Sequence[Part], inner: Sequence[Part]) -> bool:
    """Whether every run of parts that fits `inner` certainly fits `outer`, by stepping through both at once."""
    reached = [True] + [False] * len(inner)  # whether the parts of `outer` so far take the first n of `inner`
    for part in outer:
        if isinstance(part, Many):
            for at in range(len(inner)):
                reached[at + 1] = reached[at + 1] or reached[at]
        else:
            reached = [
                False,
                *(before and includes(part, given) for before, given in zip(reached, inner, strict=False)),
            ]
    return reached[-1]


def includes(outer: Part, inner: Part) -> bool:
    """Whether whatever fits the one part `inner` certainly fits `outer`."""
    if isinstance(inner, Many) or isinstance(outer, Many):
        return False
    if isinstance(outer, One):
        return (
            outer.empty
            or (isinstance(inner, Text) and any(inner.pieces))
            or (isinstance(inner, One) and not inner.empty)
        )
    if isinstance(inner, One):
        return False
    # A character that no pattern has stands for what a `*` within `inner` takes: `outer` must take it by a `*` too.
    return outer.fits("\0".join(inner.pieces))


def sample(pattern: Pattern) -> Resource:
    """A path that fits `pattern` and that nothing fits but what has wildcards where it has them."""
    parts = ["\0".join(part.pieces) if isinstance(part, Text) else "\0" for part in pattern.parts]
    return Resource("/" + "/".join(parts))
