"""Content encodings (RFC 9110, 8.4), decoded strictly: one complete stream and nothing else, never past its limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli
import zstandard

from lockgate.errors import BodyTooLarge, BodyUnreadable, EncodingNotAccepted

MAX_RATIO = 200  # of what is decoded to what was sent, from ANY_RATIO on; text comes to 50 at most
ANY_RATIO = 64 * 1024  # bytes
ZSTD_WINDOW = 8 * 1024 * 1024  # bytes: RFC 9659 lets a sender use no more
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # of a frame with content; others are skippable, and decode to nothing

GZIP_WBITS = 16 + zlib.MAX_WBITS
ZLIB_WBITS = zlib.MAX_WBITS
RAW_WBITS = -zlib.MAX_WBITS


def decode(body: bytes, content_encoding: str | None, limit: int) -> bytes:
    """`body` with its content encoding taken off, at most `limit` bytes.

    `content_encoding` is the header's value, several lines joined by commas; None where there is none. The stream must
    be complete, one member or frame, with nothing behind it. An empty body is no stream of any encoding but identity:
    whoever has a message without content (HEAD, 204, 304) has nothing to decode.

    Raises EncodingNotAccepted for an unknown or a second encoding, BodyTooLarge past `limit` and MAX_RATIO,
    BodyUnreadable otherwise.
    """
    name = "identity" if content_encoding is None else content_encoding.strip().lower()
    decoder = DECODERS.get(name)
    if decoder is None:
        accepted = ", ".join(sorted(DECODERS))
        raise EncodingNotAccepted(f"the content encoding must be exactly one of {accepted}")
    most = limit if decoder is identity else min(limit, max(ANY_RATIO, MAX_RATIO * len(body)))
    try:
        decoded = decoder(body, most)
    except BodyTooLarge:
        if most < limit:
            raise BodyTooLarge(f"the decoded body is larger than {MAX_RATIO} times what was sent") from None
        raise
    if len(decoded) > limit:
        raise too_large(limit)
    return decoded


def too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the decoded body is larger than {limit} bytes")


def identity(body: bytes, limit: int) -> bytes:  # noqa: ARG001 (one signature for all)
    return body


def gzip(body: bytes, limit: int) -> bytes:
    return inflate(body, limit, GZIP_WBITS, "gzip")


def deflate(body: bytes, limit: int) -> bytes:
    """zlib's format (RFC 1950), or the bare one (RFC 1951) that some senders mean: exactly one reading may succeed."""
    readings = []
    for wbits in (ZLIB_WBITS, RAW_WBITS):
        try:
            readings.append(inflate(body, limit, wbits, "deflate"))
        except BodyTooLarge:
            raise
        except BodyUnreadable:
            continue
    if len(readings) != 1:
        raise BodyUnreadable("the deflate stream is damaged or ambiguous")
    return readings[0]


def inflate(body: bytes, limit: int, wbits: int, name: str) -> bytes:
    stream = zlib.decompressobj(wbits)
    try:
        decoded = stream.decompress(body, limit + 1)
    except zlib.error:
        raise damaged(name) from None
    if len(decoded) > limit:
        raise too_large(limit)
    require_end(stream.eof, stream.unused_data, name)
    return decoded


def br(body: bytes, limit: int) -> bytes:
    """Brotli (RFC 7932). The library itself refuses bytes behind the stream."""
    stream = brotli.Decompressor()
    decoded, rest = bytearray(), body
    try:
        while not stream.is_finished():
            piece = stream.process(rest, output_buffer_limit=limit + 1 - len(decoded))
            decoded += piece
            if len(decoded) > limit:
                raise too_large(limit)
            if not piece and not rest:
                break
            rest = b""
    except brotli.error:
        raise damaged("br") from None
    require_end(stream.is_finished(), b"", "br")
    return bytes(decoded)


def zstd(body: bytes, limit: int) -> bytes:
    """Zstandard (RFC 8878). Read twice: only the reader bounds its output, only the other sees where the frame ends."""
    if body[:4] != ZSTD_MAGIC:
        raise damaged("zstd")
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
    try:
        if len(decompressor.stream_reader(body, read_across_frames=False).read(limit + 1)) > limit:
            raise too_large(limit)
        stream = decompressor.decompressobj(read_across_frames=False)
        decoded = stream.decompress(body)
    except zstandard.ZstdError:
        raise damaged("zstd") from None
    require_end(stream.eof, stream.unused_data, "zstd")
    return decoded


def damaged(name: str) -> BodyUnreadable:
    return BodyUnreadable(f"the {name} stream is damaged")


def require_end(complete: bool, behind: bytes, name: str) -> None:
    if not complete:
        raise BodyUnreadable(f"the {name} stream is cut short")
    if behind:
        raise BodyUnreadable(f"something stands behind the {name} stream")


DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "identity": identity,
    "gzip": gzip,
    "x-gzip": gzip,
    "deflate": deflate,
    "br": br,
    "zstd": zstd,
}
