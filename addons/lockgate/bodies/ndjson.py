"""JSON documents, each on a line of its own (NDJSON, JSON Lines): bytes in, documents out, and bytes again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lockgate.bodies.content_type import media_type
from lockgate.bodies.json import dumps_line, parse
from lockgate.bodies.lines import Lines

MAX_LINE = 256 * 1024  # bytes: what is kept at most
# None of them is registered with IANA.
TYPES = frozenset(
    {
        "application/json-lines",
        "application/jsonl",
        "application/jsonlines",
        "application/ndjson",
        "application/x-json-lines",
        "application/x-jsonl",
        "application/x-jsonlines",
        "application/x-ndjson",
    }
)


def is_ndjson(content_type: str | None) -> bool:
    """Whether a Content-Type says a JSON document a line, in UTF-8."""
    return media_type(content_type) in TYPES


class Rewriter:
    """A stream of lines with what `change` makes of each document. Bytes in, bytes out; blank lines stay blank."""

    def __init__(self, change: Callable[[Any], Any], limit: int = MAX_LINE) -> None:
        self._change = change
        self._lines = Lines(limit)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in `data`. Raises, behind those before it, BodyUnreadable for one that is not strict JSON,
        and what `change` raises.
        """
        return (self._rewritten(line) + b"\n" for line in self._lines.feed(data))

    def end(self) -> Iterator[bytes]:
        """The last line, where it has no end. Raises as `feed` does."""
        return map(self._rewritten, self._lines.end())

    def _rewritten(self, line: bytes) -> bytes:
        return dumps_line(self._change(parse(line))) if line.strip() else b""
