"""Server-sent events (WHATWG HTML, 9.2.6): bytes in, events out, and events as bytes again. Sans-IO, pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lockgate.bodies.content_type import media_type
from lockgate.bodies.json import dumps_line, parse
from lockgate.bodies.lines import Lines
from lockgate.errors import BodyTooLarge, BodyUnreadable

MAX_EVENT = 256 * 1024  # bytes, comments apart
BOM = b"\xef\xbb\xbf"
MILLISECONDS = re.compile(r"[0-9]{1,9}")
# A type such as `message_start` or `response.output_text.delta`. A name that is long or full of digits may be a value.
NAME = re.compile(r"(?!(?:[^0-9]*[0-9]){4})[A-Za-z][A-Za-z0-9_.:/-]{0,63}")
MAX_RETRY = 999_999  # milliseconds
DONE = "[DONE]"  # how OpenAI's API and those after it end a stream: no JSON, and nothing to hide


def is_sse(content_type: str | None) -> bool:
    """Whether a Content-Type says server-sent events, which are UTF-8 always."""
    return media_type(content_type) == "text/event-stream"


@dataclass(frozen=True, slots=True)
class Event:
    """What stands before a blank line, or one comment: an event without members, for nothing of its text is kept.

    `data` has its lines joined by LF; with None nothing is dispatched to a client. `name` is the type, `retry` is
    milliseconds. `whole` is False where the stream ended before the blank line: a strict client ignores that.
    """

    data: str | None = None
    name: str = ""
    id: str | None = None
    retry: int | None = None
    whole: bool = True


def serialize(event: Event) -> bytes:
    """An event as a parser reads it: the members in one order, LF for line ends."""
    lines = [f"event: {event.name}"] if event.name else []
    if event.id is not None:
        lines.append(f"id: {event.id}")
    if event.retry is not None:
        lines.append(f"retry: {event.retry}")
    if event.data is not None:
        lines += [f"data: {line}" for line in event.data.split("\n")]
    end = "\n\n" if event.whole else "\n"
    return ("\n".join(lines or [":"]) + end).encode("utf-8")


class Parser:
    """Bytes however they are cut in, events out, each as soon as its blank line has come. Keeps one event at most."""

    def __init__(self, limit: int = MAX_EVENT, *, begun: bool = False) -> None:
        """`begun`: it is not the beginning of the stream, where a BOM may stand."""
        self._limit = limit
        self._lines = Lines(limit)
        self._begun = begun
        self._reset()

    def _reset(self) -> None:
        self._data: list[str] = []
        self._size = 0
        self._name = ""
        self._id: str | None = None
        self._retry: int | None = None

    def feed(self, data: bytes) -> Iterator[Event]:
        """The events that end in `data`. Raises, behind those before it, BodyUnreadable for what is not UTF-8 and
        BodyTooLarge for an event above the limit.
        """
        for line in self._lines.feed(data):
            yield from self._line(line)

    def end(self) -> Iterator[Event]:
        """What stands behind the last blank line. Raises as `feed` does."""
        for line in self._lines.end():
            yield from self._line(line)
        yield from self._event(whole=False)

    def _line(self, line: bytes) -> Iterator[Event]:
        if not self._begun:
            line = line.removeprefix(BOM)
            self._begun = True
        try:
            name, colon, value = line.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            raise BodyUnreadable("an event is not UTF-8") from None
        if name:
            self._size += len(line) + 1
            if self._size > self._limit:
                raise BodyTooLarge(f"an event is larger than {self._limit} bytes")
            self._field(name, value.removeprefix(" "))
        elif colon:
            yield Event()
        else:
            yield from self._event(whole=True)

    def _field(self, name: str, value: str) -> None:
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._name = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if MILLISECONDS.fullmatch(value):
                self._retry = int(value)

    def _event(self, *, whole: bool) -> Iterator[Event]:
        data = "\n".join(self._data) if self._data else None
        event = Event(data, self._name if self._data else "", self._id, self._retry, whole)
        self._reset()
        if (event.data, event.id, event.retry) != (None, None, None):
            yield event


class Rewriter:
    """An event stream whose data is JSON, with what `change` makes of each document. Bytes in, bytes out.

    Beside the data only what says nothing of it passes: a type that looks like one, a sane `retry`. An `id` is whatever
    the target likes, and is left out; of comments, which keep connections alive, nothing but that there was one.
    """

    def __init__(self, change: Callable[[Any], Any], limit: int = MAX_EVENT, *, begun: bool = False) -> None:
        """`begun`: it is not the beginning of the stream that it is given."""
        self._change = change
        self._parser = Parser(limit, begun=begun)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What may pass. Raises, behind what is before it, BodyUnreadable for an event without one clear meaning, and
        what `change` raises.
        """
        return map(self._rewritten, self._parser.feed(data))

    def end(self) -> Iterator[bytes]:
        """What may pass of an event without its end. Raises as `feed` does."""
        return map(self._rewritten, self._parser.end())

    def _rewritten(self, event: Event) -> bytes:
        if event.name and not NAME.fullmatch(event.name):
            raise BodyUnreadable("an event's type does not look like one")
        data = event.data
        if data and data != DONE:
            data = dumps_line(self._change(parse(data.encode("utf-8")))).decode("utf-8")
        retry = event.retry if event.retry is not None and event.retry <= MAX_RETRY else None
        return serialize(Event(data, event.name, None, retry, event.whole))
