"""Verdict lines; what the wrong ones are told is in test_load.py."""

from __future__ import annotations

import pytest

from lockgate.errors import Problem
from lockgate.model import Verdict
from lockgate.policy.documents import read
from lockgate.policy.lines import LineReader
from lockgate.policy.rules import EVERY_METHOD, EVERY_VERB, Line


def line(text: str, verdict: Verdict = Verdict.DENY) -> tuple[Line | None, list[Problem]]:
    problems: list[Problem] = []
    document = read("r.yaml", f"- {text}\n".encode())
    return LineReader(document, (0,), {"crm", "wiki"}, problems).read(text, verdict), problems


@pytest.mark.parametrize(
    ("text", "verbs", "targets", "pattern"),
    [
        pytest.param("GET crm /x", ("GET",), ("crm",), "/x", id="one-of-each"),
        pytest.param("GET|HEAD crm|wiki /x", ("GET", "HEAD"), ("crm", "wiki"), "/x", id="several"),
        pytest.param("GET|GET crm|crm /x", ("GET",), ("crm",), "/x", id="named-twice"),
        pytest.param("any crm /x", (EVERY_METHOD,), ("crm",), "/x", id="any"),
        pytest.param("any crm", (EVERY_VERB,), ("crm",), None, id="everything"),
        pytest.param("GET   crm   /x", ("GET",), ("crm",), "/x", id="blanks"),
    ],
)
def test_read(text: str, verbs: tuple[str, ...], targets: tuple[str, ...], pattern: str | None) -> None:
    found, problems = line(text)
    assert problems == []
    assert found is not None
    assert (found.text, found.verbs, found.targets) == (text, verbs, targets)
    assert (found.pattern.text if found.pattern else None) == pattern


def test_every_word_has_its_problem() -> None:
    found, problems = line("get|FETCH crn x")
    assert found is None
    assert [problem.column for problem in problems] == [3, 7, 13, 17]
