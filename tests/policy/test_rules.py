"""The index: whose rules are looked at, and whether deciding reads a body."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.policy.generation import Generation

RULES = {
    "roles/support.yaml": (
        "role: support\n"
        "rules:\n"
        "  - {id: a, allow: GET crm /x}\n"
        "  - {id: b, allow: POST crm /x, when: body.amount < 5}\n"
        "  - {id: c, deny: any wiki, when: request.host == 'a'}\n"
    ),
    "roles/other.yaml": "role: other\nextends: [support]\nrules:\n  - {id: d, deny: any crm, when: has(body.y)}\n",
}


@pytest.mark.parametrize(
    ("roles", "target", "verb", "expected"),
    [
        pytest.param(("support",), "crm", "GET", False, id="no-condition"),
        pytest.param(("support",), "crm", "POST", True, id="condition-on-the-body"),
        pytest.param(("support",), "wiki", "POST", False, id="condition-on-something-else"),
        pytest.param(("support",), "crm", "PUT", False, id="no-rule"),
        pytest.param(("other",), "crm", "GET", True, id="everything-at-a-target"),
        pytest.param(("other",), "crm", "POST", True, id="inherited"),
        pytest.param(("unknown",), "crm", "POST", False, id="unknown-role"),
        pytest.param((), "crm", "POST", False, id="no-role"),
    ],
)
def test_reads_body(
    loaded: Callable[..., Generation], roles: tuple[str, ...], target: str, verb: str, expected: bool
) -> None:
    assert loaded(RULES).policy.reads_body(roles, target, verb) is expected


def test_guardrails_read_bodies_of_everybody(loaded: Callable[..., Generation]) -> None:
    policy = loaded({"guardrails.yaml": "rules:\n  - {id: g, deny: any crm /**, when: body.a == 1}\n"}).policy
    assert policy.reads_body(("support",), "crm", "GET")


def test_knows(loaded: Callable[..., Generation]) -> None:
    policy = loaded(RULES).policy
    assert policy.knows("support")
    assert not policy.knows("guardrails")
    assert policy.known(["other", "nobody", "other"]) == ("other",)


def test_entries_once_each(loaded: Callable[..., Generation]) -> None:
    policy = loaded(RULES).policy
    found = [entry.rule.name for entry in policy.entries(["support", "other"], "crm", "GET")]
    assert sorted(found) == ["other/d", "support/a"]
