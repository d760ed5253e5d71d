"""YAML without its surprises, and where everything in it stands."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import RulesInvalid
from lockgate.policy.documents import read


@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("# nothing\n", {}, id="comment-only"),
        pytest.param(
            "a: no\nb: 22:22\nc: 012\nd: null\ne: ~\nf: 1.0\ng: 2030-01-01\nh:\n",
            {"a": "no", "b": "22:22", "c": "012", "d": "null", "e": "~", "f": "1.0", "g": "2030-01-01", "h": ""},
            id="scalars-are-text",
        ),
        pytest.param("on: [yes, {n: 0x1F}]\n", {"on": ["yes", {"n": "0x1F"}]}, id="nested"),
        pytest.param('"a b": "x # y"\n', {"a b": "x # y"}, id="quoted"),
        pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="block"),
        pytest.param("a: b   # a comment\n", {"a": "b"}, id="comment"),
        pytest.param("$..ssn: redact\n", {"$..ssn": "redact"}, id="path"),
        pytest.param("- a\n- b\n", ["a", "b"], id="list"),
        pytest.param("\ufeffa: b\n", {"a": "b"}, id="byte-order-mark"),
    ],
)
def test_data(text: str, data: object) -> None:
    assert read("f.yaml", text.encode()).data == data


DOCUMENT = read(
    "f.yaml",
    b"""\
first: plain text
list:
  - {id: a, when: "x == 'y'"}
  - when: |

      one
        two
    then: 'it''s'
""",
)


@pytest.mark.parametrize(
    ("path", "key", "offset", "place"),
    [
        pytest.param((), False, None, (1, 1), id="whole"),
        pytest.param(("first",), False, None, (1, 8), id="value"),
        pytest.param(("first",), True, None, (1, 1), id="key"),
        pytest.param(("first",), False, 6, (1, 14), id="inside-plain"),
        pytest.param(("list", 0), False, None, (3, 5), id="element"),
        pytest.param(("list", 0, "when"), False, 5, (3, 25), id="inside-quoted"),
        pytest.param(("list", 1, "when"), False, 1, (6, 7), id="inside-block"),
        pytest.param(("list", 1, "when"), False, 7, (7, 9), id="inside-block-indented"),
        pytest.param(("list", 1, "then"), False, 3, (8, 11), id="inside-escaped"),
        pytest.param(("list", 1, "nothing", "more"), False, None, (4, 5), id="not-there"),
    ],
)
def test_places(path: tuple[str | int, ...], key: bool, offset: int | None, place: tuple[int, int]) -> None:
    problem = DOCUMENT.problem(path, "wrong", key=key, offset=offset)
    assert (problem.line, problem.column) == place


@pytest.mark.parametrize(
    "text", ["a: [1", "a: 'b", "{", "a: b: c", "? [a]\n: b", "a: *b", "\t", "a: !!int 5", "- a\nb: c"]
)
def test_what_cannot_be_read_is_one_clear_problem(text: str) -> None:
    with pytest.raises(RulesInvalid) as caught:
        read("f.yaml", text.encode())
    (problem,) = caught.value.problems
    assert problem.file == "f.yaml"
    assert problem.line >= 1
    assert problem.column >= 1


@given(st.text(alphabet="ab: -#\n[]{}'\"|>*&!%@\t,?", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = read("f.yaml", text.encode())
    except RulesInvalid as error:
        lines = text.split("\n")
        for problem in error.problems:
            assert 1 <= problem.line <= len(lines) + 1
    else:
        for path in document.spots:
            assert document.problem(path, "x", offset=0).line >= 1


@given(st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        found: object = read("f.yaml", content).spots
    except RulesInvalid as error:
        found = error.problems
    assert found or yaml.compose(content, yaml.SafeLoader) is None
