"""From role files to the index; what is wrong with them is in test_load.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.errors import Problem
from lockgate.policy.generation import Generation
from lockgate.policy.patterns import Resource
from lockgate.policy.rules import EVERY_METHOD, EVERY_VERB

ROLE = "roles/support.yaml"
Loaded = Callable[..., Generation]


def keys(generation: Generation, rule: str) -> set[tuple[str, str, str]]:
    """Where a rule is filed: the role of its file, target and verb."""
    paths = ["/x", "/y", "/a/7", "/b/7/c", "/v1/customers/7"]
    return {
        key
        for key, index in generation.policy.index.items()
        if any(entry.rule.name == rule for path in paths for entry in index.find(Resource(path)))
    }


def support(rule: str) -> dict[str, str]:
    return {"roles/support.yaml": f"role: support\nrules:\n  - {{id: r, {rule}}}\n"}


@pytest.mark.parametrize(
    ("rule", "filed"),
    [
        pytest.param("allow: GET crm /x", {("crm", "GET")}, id="one"),
        pytest.param("allow: GET|HEAD crm /x", {("crm", "GET"), ("crm", "HEAD")}, id="verbs"),
        pytest.param("allow: GET crm|wiki /x", {("crm", "GET"), ("wiki", "GET")}, id="targets"),
        pytest.param("allow: any crm /x", {("crm", EVERY_METHOD)}, id="any"),
        pytest.param("deny: any crm /x", {("crm", EVERY_METHOD), ("crm", "ws")}, id="any-with-resource"),
        pytest.param("deny: any crm", {("crm", EVERY_VERB)}, id="everything"),
        pytest.param("hold: GET crm", {("crm", "GET")}, id="one-verb-everywhere"),
        pytest.param('allow: ["GET crm /x", "POST wiki /y"]', {("crm", "GET"), ("wiki", "POST")}, id="lines"),
    ],
)
def test_where_rules_are_filed(loaded: Loaded, rule: str, filed: set[tuple[str, str]]) -> None:
    assert keys(loaded(support(rule)), "support/r") == {("support", *key) for key in filed}


def test_inherited_rules_bind_every_heir(loaded: Loaded) -> None:
    generation = loaded(
        {
            "roles/a.yaml": "role: a\nextends: [support, b]\nrules: []\n",
            "roles/b.yaml": "role: b\nextends: [support]\nrules: []\n",
        }
    )
    for role in ("support", "a", "b"):
        found, _ = generation.policy.matching([role], "crm", "GET", "/v1/customers/7")
        assert [(rule.name, captures) for rule, captures in found] == [("support/read", {"id": "7"})]
    assert generation.policy.lineages == {"support": ("support",), "a": ("a", "support", "b"), "b": ("b", "support")}


def test_conditions_may_use_what_every_line_captures(loaded: Loaded) -> None:
    rule = 'allow: ["GET crm /a/{id}", "GET crm /b/{id}/c"], when: path.id == \'7\''
    assert keys(loaded(support(rule)), "support/r") == {("support", "crm", "GET")}


def test_where_a_rule_stands(loaded: Loaded) -> None:
    (rule,) = loaded().policy.rules["support"]
    assert (rule.name, rule.source) == ("support/read", "roles/support.yaml:3")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param(
            "allow: GET|HEAD crm /x\n    when: request.method == 'POST'",
            '5:29: request.method is never "POST" here, where it is GET or HEAD',
            id="another-method",
        ),
        pytest.param(
            "allow: [GET crm /x, PUT crm /y]\n    when: \"body.a == 1 && 'post' == request.method\"",
            '5:27: request.method is never "post" here, where it is GET or PUT',
            id="turned-round",
        ),
        pytest.param(
            "allow: any crm /x\n    unless: request.method in ['get', 'put']",
            '5:32: request.method is never "get" here, where it is DELETE or GET or HEAD or OPTIONS or PATCH or POST or'
            " PUT or QUERY",
            id="none-of-a-list",
        ),
        pytest.param(
            "deny: GET crm|wiki\n    when: request.host == 'api.crm.exmple'",
            '5:27: request.host is never "api.crm.exmple" here, where it is api.crm.example or wiki.internal',
            id="another-host",
        ),
        pytest.param(
            "allow: GET crm /x\n    when: request['host'] == 'API.crm.example'",
            "5:18: name the member: request.NAME",
            id="by-index",
        ),
    ],
)
def test_what_a_fact_cannot_be(problems: Callable[..., tuple[Problem, ...]], rule: str, message: str) -> None:
    (problem,) = problems({ROLE: f"role: support\nrules:\n  - id: r\n    {rule}\n"})
    assert str(problem) == f"{ROLE}:{message}"


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("allow: GET|POST crm /x\n    when: request.method == 'POST'", id="one-of-the-methods"),
        pytest.param("allow: any crm /x\n    when: request.method == 'QUERY'", id="any-method"),
        pytest.param("allow: GET crm /x\n    when: request.method in ['GET', 'POST']", id="one-of-a-list"),
        pytest.param("allow: GET crm /x\n    when: request.method != 'POST'", id="another-than-it-cannot-be"),
        pytest.param("allow: GET crm|wiki /x\n    when: request.host == 'wiki.internal'", id="host-of-one-target"),
        pytest.param("hold: any crm\n    when: request.method == 'REPORT'", id="every-verb-there-is"),
        pytest.param("allow: GET crm /x\n    when: request.host == body.host", id="with-what-is-sent"),
        pytest.param(
            "allow: GET crm /x\n    when: request.host in ['x.example', body.host]", id="with-some-that-is-sent"
        ),
    ],
)
def test_what_a_fact_may_be(loaded: Callable[..., Generation], rule: str) -> None:
    (found,) = loaded({ROLE: f"role: support\nrules:\n  - id: r\n    {rule}\n"}).policy.rules["support"]
    assert found.when is not None


def test_one_condition_is_checked_for_each_rule_that_has_it(problems: Callable[..., tuple[Problem, ...]]) -> None:
    rules = "".join(
        f"  - id: {method}\n    allow: {method} crm /x\n    when: request.method == 'PUT'\n"
        for method in ("PUT", "GET")
    )
    (problem,) = problems({ROLE: f"role: support\nrules:\n{rules}"})
    assert str(problem) == f'{ROLE}:8:29: request.method is never "PUT" here, where it is GET'


def test_nothing_is_said_of_facts_where_the_lines_or_targets_are_wrong(
    problems: Callable[..., tuple[Problem, ...]],
) -> None:
    rule = "  - id: r\n    allow: [GET crm /x, get crm /y]\n    when: request.method == 'PUT'\n"
    (problem,) = problems({ROLE: f"role: support\nrules:\n{rule}"})
    assert "write GET" in problem.message
    rule = "  - id: r\n    allow: GET wiki /x\n    when: request.host == 'a.example'\n"
    targets = "targets: {crm: {url: https://api.crm.example}, wiki: {url: x}}\n"
    (problem,) = problems({ROLE: f"role: support\nrules:\n{rule}", "targets.yaml": targets})
    assert problem.file == "targets.yaml"


def test_one_condition_is_checked_for_the_captures_of_each_rule_that_has_it(
    problems: Callable[..., tuple[Problem, ...]],
) -> None:
    rules = "".join(
        f"  - id: r{name}\n    allow: GET crm /{{{name}}}\n    when: path.id == '7'\n" for name in ("id", "name")
    )
    (problem,) = problems({ROLE: f"role: support\nrules:\n{rules}"})
    assert str(problem) == f"{ROLE}:8:15: the resource captures no id: known here: name"


def test_one_condition_is_checked_for_the_verdict_of_each_rule_that_has_it(
    problems: Callable[..., tuple[Problem, ...]],
) -> None:
    loop = "size(body.l) <= 9 && body.l.all(x, x == 1)"
    rules = "".join(
        f"  - id: {verdict}\n    {verdict}: GET crm /{verdict}\n    when: {loop}\n" for verdict in ("allow", "deny")
    )
    (problem,) = problems({ROLE: f"role: support\nrules:\n{rules}"})
    assert (problem.line, problem.message.partition(",")[0]) == (8, "all goes through body.l")
