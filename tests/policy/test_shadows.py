"""Lines that a deny covers whole: found where that is certain, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.errors import Problem
from lockgate.model import HTTP_METHODS, Verdict
from lockgate.policy.generation import Generation
from lockgate.policy.index import PathIndex
from lockgate.policy.patterns import parse
from lockgate.policy.rules import Entry, Line, Rule
from lockgate.policy.shadows import MAX_EFFORT, Shadows

Problems = Callable[..., tuple[Problem, ...]]


def files(*rules: str, guardrails: str = "", extends: str = "", reader: str = "") -> dict[str, str]:
    found = {"roles/support.yaml": f"role: support\n{extends}rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)}
    if guardrails:
        found["guardrails.yaml"] = f"rules:\n  - {{{guardrails}}}\n"
    if reader:
        found["roles/reader.yaml"] = f"role: reader\nrules:\n  - {{{reader}}}\n"
    return found


LISTING = {
    "targets.yaml": "targets: {crm: {url: https://api.crm.example, methods: [PURGE]}}\n",
    "credentials.yaml": None,
}
ALLOW = "id: a, allow: GET crm /v1/customers/7"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(files(ALLOW, "id: d, deny: GET crm /v1/customers/7"), id="the-same"),
        pytest.param(files(ALLOW, "id: d, deny: GET crm /V1/Customers/7/"), id="in-another-spelling"),
        pytest.param(files(ALLOW, "id: d, deny: any crm"), id="everything"),
        pytest.param(files(ALLOW, "id: d, deny: GET crm"), id="every-path"),
        pytest.param(files(ALLOW, "id: d, deny: any crm /v1/**"), id="below"),
        pytest.param(files(ALLOW, "id: d, deny: GET crm /v1/customers/*"), id="star"),
        pytest.param(files("id: a, allow: GET crm /v1/r-*.csv", "id: d, deny: GET crm /v1/r*"), id="within-a-part"),
        pytest.param(files("id: a, allow: 'GET crm /v1/{id}/x'", "id: d, deny: GET crm /**/x"), id="capture"),
        pytest.param(files("id: a, allow: GET crm /v1/a/**", "id: d, deny: GET crm /v1/**"), id="two-stars"),
        pytest.param(files("id: a, allow: GET crm /v1", "id: d, deny: GET crm /v1/**"), id="the-folder-itself"),
        pytest.param(files("id: h, hold: GET crm /v1/a", "id: d, deny: GET crm /v1/*"), id="hold"),
        pytest.param(files("id: h, hold: GET crm", "id: d, deny: GET crm"), id="hold-of-everything"),
        pytest.param(
            files("id: a, allow: GET|PUT crm /x", "id: d, deny: GET crm", "id: e, deny: PUT crm /x"), id="two-denies"
        ),
        pytest.param(
            files(
                "id: a, allow: 'any crm /x'",
                *(f"id: d{method}, deny: {method} crm /*" for method in sorted(HTTP_METHODS)),
            ),
            id="any-method-by-a-deny-for-each",
        ),
        pytest.param(
            files(f"{ALLOW}, when: request.host == 'api.crm.example'", "id: d, deny: any crm"), id="conditional-allow"
        ),
        pytest.param(files(ALLOW, extends="extends: [reader]\n", reader="id: d, deny: GET crm"), id="inherited"),
        pytest.param(
            {**files("id: a, allow: PURGE crm /v1/a", "id: d, deny: any crm /v1/**"), **LISTING}, id="method-of-its-own"
        ),
        pytest.param(
            files("id: a, allow: ['GET wiki /x', 'GET crm /x']", "id: d, deny: GET crm /x"), id="one-line-of-two"
        ),
    ],
)
def test_shadowed(problems: Problems, changes: dict[str, str]) -> None:
    (problem,) = problems(changes)
    assert problem.file == "roles/support.yaml"
    assert problem.message.startswith("never counts: denied whole by ")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(files(ALLOW, "id: d, deny: POST crm"), id="another-verb"),
        pytest.param(files(ALLOW, "id: d, deny: GET wiki"), id="another-target"),
        pytest.param(
            {
                **files(
                    "id: a, allow: PURGE crm /v1/a",
                    "id: d, deny: GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|QUERY crm /v1/**",
                ),
                **LISTING,
            },
            id="ordinary-verbs",
        ),
        pytest.param(files(ALLOW, "id: d, deny: GET crm /v1/customers/8"), id="another-path"),
        pytest.param(files("id: a, allow: GET crm /v1", "id: d, deny: GET crm /v1/*/**"), id="not-the-folder"),
        pytest.param(files("id: a, allow: GET crm /v1/*", "id: d, deny: GET crm /v1/7"), id="part-of-it"),
        pytest.param(files("id: a, allow: GET crm /v1/**", "id: d, deny: GET crm /v1/*/**"), id="not-all-below"),
        pytest.param(files("id: a, allow: GET crm /v1/r*", "id: d, deny: GET crm /v1/r-*"), id="wider-part"),
        pytest.param(files("id: a, allow: GET|PUT crm /x", "id: d, deny: GET crm"), id="one-verb-of-two"),
        pytest.param(files("id: a, allow: GET crm|wiki /x", "id: d, deny: GET crm"), id="one-target-of-two"),
        pytest.param(
            files(ALLOW, "id: d, deny: any crm, when: request.host == 'api.crm.example'"), id="conditional-deny"
        ),
        pytest.param(
            files(ALLOW, "id: d, deny: any crm, unless: request.host == 'api.crm.example'"), id="deny-with-exception"
        ),
        pytest.param(files(ALLOW, "id: d, deny: any crm, expires: 2030-01-01"), id="deny-that-expires"),
        pytest.param(files(ALLOW, "id: d, hold: any crm"), id="hold-over-allow"),
        pytest.param(files("id: d, deny: GET crm /x", "id: e, deny: any crm"), id="deny-over-deny"),
        pytest.param(files(ALLOW, reader="id: d, deny: GET crm"), id="deny-of-another-role"),
        pytest.param(
            files("id: d, deny: GET crm", extends="extends: [reader]\n", reader="id: a, allow: GET crm /x"),
            id="parent-alone-may-count",
        ),
    ],
)
def test_not_shadowed(loaded: Callable[..., Generation], changes: dict[str, str]) -> None:
    assert loaded(changes).policy.rules


def test_what_a_guardrail_denies_is_noted_and_no_error(loaded: Callable[..., Generation]) -> None:
    """In an emergency it is put there, and must count at once."""
    generation = loaded(files(ALLOW, guardrails="id: stop, deny: any crm"))
    (note,) = generation.notes
    assert (note.file, note.line) == ("roles/support.yaml", 3)
    assert note.message.startswith("never counts: denied whole by guardrails/stop (guardrails.yaml:2)")


def test_a_guardrail_that_another_covers_is_an_error(problems: Problems) -> None:
    (problem,) = problems({"guardrails.yaml": "rules:\n  - {id: a, deny: any crm}\n  - {id: b, hold: GET crm /v1/x}\n"})
    assert problem.file == "guardrails.yaml"


def rule(verdict: Verdict, *lines: str) -> Rule:
    found = [text.split() for text in lines]
    return Rule(
        lines[0],
        "roles/support.yaml:1",
        verdict,
        tuple(Line(" ".join(words), (words[0],), (words[1],), parse(words[2])) for words in found),
    )


def test_looking_ends_where_its_effort_is_used_up() -> None:
    denies: dict[tuple[str, str, str], PathIndex] = {}
    for number in range(20):
        deny = rule(Verdict.DENY, f"GET crm /**/a*{number:02}*")
        denies.setdefault(("support", "crm", "GET"), PathIndex()).add(Entry(deny, deny.lines[0].pattern))
    allow = rule(Verdict.ALLOW, "GET crm /x/aa19z")
    shadows = Shadows(denies)
    assert [deny.name for deny in shadows.of(["support"], allow, allow.lines[0])] == ["GET crm /**/a*19*"]
    used = MAX_EFFORT - shadows.effort
    assert used > 20
    assert Shadows(denies, used).of(["support"], allow, allow.lines[0])
    for less in (used - 1, used // 2, 1, 0):
        assert not Shadows(denies, less).of(["support"], allow, allow.lines[0])


def test_looking_through_many_roles_takes_effort_too() -> None:
    allow = rule(Verdict.ALLOW, "GET crm /x")
    shadows = Shadows({})
    assert shadows.of([f"r{number}" for number in range(50)], allow, allow.lines[0]) == ()
    assert shadows.effort == MAX_EFFORT - 50
