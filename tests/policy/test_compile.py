"""From role files to the index; what is wrong with them is in test_load.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.policy.generation import Generation
from lockgate.policy.patterns import Resource
from lockgate.policy.rules import EVERY_METHOD, EVERY_VERB

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
        pytest.param("deny: any crm /x", {("crm", EVERY_METHOD)}, id="any-with-resource"),
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
