"""YAML without its surprises, and where everything in it stands."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import RulesInvalid
from lockgate.policy import documents
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
        pytest.param(
            "[yes, True, OFF, 0o7, 1e3, .5, +1, 1_000, .inf, =, 2030-01-31, 2030-01-31 12:00:00 +1, 1.10, Null]",
            [
                *("yes", "True", "OFF", "0o7", "1e3", ".5", "+1", "1_000", ".inf", "=", "2030-01-31"),
                *("2030-01-31 12:00:00 +1", "1.10", "Null"),
            ],
            id="other-types-of-yaml-are-text",
        ),
        pytest.param(
            "no: a\n012: b\nnull: c\n~: d\n1.0: e\n",
            {"no": "a", "012": "b", "null": "c", "~": "d", "1.0": "e"},
            id="keys-are-text",
        ),
        pytest.param("on: [yes, {n: 0x1F}]\n", {"on": ["yes", {"n": "0x1F"}]}, id="nested"),
        pytest.param('"a b": "x # y"\n', {"a b": "x # y"}, id="quoted"),
        pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="block"),
        pytest.param("a: >-\n  x\n  y\n", {"a": "x y"}, id="folded"),
        pytest.param("? a\n: b\n", {"a": "b"}, id="key-in-full"),
        pytest.param("{a, b: [], c: {}}", {"a": "", "b": [], "c": {}}, id="empty-values"),
        pytest.param("a: b\r\nc: |\r\n  d\r\n", {"a": "b", "c": "d\n"}, id="windows-line-ends"),
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


@pytest.mark.parametrize(
    ("limit", "few", "text", "expected"),
    [
        pytest.param("MAX_SIZE", 2**21, "#" * 3 * 2**20 + "\n", "1:1: larger than 2 MiB: split the file", id="size"),
        pytest.param(
            "MAX_PARTS", 5, "a: b\nc: [d, e]\n", "2:5: more than 5 keys and values: split the file", id="parts"
        ),
        pytest.param(
            "MAX_ENTRIES",
            2,
            "a: 1\nb: [1,\n 2, 3]\nc: 1\n",
            "3:5: more than 2 entries in one list or mapping: split the file",
            id="items",
        ),
        pytest.param(
            "MAX_ENTRIES",
            2,
            "a: 1\nb: 2\nc: 3\n",
            "3:4: more than 2 entries in one list or mapping: split the file",
            id="members",
        ),
        pytest.param("MAX_DEPTH", 3, "a:\n  - [{}]\n", "2:6: nested more than 3 deep", id="depth"),
        pytest.param(
            "MAX_TEXT", 5, "a: >\n  12345\n", "1:4: longer than 5 characters: no text here needs to be", id="text"
        ),
        pytest.param("MAX_KEY", 4, "a1234: b\n", "1:1: longer than 4 characters: no key needs to be", id="key"),
    ],
)
def test_limits(monkeypatch: pytest.MonkeyPatch, limit: str, few: int, text: str, expected: str) -> None:
    monkeypatch.setattr(documents, limit, few)
    with pytest.raises(RulesInvalid, match=rf"^f\.yaml:{re.escape(expected)}$"):
        read("f.yaml", text.encode())


def test_no_more_problems_are_told_than_help() -> None:
    with pytest.raises(RulesInvalid) as caught:
        read("f.yaml", b"a: b\n" + b"a: *b\n" * 10_000)
    told = caught.value.problems
    assert len(told) == documents.MAX_PROBLEMS + 1
    assert str(told[-1]) == "f.yaml:501:4: ... and more: mend these first"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param("unknown key a b: é", "unknown key a b: é", id="printable"),
        pytest.param("unknown key a\nb\x1b[2J\u202e", "unknown key a\\nb\\x1b[2J\\u202e", id="control-characters"),
        pytest.param("x" * 2000, "x" * 1000 + " ...", id="long"),
    ],
)
def test_a_message_is_one_short_line(message: str, expected: str) -> None:
    assert DOCUMENT.problem(("first",), message).message == expected


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
