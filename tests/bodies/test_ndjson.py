from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.json import MAX_DEPTH
from lockgate.bodies.ndjson import TYPES, Rewriter, is_ndjson
from lockgate.errors import BodyTooLarge, BodyUnreadable


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_is_ndjson(kind: str) -> None:
    assert is_ndjson(kind)
    assert is_ndjson(f"{kind.upper()}; charset=utf-8")
    assert not is_ndjson(f"{kind}; charset=utf-16")


@pytest.mark.parametrize("kind", [None, "", "application/json", "application/json-seq", "text/plain"])
def test_is_not_ndjson(kind: str | None) -> None:
    assert not is_ndjson(kind)


def rewritten(*parts: bytes, limit: int = 1000) -> bytes:
    """What is left of lines in which every document is put into a list."""
    rewriter = Rewriter(lambda document: [document], limit)
    return b"".join([*(piece for part in parts for piece in rewriter.feed(part)), *rewriter.end()])


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(b'{"a": 1}\n2\n', b'[{"a":1}]\n[2]\n', id="lines"),
        pytest.param(b"1\r\n2\r\n", b"[1]\n[2]\n", id="crlf"),
        pytest.param(b"1\n\n \n2\n", b"[1]\n\n\n[2]\n", id="blank"),
        pytest.param(b"1\n2", b"[1]\n[2]", id="no-end"),
        pytest.param('"\u2028\x85"\n'.encode(), b'["\\u2028\\u0085"]\n', id="no-line-end-for-any-reader"),
        pytest.param(b"", b"", id="nothing"),
    ],
)
def test_rewritten(stream: bytes, expected: bytes) -> None:
    assert rewritten(stream) == expected
    assert rewritten(*(bytes([byte]) for byte in stream)) == expected


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(DOCUMENTS, max_size=5), st.booleans(), st.data())
def test_however_it_is_cut(documents: list[Any], ascii_only: bool, data: st.DataObject) -> None:
    whole = b"".join(json.dumps(one, ensure_ascii=ascii_only).encode("utf-8", "replace") + b"\n" for one in documents)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    given = rewritten(*parts)
    assert [json.loads(line) for line in given.split(b"\n")[:-1]] == [[one] for one in documents]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"{", id="cut"),
        pytest.param(b"1 2", id="two"),
        pytest.param(b"[1],", id="tail"),
        pytest.param(b'{"a": 1, "a": 2}', id="twice"),
        pytest.param(b'"\xff"', id="not-utf-8"),
        pytest.param(b"\xef\xbb\xbf1", id="bom"),
        pytest.param(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), id="deep"),
        pytest.param(b"\x1e1", id="record-separator"),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b""])
def test_what_has_no_certain_meaning_is_not_rewritten(line: bytes, end: bytes) -> None:
    rewriter = Rewriter(lambda document: document)
    assert list(rewriter.feed(b"1\n")) == [b"1\n"]
    with pytest.raises(BodyUnreadable):
        list(rewriter.feed(line + end)) + list(rewriter.end())


def test_a_line_has_a_limit() -> None:
    assert rewritten(b"1234567890\n" * 3, limit=10) == b"[1234567890]\n" * 3
    with pytest.raises(BodyTooLarge):
        rewritten(b"12345678901", limit=10)
