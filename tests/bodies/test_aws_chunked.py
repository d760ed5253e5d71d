from __future__ import annotations

import io

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.aws_chunked import decode
from lockgate.errors import BodyUnreadable

CRC32 = "x-amz-checksum-crc32"
SIGNED = b";chunk-signature=" + b"0123456789abcdef" * 4


@given(content=st.binary(max_size=200), chunk_size=st.integers(1, 60))
def test_what_botocore_writes(content, chunk_size):
    checksum = Crc32Checksum()
    checksum.update(content)
    made = AwsChunkedWrapper(io.BytesIO(content), Crc32Checksum, CRC32, chunk_size).read()
    assert decode(made, [CRC32], len(content)) == (content, ((CRC32, checksum.b64digest()),))
    plain = AwsChunkedWrapper(io.BytesIO(content), chunk_size=chunk_size).read()
    assert decode(plain, [], None) == (content, ())


def test_signatures_are_left_out():
    body = b"3%b\r\nabc\r\nB%b\r\n0\r\n3456789\n\r\n0%b\r\n" % (SIGNED, SIGNED, SIGNED)
    assert decode(body + b"\r\n", [], 14) == (b"abc0\r\n3456789\n", ())
    trailer = b"x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:" + b"0123456789abcdef" * 4 + b"\r\n\r\n"
    assert decode(body + trailer, [CRC32], 14) == (b"abc0\r\n3456789\n", ((CRC32, "AAAAAA=="),))


GOOD = b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"


def test_a_good_one():
    assert decode(GOOD, [CRC32], 3) == (b"abc", ((CRC32, "AAAAAA=="),))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"abc", id="unframed"),
        pytest.param(GOOD + b"x", id="junk-behind"),
        pytest.param(GOOD + GOOD, id="twice"),
        pytest.param(GOOD.replace(b"3\r", b"2\r"), id="too-long"),
        pytest.param(GOOD.replace(b"3\r", b"4\r"), id="too-short"),
        pytest.param(GOOD.replace(b"3\r", b"-3\r"), id="negative"),
        pytest.param(GOOD.replace(b"3\r", b"0x3\r"), id="prefix"),
        pytest.param(GOOD.replace(b"3\r", b" 3\r"), id="space"),
        pytest.param(GOOD.replace(b"3\r", b"3;x=y\r"), id="extension"),
        pytest.param(GOOD.replace(b"3\r\n", b"3\n"), id="bare-lf"),
        pytest.param(GOOD.replace(b"3\r", b"000000003\r"), id="long-size"),
        pytest.param(GOOD.replace(b"x-amz-checksum-crc32", b"x-amz-checksum-sha1"), id="another-trailer"),
        pytest.param(GOOD.replace(b"x-amz-checksum-crc32:AAAAAA==\r\n", b""), id="no-trailer"),
        pytest.param(GOOD.replace(b"AAAAAA==\r\n", b"AAAAAA==\r\nx-amz-checksum-crc32:BBBBBB==\r\n"), id="two"),
        pytest.param(GOOD.replace(b"AAAAAA==", b"AAA\x00AA=="), id="control-character"),
        pytest.param(GOOD.replace(b"AAAAAA==", b""), id="no-value"),
    ],
)
def test_anything_else(body):
    with pytest.raises(BodyUnreadable):
        decode(body, [CRC32], 3)


@given(cut=st.integers(0, len(GOOD) - 1))
def test_no_part_of_it_is_one(cut):
    with pytest.raises(BodyUnreadable):
        decode(GOOD[:cut], [CRC32], None)


@pytest.mark.parametrize("length", [0, 2, 4])
def test_another_length(length):
    with pytest.raises(BodyUnreadable, match="long"):
        decode(GOOD, [CRC32], length)


@given(body=st.binary(max_size=60))
def test_nothing_else_is_raised(body):
    try:
        decode(body, [], None)
    except BodyUnreadable:
        pass
