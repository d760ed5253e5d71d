"""Any input: the laws of reading hold, whatever is sent."""

from __future__ import annotations

import gzip
import json
import zlib

import brotli
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from harness.laws import check_bytes, check_encoding, check_form, check_json, check_path, check_query, check_request
from harness.requests import BODIES, FIELDS, METHODS, PATHS, QUERIES, URLENCODED

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
JSON_PIECES = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"a"',
            '"A"',
            '"\\u0061"',
            '"\\ud800"',
            "1",
            "-0",
            "1.10",
            "1e400",
            "01",
            "true",
            "null",
            "NaN",
            " ",
            "\n",
            "//",
            "\ufeff",
            '"',
            "\\",
            "\x00",
            "é",
            "9" * 30,
            "0.1",
            "5e1",
            "-",
            ".",
        ]
    ),
    max_size=12,
).map("".join)
ENCODERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@given(st.one_of(PATHS, st.text(max_size=20)))
@example("/%25%32%65")
@example("/%2525")
@example("/%EF%BC%8E%EF%BC%8E")
def test_path(raw: str) -> None:
    check_path(raw)


@given(st.one_of(QUERIES, st.text(max_size=20)))
@example("a=1;b=2")
@example("=&=")
def test_query(raw: str) -> None:
    check_query(raw)


@given(st.one_of(VALUES.map(json.dumps), JSON_PIECES).map(lambda text: text.encode("utf-8")))
@example(b'{"a": -0, "b": 1.10, "c": 500.00000000000000001}')
@example(b'"\\ud83d\\ude00"')
def test_json(data: bytes) -> None:
    check_json(data)


@given(st.sampled_from(sorted(ENCODERS)), st.binary(max_size=64), st.binary(max_size=4), st.integers(0, 4))
def test_encoding(coding: str, body: bytes, behind: bytes, cut: int) -> None:
    encoded = ENCODERS[coding](body)
    check_encoding(coding, encoded[: len(encoded) - cut] + behind)


@given(st.one_of(URLENCODED, st.binary(max_size=20)))
@example(b"a=1&%61=2")
def test_form(data: bytes) -> None:
    check_form(data)


@given(METHODS, PATHS, QUERIES, FIELDS, BODIES)
def test_request(method: str, path: str, query: str, fields: list[tuple[str, str]], body: bytes) -> None:
    check_request(method, f"{path}?{query}", fields, body)


@given(st.binary(max_size=64))
@example(b"GET /a%20b?c=d e")
def test_bytes(data: bytes) -> None:
    check_bytes(data)
