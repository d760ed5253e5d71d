"""The framing that AWS's clients put around a body to sign it or to append a checksum: `aws-chunked`. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lockgate.errors import BodyUnreadable

CODING = "aws-chunked"
DECLARED = "STREAMING-"  # what X-Amz-Content-SHA256 begins with
SIGNATURE = "x-amz-trailer-signature"

SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,8})(?:;chunk-signature=[0-9a-f]{64})?\r\n")
TRAILER = re.compile(rb"([a-z0-9-]{1,64}): ?([!-~]{1,256})\r\n")


def decode(body: bytes, announced: Iterable[str], length: int | None) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """The content of `body`, and the trailer fields behind it, each one of those `announced` (in lower case).

    Signatures of chunks and of the trailer are left out: they are the client's, not verified here. `length` is that of
    the content where it was said. Raises BodyUnreadable for anything but one complete framing with nothing behind it.
    """
    content = bytearray()
    at = 0
    while True:
        line = SIZE_LINE.match(body, at)
        if line is None:
            raise BodyUnreadable("a chunk has no size")
        size, at = int(line[1], 16), line.end()
        if size == 0:
            break
        if body[at + size : at + size + 2] != b"\r\n":
            raise BodyUnreadable("a chunk is not as long as it says")
        content += body[at : at + size]
        at += size + 2
    if length not in (None, len(content)):
        raise BodyUnreadable("its content is not as long as it says")
    return bytes(content), trailers(body, at, frozenset(announced))


def trailers(body: bytes, at: int, announced: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """The fields from `at` to the empty line at the end of `body`."""
    found: dict[str, str] = {}
    while body[at:] != b"\r\n":
        line = TRAILER.match(body, at)
        if line is None:
            raise BodyUnreadable("it does not end as it should")
        name, at = line[1].decode("ascii"), line.end()
        if name in found or name not in announced | {SIGNATURE}:
            raise BodyUnreadable("a trailer field was not announced, or comes twice")
        found[name] = line[2].decode("ascii")
    if not announced <= found.keys():
        raise BodyUnreadable("a trailer field that was announced is missing")
    found.pop(SIGNATURE, None)
    return tuple(found.items())
