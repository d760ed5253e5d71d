"""What a file may hold of rules: each limit to the last one that fits, and told once."""

from __future__ import annotations

import pytest

from lockgate.errors import Problem
from lockgate.policy.budgets import MAX_ODD_PATHS, MAX_PAIRS, MAX_WORDS, REGEX_WORDS, Budgets
from lockgate.policy.documents import Document, read
from lockgate.policy.rules import Line

PATH = ("rules", 0)


@pytest.fixture
def document() -> Document:
    return read("roles/a.yaml", b"role: a\nrules:\n  - id: x\n    allow: GET crm /x\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("a", 1, id="word"),
        pytest.param('body.amount <= 512 && body.currency == "EUR"', 16, id="comparisons"),
        pytest.param("((((", 4, id="signs"),
        pytest.param('request.path.matches("a")', 10 + REGEX_WORDS, id="matches"),
    ],
)
def test_conditions_are_counted_in_words_and_signs(document: Document, text: str, words: int) -> None:
    budgets = Budgets([])
    budgets.allow_conditions(document, PATH, text, None)
    assert budgets.words == {document.file: words}


def test_conditions_past_the_limit_of_their_file_are_noted_once(document: Document) -> None:
    problems: list[Problem] = []
    budgets = Budgets(problems)
    text = "a " * (MAX_WORDS // 2)
    assert budgets.allow_conditions(document, PATH, text, text)
    assert not problems
    assert not budgets.allow_conditions(document, PATH, "a", None)
    assert not budgets.allow_conditions(document, PATH, "a", None)
    assert [str(problem) for problem in problems] == [
        "roles/a.yaml:3:5: the conditions of this file have more than 200000 words and signs: split the file"
    ]
    other = read("roles/b.yaml", b"role: b\nrules: []\n")
    assert budgets.allow_conditions(other, PATH, text, text)


def test_lines_past_the_limit_of_their_file_are_noted_once(document: Document) -> None:
    problems: list[Problem] = []
    budgets = Budgets(problems)
    line = Line("", ("GET", "PUT"), tuple(map(str, range(MAX_PAIRS // 4))), None)
    where = (*PATH, "allow")
    assert budgets.allow_lines(document, where, [line, line])
    assert not problems
    assert not budgets.allow_lines(document, where, [Line("", ("GET",), ("crm",), None)])
    assert not budgets.allow_lines(document, where, [line])
    assert [str(problem) for problem in problems] == [
        "roles/a.yaml:4:5: the lines of this file name more than 200000 pairs of a verb and a target: split the file"
    ]


def test_masks_past_the_limit_of_their_file_are_noted_once(document: Document) -> None:
    problems: list[Problem] = []
    budgets = Budgets(problems)
    paths = [f"$..a{number}" for number in range(49)]  # 100 steps, each with its $
    steps = 2 * len(paths)
    assert all(budgets.allow_masks(document, PATH, paths, (), ()) for _ in range(31))
    assert budgets.allow_masks(document, PATH, ["$"], paths, ())
    assert budgets.allow_masks(document, PATH, (), paths, ())
    assert budgets.meetings == {document.file: 31 * steps**2 + 1 + steps}
    assert not budgets.allow_masks(document, PATH, paths, (), ())
    assert not budgets.allow_masks(document, PATH, paths, (), ())
    assert [str(problem) for problem in problems] == [
        (
            "roles/a.yaml:3:5: the rules of this file have too many masks each:"
            " say them shorter, as with $..name, or split the file"
        )
    ]


def test_paths_that_need_a_parser_are_noted_once(document: Document) -> None:
    problems: list[Problem] = []
    budgets = Budgets(problems)
    plain, odd = ["$.a", "$..b[0].*", "$['c d']", "query.a"], [f"$['a{number}','b']" for number in range(100)]
    assert all(budgets.allow_masks(document, PATH, (), plain, odd) for _ in range(MAX_ODD_PATHS // 100))
    assert budgets.allow_masks(document, PATH, plain, plain, plain)
    assert not budgets.allow_masks(document, PATH, (), ["$[1:]"], ())
    assert not budgets.allow_masks(document, PATH, (), ["$[1:]"], ())
    assert [str(problem) for problem in problems] == [
        (
            "roles/a.yaml:3:5: more than 300 paths of this file are more than plain names, positions and *:"
            " say them with $..name or ['a name'], or split the file"
        )
    ]
