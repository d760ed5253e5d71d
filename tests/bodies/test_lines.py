from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.lines import Lines
from lockgate.errors import BodyTooLarge


def lines(*parts: bytes, limit: int = 100) -> list[bytes]:
    taken = Lines(limit)
    return [line for part in parts for line in taken.feed(part)] + list(taken.end())


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([b"a\nb\n"], [b"a", b"b"], id="lf"),
        pytest.param([b"a\r\nb\r\n"], [b"a", b"b"], id="crlf"),
        pytest.param([b"a\rb\r"], [b"a", b"b"], id="cr"),
        pytest.param([b"a\r", b"\nb\r", b"\n"], [b"a", b"b"], id="crlf-in-two"),
        pytest.param([b"a\r", b"", b"\nb"], [b"a", b"b"], id="crlf-around-nothing"),
        pytest.param([b"a\n", b"\nb"], [b"a", b"", b"b"], id="blank"),
        pytest.param([b"\r\r\n\n"], [b"", b"", b""], id="three-blank"),
        pytest.param([b"a\x0bb\x0c\x85\xe2\x80\xa8c\n"], [b"a\x0bb\x0c\x85\xe2\x80\xa8c"], id="no-other-end"),
        pytest.param([b"a", b"b"], [b"ab"], id="no-end"),
        pytest.param([b"\n"], [b""], id="no-line-behind"),
    ],
)
def test_lines(parts: list[bytes], expected: list[bytes]) -> None:
    assert lines(*parts) == expected


def test_a_line_is_out_as_soon_as_its_end_is() -> None:
    taken = Lines(100)
    assert list(taken.feed(b"a\r")) == [b"a"]
    assert list(taken.feed(b"\n")) == []
    assert list(taken.feed(b"\n")) == [b""]


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"bc"]), max_size=12), st.data())
def test_however_it_is_cut(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert lines(*parts) == lines(whole) == whole.splitlines()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_has_a_limit(end: bytes) -> None:
    assert lines(b"x" * 10 + end, limit=10) == [b"x" * 10]
    taken = Lines(10)
    given = taken.feed(b"first\n" + b"x" * 11 + end)
    assert next(given) == b"first"
    with pytest.raises(BodyTooLarge):
        next(given)


def test_the_limit_is_that_of_a_line_not_of_a_part() -> None:
    taken = Lines(10)
    for _ in range(10):
        assert list(taken.feed(b"x")) == []
    with pytest.raises(BodyTooLarge):
        list(taken.feed(b"x"))
