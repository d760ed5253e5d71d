"""Recorded answers to the requests they were given to: which one a request gets, and what is nearest to one that has
none. Pure; a test's stand-in for a target.

A request is the recorded one when it has the same method, path, query and body: a query in any order, JSON by what it
says, and both with what was redacted in the record taken out of the request too. Header fields do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl

from lockgate.errors import BodyUnreadable, MaskingFailed
from lockgate.policy.digests import canonical_body
from lockgate.recordings import redact
from lockgate.recordings.dump import as_utf8, header
from lockgate.recordings.exports.entry import of, text
from lockgate.recordings.redact import Found
from lockgate.recordings.redactions import compile_redactions

MOST = 512 * 1024 * 1024  # bytes of answers that are held
LOST = None  # what was not kept of a request fits anything
FORM = "application/x-www-form-urlencoded"
HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
    | {b"content-length", b"proxy-authenticate", b"alt-svc"}
)


class TooMuch(Exception):
    """Raised where answers would take more than MOST bytes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `path` with its query, `body` decoded."""

    method: str
    path: bytes
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer as it was recorded. `body` is None where it was not kept."""

    id: str
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a request is known by, beside its method and path. LOST fits any."""

    query: str | None
    body: str | None
    redactions: tuple[str, ...] = ()

    def fits(self, asked: Asked) -> bool:
        seen = shape_of(asked, self.redactions)
        return self.query in (LOST, seen.query) and self.body in (LOST, seen.body)


@dataclass(slots=True)
class Answers:
    """What one request was answered, in recorded order; the last is given again and again."""

    shape: Shape
    recorded: list[Recorded | None] = field(default_factory=list)
    given: int = 0

    def next(self) -> Recorded | None:
        found = self.recorded[min(self.given, len(self.recorded) - 1)]
        self.given += 1
        return found


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a request has no answer, and what is nearest to it."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """A request that is known, whose answer was not kept."""

    detail: str


class Playback:
    """Answers by place: the name of a target, or the host where a request was for none. `strict`: only in order."""

    def __init__(self, *, target: str | None = None, strict: bool = False) -> None:
        self._target = target
        self._strict = strict
        self._answers: dict[tuple[str, str, bytes], list[Answers]] = {}
        self._order: list[tuple[tuple[str, str, bytes], Shape, Recorded | None]] = []
        self._position = 0
        self._size = 0
        self.hosts: dict[str, str] = {}
        self.targets: dict[str, int] = {}

    def add(self, state: Mapping[str, Any]) -> None:
        """Learn from a record; one that is of no request, or not as the gateway writes it, is passed over.

        Raises TooMuch.
        """
        try:
            found = learnt(state)
        except (KeyError, TypeError, AttributeError, ValueError):
            return
        if found is None or (self._target is not None and found.target != self._target):
            return
        key, shape, answer = (
            (found.place, found.asked.method, found.asked.path.partition(b"?")[0]),
            found.shape,
            found.answer,
        )
        self._size += len(answer.body or b"") if answer else 0
        if self._size > MOST:
            raise TooMuch(f"the answers are more than {MOST} bytes: name fewer files, or a --target")
        self.hosts[found.host] = found.place
        if found.target is not None:
            self.targets[found.target] = self.targets.get(found.target, 0) + 1
        self._order.append((key, shape, answer))
        group = self._answers.setdefault(key, [])
        same = next((each for each in group if each.shape == shape), None)
        if same is None:
            same = Answers(shape)
            group.append(same)
        same.recorded.append(answer)

    def __len__(self) -> int:
        return len(self._order)

    def place(self, host: str, path: bytes) -> tuple[str, bytes] | None:
        """Which place a request is for, and its path there; None where nothing tells.

        Its Host says so, or there is one target alone, or the path begins with `/TARGET/`.
        """
        if host in self.hosts:
            return self.hosts[host], path
        if len(self.targets) == 1:
            return next(iter(self.targets)), path
        name, slash, rest = path[1:].partition(b"/")
        places = {*self.targets, *self.hosts.values()}
        return (text(name), slash + rest) if slash and text(name) in places else None

    def answer(self, place: str, asked: Asked) -> Recorded | Unknown | Unrecorded:
        key = (place, asked.method, asked.path.partition(b"?")[0])
        if self._strict:
            return self._in_order(key, asked)
        group = [each for each in self._answers.get(key, ()) if each.shape.fits(asked)]
        if not group:
            return Unknown(self._nearest(key, asked))
        exact = [each for each in group if LOST not in (each.shape.query, each.shape.body)]
        return whole((exact or group)[0].next())

    def _in_order(self, key: tuple[str, str, bytes], asked: Asked) -> Recorded | Unknown | Unrecorded:
        if self._position >= len(self._order):
            return Unknown("every recorded request has been answered")
        expected, shape, answer = self._order[self._position]
        if key != expected or not shape.fits(asked):
            return Unknown(f"the next recorded request is {expected[1]} {text(expected[2])} at {expected[0]}")
        self._position += 1
        return whole(answer)

    def _nearest(self, key: tuple[str, str, bytes], asked: Asked) -> str:
        place, method, path = key
        if key in self._answers:
            seen = [(each.shape, shape_of(asked, each.shape.redactions)) for each in self._answers[key]]
            if any(known.body in (LOST, now.body) for known, now in seen):
                return f"{method} {text(path)} was recorded with another query"
            if any(known.query in (LOST, now.query) for known, now in seen):
                return f"{method} {text(path)} was recorded with another body"
            return f"{method} {text(path)} was recorded with another query and body"
        there = [(how, what) for at, how, what in self._answers if at == place]
        methods = sorted(how for how, what in there if what == path)
        if methods:
            return f"{text(path)} was recorded with {', '.join(methods)}"
        near = get_close_matches(text(path), sorted({text(what) for _, what in there})[:1000], 1, 0.3)
        return f"the nearest recorded path is {near[0]}" if near else f"nothing like it was recorded at {place}"


def whole(found: Recorded | None) -> Recorded | Unrecorded:
    if found is None:
        return Unrecorded("no answer to it was recorded")
    if found.body is None:
        return Unrecorded("the body of its answer was not recorded")
    return found


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a record teaches."""

    place: str
    host: str
    target: str | None
    asked: Asked
    shape: Shape
    answer: Recorded | None


def learnt(state: Mapping[str, Any]) -> Learnt | None:
    """None of what is no request that can be asked again. Raises KeyError, TypeError, AttributeError, ValueError."""
    said, request = (state["metadata"].get("lockgate") or {}), state.get("request")
    if state["type"] != "http" or not isinstance(request, dict) or not said or "event" in said:
        return None
    if request["method"] == b"CONNECT" or state.get("websocket"):
        return None
    keeps = said.get("recorded", "full")
    lost_body = keeps != "full" or any("request" in of(said, name) for name in ("truncated", "withheld"))
    bodiless = request["method"] in (b"GET", b"HEAD")
    asked = Asked(text(request["method"]), request["path"], header(request, b"content-type"), request["content"] or b"")
    redactions = redactions_of(said)
    shape = shape_of(asked, redactions)
    lost = Shape(
        LOST if keeps == "digest" else shape.query, LOST if lost_body and not bodiless else shape.body, redactions
    )
    target = said.get("target")
    host = str(request["host"]).lower()
    return Learnt(str(target or host), host, str(target) if target else None, asked, lost, answer_of(state, said))


def answer_of(state: Mapping[str, Any], said: Mapping[str, Any]) -> Recorded | None:
    response = state["response"]
    if not response:
        return None
    body = response["content"]
    if any("response" in of(said, name) for name in ("truncated", "withheld")):
        body = None
    fields = tuple((bytes(name), bytes(value)) for name, value in response["headers"] if name.lower() not in HOP)
    return Recorded(str(said.get("request_id")), int(response["status_code"]), fields, body)


def redactions_of(said: Mapping[str, Any]) -> tuple[str, ...]:
    """What rules left out of the record, as `redact_request` has it, so that it can be left out of a request too."""
    found = of(said, "redacted").get("request")
    texts = []
    for name in found if isinstance(found, list) else ():
        kind, _, what = str(name).partition(":")
        if kind == "query" and what and what != "*":
            texts.append(f"query.{what}")
        elif kind == "body" and what.startswith("$"):
            texts.append(what)
    return tuple(sorted(texts))


def shape_of(asked: Asked, redactions: tuple[str, ...]) -> Shape:
    compiled = compile_redactions(redactions)
    path = redact.target(compiled.target(asked.path, Found()), compiled.names)
    pairs = sorted(parse_qsl(text(path.partition(b"?")[2]), keep_blank_values=True))
    body = asked.body
    try:
        body = compiled.body(body, asked.content_type, Found())
    except (BodyUnreadable, MaskingFailed):
        pass  # then it is not what was recorded, and does not fit
    body = redact.text(as_utf8(body), compiled.names)
    if asked.content_type.lower().startswith(FORM):
        body = redact.form(body, compiled.names)
    return Shape(repr(pairs), canonical_body(asked.content_type or None, body), redactions)
