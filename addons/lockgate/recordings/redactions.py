"""What rules leave out of the record of a request: `redact_request`, exactly by name and path. Pure.

Whatever a target may read as the named field counts as it. Where it is not certain which part of a request that is, the
whole is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

from lockgate.actions.http import parse_query
from lockgate.bodies.json import dumps, is_json, parse
from lockgate.errors import BodyUnreadable, RequestUnreadable
from lockgate.masking import compile_masks
from lockgate.model import Form, Mask, RecordKind, Unreadable
from lockgate.policy.conditions.spellings import folded
from lockgate.policy.rules import RECORD
from lockgate.recordings.redact import PART, REDACTED, Found, Names, squash

LEAST_FIRST: tuple[RecordKind, ...] = ("digest", "headers")
QUERY = "query."
HEADERS = "headers."

# What some targets take for the end of a path; a request with one of these in its path is refused, and recorded.
SEPARATOR = re.compile(rb"[;?#\\]|%(?:3[bBfF]|23|5[cC]|25[0-9A-Fa-f]{2})")
EQUALS = re.compile(rb"=|%3[dD]")  # some decode a query before they take it apart
DECODINGS = 3  # times that a name is percent-decoded, as some targets do it


class Redactions:
    """Compiled `redact_request`: `$` JSONPaths over the body, `query.NAME`, `headers.NAME`.

    `names` are the header fields, and the names by which a field may repeat a parameter. `keeps` is what is recorded at
    all, of what several rules say the least.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.keeps: RecordKind = next((kind for kind in LEAST_FIRST if f"{RECORD}{kind}" in texts), "full")
        paths = [text for text in texts if text.startswith("$")]
        queries = [text.removeprefix(QUERY) for text in texts if text.startswith(QUERY)]
        self._parameters = frozenset(map(folded, queries))
        self._depth = max((name.count("[") for name in queries), default=0)
        self._masker = compile_masks([Mask(path, "redact") for path in paths], any_case=True) if paths else None
        last_parts = (PART.split(name.rstrip("[]"))[-1] for name in queries)
        self.names = Names(
            headers=frozenset(text.removeprefix(HEADERS) for text in texts if text.startswith(HEADERS)),
            fields=frozenset(part for part in last_parts if squash(part)),
        )

    def target(self, target: bytes, found: Found) -> bytes:
        """A request target (RFC 9112, 3.2) without the values of the parameters."""
        if not self._parameters:
            return target
        path, mark, query = target.partition(b"?")
        if odd := SEPARATOR.search(path):
            found.add("query", "*")
            return path[: odd.start()] + REDACTED
        return path + mark + self._query(query, found)

    def _query(self, query: bytes, found: Found) -> bytes:
        try:
            parse_query(query.decode("ascii"))
        except (RequestUnreadable, UnicodeDecodeError):
            found.add("query", "*")
            return REDACTED
        return b"&".join(self._pair(pair, found) for pair in query.split(b"&"))

    def _pair(self, pair: bytes, found: Found) -> bytes:
        mark = EQUALS.search(pair)
        if mark is None or self._parameters.isdisjoint(read_as(pair[: mark.start()].decode("ascii"), self._depth)):
            return pair
        found.add("query", pair[: mark.start()])
        return pair[: mark.end()] + REDACTED

    def headers(self, fields: Iterable[tuple[bytes, bytes]], found: Found) -> list[tuple[bytes, bytes]]:
        """Header fields with a Referer that does not repeat the parameters. What else repeats them, `names` find."""
        return [(name, self.target(value, found) if name.lower() == b"referer" else value) for name, value in fields]

    def body(self, body: bytes, content_type: str, found: Found) -> bytes:
        """A decoded body without the values that the paths find. Names count in any letter case, as in Go's readers.

        Raises BodyUnreadable and MaskingFailed when it is not known what it holds.
        """
        if self._masker is None or not body:
            return body
        if not is_json(content_type):
            raise BodyUnreadable("it is not declared as JSON, so that no field of it can be left out")
        document, counts = self._masker.apply(parse(body))
        for path in counts:
            found.add("body", path)
        return dumps(document) if counts else body

    def document(self, document: Any) -> Any:
        """The same of a body that is parsed already. Raises BodyUnreadable and MaskingFailed too."""
        if self._masker is None:
            return document
        if isinstance(document, Form | Unreadable):
            raise BodyUnreadable("it is no JSON, so that no field of it can be left out")
        return self._masker.apply(document)[0]


compile_redactions = lru_cache(maxsize=1024)(Redactions)  # keyed by the tuple of texts


def read_as(name: str, depth: int) -> Iterator[str]:
    """The names a target may read a parameter by: its own and those of the objects it lies in, `depth` deep."""
    for _ in range(DECODINGS):
        name = unquote_plus(name)
        yield folded(name)
        for bracket in islice(re.finditer(r"\[", name), depth + 1):
            yield folded(name[: bracket.start()])
