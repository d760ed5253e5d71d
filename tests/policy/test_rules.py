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
        "  - {id: e, allow: POST crm /y}\n"
        "  - {id: c, deny: any wiki, when: request.host == 'wiki.internal'}\n"
    ),
    "roles/other.yaml": "role: other\nextends: [support]\nrules:\n  - {id: d, deny: any crm, when: has(body.y)}\n",
}


@pytest.mark.parametrize(
    ("roles", "target", "verb", "path", "expected"),
    [
        pytest.param(("support",), "crm", "GET", "/x", False, id="no-condition"),
        pytest.param(("support",), "crm", "POST", "/x", True, id="condition-on-the-body"),
        pytest.param(("support",), "wiki", "POST", "/x", False, id="condition-on-something-else"),
        pytest.param(("support",), "crm", "PUT", "/x", False, id="no-rule"),
        pytest.param(("support",), "crm", "POST", "/y", False, id="condition-on-another-path"),
        pytest.param(("other",), "crm", "GET", "/x", True, id="everything-at-a-target"),
        pytest.param(("other",), "crm", "POST", "/x", True, id="inherited"),
        pytest.param(("unknown",), "crm", "POST", "/x", False, id="unknown-role"),
        pytest.param((), "crm", "POST", "/x", False, id="no-role"),
    ],
)
def test_reads_body(
    loaded: Callable[..., Generation], roles: tuple[str, ...], target: str, verb: str, path: str, expected: bool
) -> None:
    assert loaded(RULES).policy.reads_body(roles, target, verb, path) is expected


@pytest.mark.parametrize(
    ("rule", "restricted"),
    [
        pytest.param("allow: POST crm /x", False, id="no-condition"),
        pytest.param("allow: POST crm /x, when: 'request.query.a == \"b\"'", False, id="another-condition"),
        pytest.param("allow: POST crm|wiki /x, when: body.a == 1", True, id="allow"),
        pytest.param("deny: any crm, unless: body.a == 1", True, id="deny-of-everything"),
        pytest.param("allow: send crm /x, when: body.a == 1", False, id="messages-of-websockets"),
    ],
)
def test_where_bodies_are_read_not_every_type_is_taken(
    loaded: Callable[..., Generation], rule: str, restricted: bool
) -> None:
    policy = loaded({"roles/support.yaml": f"role: support\nrules:\n  - {{id: a, {rule}}}\n"}).policy
    assert policy.restricts_bodies("crm") is restricted
    assert policy.restricts_bodies("wiki") is ("wiki" in rule)


def test_guardrails_read_bodies_of_everybody(loaded: Callable[..., Generation]) -> None:
    policy = loaded({"guardrails.yaml": "rules:\n  - {id: g, deny: any crm /**, when: body.a == 1}\n"}).policy
    assert policy.reads_body(("support",), "crm", "GET", "/x")


def test_knows(loaded: Callable[..., Generation]) -> None:
    policy = loaded(RULES).policy
    assert policy.knows("support") and policy.knows_any(["unknown", "support"])
    assert not policy.knows("guardrails") and not policy.knows_any(["guardrails", "unknown"])
    assert not policy.knows_any([])


@pytest.mark.parametrize(
    ("files", "altered"),
    [
        pytest.param({}, set(), id="nothing"),
        pytest.param(
            {"roles/r.yaml": "role: r\nrules: [{id: a, allow: GET crm /x, mask: {$.a: redact}}]"}, {"crm"}, id="mask"
        ),
        pytest.param(
            {"roles/r.yaml": "role: r\nrules: [{id: a, allow: GET wiki /x, show: [$.a]}]"}, {"wiki"}, id="show"
        ),
        pytest.param(
            {"roles/r.yaml": "role: r\nrules: [{id: a, deny: any crm, redact_request: $.a}]"}, {"crm"}, id="redact"
        ),
        pytest.param({"guardrails.yaml": "rules: [{id: g, mask: {$.a: redact}}]"}, {"crm", "wiki"}, id="everywhere"),
    ],
)
def test_alters(loaded: Callable[..., Generation], files: dict[str, str], altered: set[str]) -> None:
    policy = loaded({**RULES, **files}).policy
    assert {target for target in ("crm", "wiki", "unknown") if policy.alters([target])} == altered
    assert policy.alters(["unknown", "crm", "wiki"]) is bool(altered)


def test_matching_rules_once_each(loaded: Callable[..., Generation]) -> None:
    policy = loaded(RULES).policy
    found, _ = policy.matching(["support", "other", "other"], "crm", "GET", "/x")
    assert sorted(rule.name for rule, _ in found) == ["other/d", "support/a"]


def test_redactions_of_a_refused_request_are_those_of_every_rule_at_its_target(
    loaded: Callable[..., Generation],
) -> None:
    files = {
        "targets.yaml": (
            "targets:\n"
            "  crm: {url: https://api.crm.example, redact_request: query.ticket}\n"
            "  wiki: {url: https://wiki.example}\n"
        ),
        "credentials.yaml": None,
        "guardrails.yaml": "rules:\n  - {id: g, redact_request: headers.x-key}\n",
        "roles/support.yaml": (
            "role: support\n"
            "rules:\n"
            "  - {id: a, allow: POST crm /cards, redact_request: $.card}\n"
            "  - {id: b, deny: any crm|wiki /x/**, redact_request: [$.pin, $.card]}\n"
        ),
    }
    policy = loaded(files).policy
    assert set(policy.redactions("crm")) == {"query.ticket", "headers.x-key", "$.card", "$.pin"}
    assert set(policy.redactions("wiki")) == {"headers.x-key", "$.card", "$.pin"}
