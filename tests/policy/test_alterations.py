"""What is found wrong with masks, shows and redactions; their syntax is in test_load.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.errors import Problem
from lockgate.model import Show
from lockgate.policy.generation import Generation

Problems = Callable[..., tuple[Problem, ...]]


def support(rest: str) -> dict[str, str]:
    return {"roles/support.yaml": f"role: support\nrules:\n  - id: r\n    allow: POST crm /x\n    {rest}\n"}


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        pytest.param("mask: {$.a: drop, $.a.b: redact}", "never applies: $.a takes it away already", id="below-a-drop"),
        pytest.param("mask: {$..a: redact, '$.x.a[*].b': drop}", "never applies: $..a takes it", id="at-any-depth"),
        pytest.param(
            "mask: {$.a: redact, $.b: {keep_last: 4}}\n    show: [$.a]", "never applies: show", id="not-shown"
        ),
        pytest.param("mask: {$.a: redact, $..a: drop}", "never applies: $..a takes it", id="within-a-wider-one"),
        pytest.param("mask: {$.a: redact, $.a.b: drop}", "never applies: $.a takes it", id="below-what-is-replaced"),
        pytest.param("mask: {$.a: hash, $.a.b: {keep_last: 2}}", "never applies: $.a takes it", id="below-a-hash"),
        pytest.param("mask: {$: drop}", "nothing is left of a document", id="whole-document"),
        pytest.param("show: [a.b]", "a path starts with $", id="show-without-dollar"),
        pytest.param("redact_request: $.b[?(@.c)]", "a path selects by name", id="redacted-filter"),
        pytest.param("redact_request: body.card", "a field of the request is $.path", id="redacted-fact"),
        pytest.param("redact_request: headers.X-Key", "headers.NAME in lower case", id="redacted-header-case"),
    ],
)
def test_wrong(problems: Problems, rest: str, message: str) -> None:
    (problem,) = problems(support(rest))
    assert message in problem.message
    assert problem.line >= 5


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param("mask: {$.a: {keep_last: 4}, $.a.b: redact}", id="above-is-weaker"),
        pytest.param("mask: {$.a: redact, $.b.a: drop}", id="elsewhere"),
        pytest.param("mask: {$..ssn: redact, $.admin.ssn: drop}", id="stronger-within-a-wider-one"),
        pytest.param("mask: {$.*: hash, $.password: drop}", id="stronger-among-all"),
        pytest.param("mask: {$.a: hash, $.a.b: drop}", id="stronger-below-a-hash"),
        pytest.param("mask: {$.a.b: redact}\n    show: [$.a]", id="below-what-is-shown"),
        pytest.param("mask: {$.a: redact}\n    show: [$.a.b]", id="above-what-is-shown"),
        pytest.param("mask: {$..ssn: redact}\n    show: [$.customer]", id="may-be-below-what-is-shown"),
        pytest.param("redact_request: [$.card.number, query.token, headers.x-key]", id="redactions"),
    ],
)
def test_right(loaded: Callable[..., Generation], rest: str) -> None:
    assert loaded(support(rest)).policy.rules["support"]


def test_what_binds_at_a_target(loaded: Callable[..., Generation]) -> None:
    found = loaded(
        {
            "targets.yaml": (
                "targets:\n  crm: {url: https://a.example, show: [$.x], mask: {$.x.y: hash}, redact_request: $.pin}\n"
            ),
            "credentials.yaml": None,
            "guardrails.yaml": "rules:\n  - {id: g, show: [$.x, $.z]}\n",
        }
    ).policy.alterations["crm"]
    assert found.shows == (Show(("$.x", "$.z"), "guardrails/g"), Show(("$.x",), "targets/crm"))
    assert [(mask.path, mask.kind, mask.rule) for mask in found.masks] == [("$.x.y", "hash", "targets/crm")]
    assert found.redactions == ("$.pin",)
