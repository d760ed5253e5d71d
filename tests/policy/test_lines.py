"""Verdict lines; what the wrong ones are told is in test_load.py."""

from __future__ import annotations

import pytest

from lockgate.errors import Problem
from lockgate.model import HTTP_METHODS, Verdict
from lockgate.policy.documents import read
from lockgate.policy.lines import LineReader
from lockgate.policy.rules import EVERY_METHOD, EVERY_VERB, Line

TARGETS = {
    "crm": frozenset[str](),
    "wiki": frozenset[str](),
    "dav": frozenset({"PROPFIND", "MKCOL"}),
    "cache": frozenset({"PURGE"}),
    "wrong": None,
}
ALL = "|".join(sorted(HTTP_METHODS))


def line(text: str, verdict: Verdict = Verdict.DENY, quote: str = "") -> tuple[Line | None, list[Problem]]:
    problems: list[Problem] = []
    document = read("r.yaml", f"- {quote}{text}{quote}\n".encode())
    return LineReader(document, (0,), TARGETS, problems).read(text, verdict), problems


@pytest.mark.parametrize(
    ("text", "verbs", "targets", "pattern"),
    [
        pytest.param("GET crm /x", ("GET",), ("crm",), "/x", id="one-of-each"),
        pytest.param("GET|HEAD crm|wiki /x", ("GET", "HEAD"), ("crm", "wiki"), "/x", id="several"),
        pytest.param("GET|GET crm|crm /x", ("GET",), ("crm",), "/x", id="named-twice"),
        pytest.param("any crm /x", (EVERY_METHOD, "ws"), ("crm",), "/x", id="any"),
        pytest.param("ws|send crm /x", ("ws", "send"), ("crm",), "/x", id="websocket"),
        pytest.param("any crm", (EVERY_VERB,), ("crm",), None, id="everything"),
        pytest.param(f"{ALL} crm /x", (EVERY_METHOD,), ("crm",), "/x", id="every-method-named"),
        pytest.param(f"{ALL} crm", (EVERY_VERB,), ("crm",), None, id="every-method-of-everything"),
        pytest.param("GET   crm   /x", ("GET",), ("crm",), "/x", id="blanks"),
    ],
)
def test_read(text: str, verbs: tuple[str, ...], targets: tuple[str, ...], pattern: str | None) -> None:
    found, problems = line(text)
    assert problems == []
    assert found is not None
    assert (found.text, found.verbs, found.targets) == (text, verbs, targets)
    assert (found.pattern.text if found.pattern else None) == pattern


@pytest.mark.parametrize(
    ("text", "verdict", "verbs"),
    [
        pytest.param("PROPFIND dav /x", Verdict.ALLOW, ("PROPFIND",), id="listed"),
        pytest.param("GET|PURGE cache /x", Verdict.ALLOW, ("GET", "PURGE"), id="listed-and-ordinary"),
        pytest.param("PURGE wrong /x", Verdict.ALLOW, ("PURGE",), id="not-known-what-is-listed"),
        pytest.param("any dav /x", Verdict.ALLOW, (EVERY_METHOD,), id="any-of-an-allow-is-the-ordinary-ones"),
        pytest.param(
            "any dav|cache /x", Verdict.DENY, (EVERY_METHOD, "ws", "MKCOL", "PROPFIND", "PURGE"), id="any-of-a-deny"
        ),
        pytest.param("any cache|wrong /x", Verdict.HOLD, (EVERY_METHOD, "ws", "PURGE"), id="any-of-a-hold"),
        pytest.param("any dav", Verdict.DENY, (EVERY_VERB,), id="everything"),
        pytest.param(f"PURGE|{ALL} cache /x", Verdict.ALLOW, (EVERY_METHOD, "PURGE"), id="every-method-named"),
    ],
)
def test_methods_that_a_target_lists(text: str, verdict: Verdict, verbs: tuple[str, ...]) -> None:
    found, problems = line(text, verdict)
    assert problems == []
    assert found is not None
    assert found.verbs == verbs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "PURGE crm /x",
            "unknown verb PURGE: known here: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY, any, receive,"
            " receive-binary, send, send-binary, ws (a target lists methods of its own: methods: [PURGE])",
            id="not-listed",
        ),
        pytest.param(
            "PROPFIN dav /x",
            "unknown verb PROPFIN: did you mean PROPFIND? (a target lists methods of its own: methods: [PROPFIN])",
            id="misspelt",
        ),
        pytest.param(
            "PURGE cache|dav|crm /x",
            "PURGE is not among the methods of dav, crm: add it there, or leave it out",
            id="not-listed-by-all",
        ),
        pytest.param("MOVE dav /x", "MOVE is never let through: leave it out", id="a-second-resource"),
        pytest.param("PURGE crn /x", "unknown target crn: did you mean crm?", id="unknown-target"),
    ],
)
def test_methods_that_a_target_does_not_list(text: str, expected: str) -> None:
    found, problems = line(text, Verdict.ALLOW)
    assert found is None
    assert [problem.message for problem in problems] == [expected]


@pytest.mark.parametrize(
    ("text", "verdict", "expected"),
    [
        pytest.param("GET", Verdict.DENY, [(4, "a rule is VERB TARGET RESOURCE")], id="one-word"),
        pytest.param("GET crm /x /y", Verdict.DENY, [(4, "a rule is VERB TARGET RESOURCE")], id="four-words"),
        pytest.param("GET crm", Verdict.ALLOW, [(4, "an allow names a resource: write /**")], id="allow-of-everything"),
        pytest.param("TRACE crm /x", Verdict.DENY, [(4, "TRACE is never let through: leave it out")], id="never"),
        pytest.param(
            "GET|head|TRACE|CONNECT|x crm /x",
            Verdict.DENY,
            [
                (8, "HTTP methods are in capitals: write HEAD"),
                (13, "TRACE is never let through"),
                (19, "CONNECT is never let through"),
                (27, "unknown verb x: "),
            ],
            id="verbs",
        ),
        pytest.param("GET wiki|crm|crn /x", Verdict.DENY, [(17, "unknown target crn: did you mean crm?")], id="target"),
        pytest.param("GET crm x", Verdict.ALLOW, [(12, "a resource starts with /: write /x")], id="resource"),
    ],
)
def test_wrong_lines(text: str, verdict: Verdict, expected: list[tuple[int, str]]) -> None:
    """Each problem stands at its word, in quotes as without."""
    for quote in ("'", '"'):
        found, problems = line(text, verdict, quote)
        assert found is None
        told = zip(problems, expected, strict=True)
        assert [(problem.column, problem.message[: len(said)]) for problem, (_, said) in told] == expected


def test_every_word_has_its_problem() -> None:
    found, problems = line("get|FETCH crn x")
    assert found is None
    assert [problem.column for problem in problems] == [3, 7, 13, 17]
