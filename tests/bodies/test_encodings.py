from __future__ import annotations

import gzip
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.encodings import ANY_RATIO, decode
from lockgate.errors import BodyTooLarge, BodyUnreadable, EncodingNotAccepted

TEXT = b'{"name": "lock", "levels": [1, 2, 3]}' * 20
LIMIT = len(TEXT)


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def zstd_without_size(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(data)


ENCODERS = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("x-gzip", gzip.compress, id="x-gzip"),
    pytest.param("deflate", zlib.compress, id="deflate-zlib"),
    pytest.param("deflate", raw_deflate, id="deflate-raw"),
    pytest.param("br", brotli.compress, id="br"),
    pytest.param("zstd", zstandard.compress, id="zstd"),
    pytest.param("zstd", zstd_without_size, id="zstd-without-size"),
]


@pytest.mark.parametrize("encoding", [None, "identity", "Identity"])
def test_identity(encoding):
    assert decode(TEXT, encoding, LIMIT) == TEXT
    with pytest.raises(BodyTooLarge):
        decode(TEXT, encoding, LIMIT - 1)


@pytest.mark.parametrize(("encoding", "encode"), ENCODERS)
class TestEncoded:
    @pytest.mark.parametrize("data", [b"", b"x", TEXT], ids=["empty", "byte", "text"])
    def test_decodes(self, encoding, encode, data):
        assert decode(encode(data), encoding, LIMIT) == data
        assert decode(encode(data), f" {encoding.upper()} ", LIMIT) == data

    def test_limit_is_exact(self, encoding, encode):
        assert decode(encode(TEXT), encoding, LIMIT) == TEXT
        with pytest.raises(BodyTooLarge):
            decode(encode(TEXT), encoding, LIMIT - 1)
        assert decode(encode(b""), encoding, 0) == b""
        with pytest.raises(BodyTooLarge):
            decode(encode(b"x"), encoding, 0)

    def test_every_truncation_is_refused(self, encoding, encode):
        whole = encode(TEXT)
        for length in range(len(whole)):
            with pytest.raises(BodyUnreadable):
                decode(whole[:length], encoding, LIMIT)

    @pytest.mark.parametrize("behind", [b"\0", b"x", b"\n" * 100], ids=["nul", "byte", "lines"])
    def test_bytes_behind_are_refused(self, encoding, encode, behind):
        with pytest.raises(BodyUnreadable):
            decode(encode(TEXT) + behind, encoding, 10 * LIMIT)

    def test_a_second_member_is_refused(self, encoding, encode):
        with pytest.raises(BodyUnreadable):
            decode(encode(TEXT) * 2, encoding, 10 * LIMIT)

    def test_junk_is_refused(self, encoding, encode):
        with pytest.raises(BodyUnreadable) as caught:
            decode(b"not compressed at all", encoding, LIMIT)
        assert not isinstance(caught.value, BodyTooLarge)

    def test_bomb_is_not_inflated(self, encoding, encode):
        bomb = encode(bytes(64 * 1024 * 1024))
        tracemalloc.start()
        try:
            with pytest.raises(BodyTooLarge):
                decode(bomb, encoding, 1024)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 1024 * 1024


@pytest.mark.parametrize(("encoding", "encode"), ENCODERS)
def test_what_decodes_to_far_more_than_was_sent_is_refused(encoding, encode):
    blanks = encode(b" " * 1024 * 1024)
    with pytest.raises(BodyTooLarge, match="larger than 200 times what was sent"):
        decode(blanks, encoding, 2 * 1024 * 1024)
    assert len(decode(encode(b" " * ANY_RATIO), encoding, 1024 * 1024)) == ANY_RATIO


def test_damaged_checksum_is_refused():
    damaged = bytearray(gzip.compress(TEXT))
    damaged[-6] ^= 1
    with pytest.raises(BodyUnreadable, match="damaged"):
        decode(bytes(damaged), "gzip", LIMIT)


def test_zstd_that_claims_a_huge_size_is_not_believed():
    frame = bytearray.fromhex("28b52ffd") + b"\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(BodyUnreadable):
        decode(bytes(frame), "zstd", LIMIT)


def test_zstd_skippable_frame_is_refused():
    skippable = bytes.fromhex("502a4d18") + (4).to_bytes(4, "little") + b"abcd"
    for body in (skippable, skippable + zstandard.compress(TEXT)):
        with pytest.raises(BodyUnreadable):
            decode(body, "zstd", LIMIT)


def two_faced_deflate() -> bytes:
    """A stream of stored blocks that is whole and sound as zlib and as raw deflate, with different contents."""

    def stored(length: int) -> bytes:
        return b"\0" + length.to_bytes(2, "little") + (0xFFFF - length).to_bytes(2, "little")

    # As zlib: two bytes of header, one block of 65,534 bytes, an empty last one, the checksum.
    # As raw: those two bytes begin a block of one byte; two more follow; the checksum's end is an empty last block.
    content = bytearray(65_534)
    content[:4] = stored(100)[1:]
    content[104:109] = stored(65_432)
    missing = (0x0300 - 1 - sum(content)) % 65_521
    content[200 : 200 + missing // 255] = b"\xff" * (missing // 255)
    content[600] = missing % 255
    checksum = zlib.adler32(content).to_bytes(4, "big")
    assert checksum.endswith(b"\x03\x00")
    return b"\x78\x01" + stored(65_534) + content + b"\x01\0\0\xff\xff" + checksum


def test_deflate_with_two_readings_is_refused():
    body = two_faced_deflate()
    assert len(zlib.decompress(body)) == 65_534
    assert len(zlib.decompress(body, wbits=-15)) == 65_533
    with pytest.raises(BodyUnreadable, match="ambiguous"):
        decode(body, "deflate", len(body))


@pytest.mark.parametrize(
    "encoding",
    ["", "gzip, gzip", "gzip,identity", "hex", "rot13", "compress", "gzip;q=1", "*", "utf-8", "gzip\0"],
)
def test_other_encodings_are_not_accepted(encoding):
    with pytest.raises(EncodingNotAccepted):
        decode(gzip.compress(TEXT), encoding, LIMIT)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_any_bytes_decode_within_the_limit_or_are_refused(body, encoding):
    try:
        decoded = decode(body, encoding, 64)
    except BodyUnreadable:
        return
    assert len(decoded) <= 64
