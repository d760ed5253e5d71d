from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.past import Asked, generation, states
from lockgate.history.again import Judge
from lockgate.history.kept import case_of
from lockgate.history.records import Past, past
from lockgate.history.suggestion import Evidence, least_rules
from lockgate.policy.generation import Generation
from lockgate.recordings.tnetstring import dumps

CRM = "https://api.crm.example"
JSON = (("content-type", "application/json"),)
BIG = Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 600}', JSON, approved=True)


def gathered(rules: Generation, asked: list[Asked], role: str = "support") -> Evidence:
    found, judge = Evidence(rules, role), Judge(rules)
    for state in states(rules, asked):
        record: Past | None = past(dumps(state))
        assert record is not None
        case = case_of(record, rules.policy.claims)
        if case is not None and found.concerns(case.principal.roles):
            then = "hold" if record.approved else str((record.decision or {}).get("verdict", "refused"))
            found.add(record, case.principal.roles, then, judge.decide(case, judge))
    return found


def suggested(rules: Generation, *asked: Asked, role: str = "support") -> dict[str, dict[str, Any]]:
    return {str(each.entry["id"]): dict(each.entry) for each in least_rules(gathered(rules, list(asked), role))}


def wiki(*paths: str, roles: tuple[str, ...] = ("support",)) -> list[Asked]:
    return [Asked("GET", f"https://wiki.example{path}", roles=roles) for path in paths]


def test_of_nothing_only_denies_and_holds_that_hold_back_are_left(rules: Generation) -> None:
    assert suggested(rules).keys() == {"big", "no"}


def test_rules_are_narrowed_to_what_was_done(rules: Generation) -> None:
    found = suggested(rules, Asked("GET", f"{CRM}/v1/customers/7"), BIG)
    assert found["read"] == {
        "id": "read",
        "allow": ["GET crm /v1/customers/7"],
        "mask": {"$..ssn": "redact"},
    }
    assert found["big"]["hold"] == "POST crm /v1/refunds"
    assert found["no"] == {"id": "no", "deny": "DELETE crm"}
    assert found.keys() == {"read", "big", "no"}


def test_what_it_does_by_a_role_that_it_extends_is_its_own_now(rules: Generation) -> None:
    assert suggested(rules, *wiki("/a", "/b"))["wiki"]["allow"] == ["GET wiki /a", "GET wiki /b"]
    assert suggested(rules, *wiki("/a"), role="reader") == {"wiki": {"id": "wiki", "allow": ["GET wiki /a"]}}


def test_what_was_denied_counts_for_nothing(rules: Generation) -> None:
    denied = [Asked("GET", f"{CRM}/admin/{number}") for number in range(1000)]
    assert suggested(rules, *denied[:100]).keys() == {"big", "no"}


def test_a_hold_that_nobody_approved_is_no_evidence(rules: Generation) -> None:
    alone = generation(
        {
            "gateway.yaml": "issuers:\n  - dev: true\n",
            "targets.yaml": "targets:\n  crm: {url: https://api.crm.example}\n",
            "roles/support.yaml": (
                "role: support\nrules:\n"
                "  - id: write\n    hold: PUT crm /v1/**\n  - id: see\n    allow: GET crm /v1/**\n"
            ),
        }
    )
    asked = [Asked("PUT", f"{CRM}/v1/{number}") for number in range(3)]
    assert suggested(alone, *asked) == {}
    approved = [Asked("PUT", f"{CRM}/v1/9", approved=True)]
    assert suggested(alone, *asked, *approved) == {"write": {"id": "write", "hold": ["PUT crm /v1/9"]}}


def test_a_template_is_no_wider_than_the_rule() -> None:
    lines = "".join(f"      - GET crm /v1/{number}\n" for number in range(9))
    rules = generation(
        {
            "gateway.yaml": "issuers:\n  - dev: true\n",
            "targets.yaml": "targets:\n  crm: {url: https://api.crm.example}\n",
            "roles/support.yaml": f"role: support\nrules:\n  - id: some\n    allow:\n{lines}",
        }
    )
    found = suggested(rules, *(Asked("GET", f"{CRM}/v1/{number}") for number in range(9)))
    assert found["some"]["allow"] == [f"GET crm /v1/{number}" for number in range(9)]


@pytest.mark.parametrize("path", ["/*", "/**", "/a/*", "/a/**/b", "/x*y", "/***"])
def test_a_star_that_was_asked_for_is_none_of_ours(rules: Generation, path: str) -> None:
    """An agent that may ask for anything asks for a path that would be a pattern."""
    found = suggested(rules, *wiki(path, "/plain"))
    assert found["wiki"]["allow"] == ["GET wiki /plain"]
    assert found["wiki-exactly"]["when"] == f'request.path in ["{path}"]'
    assert "**" not in found["wiki-exactly"]["allow"][0]


def test_where_a_condition_reads_the_path_the_line_stays() -> None:
    rules = generation(
        {
            "gateway.yaml": "issuers:\n  - dev: true\n",
            "targets.yaml": "targets:\n  crm: {url: https://api.crm.example}\n",
            "roles/support.yaml": (
                "role: support\nrules:\n  - id: own\n    allow: GET|PUT crm /v1/{id}\n    when: path.id != 'admin'\n"
            ),
        }
    )
    assert suggested(rules, Asked("GET", f"{CRM}/v1/7"))["own"]["allow"] == ["GET crm /v1/{id}"]


def test_what_masks_without_deciding_stays(changed: Callable[..., Generation]) -> None:
    rules = changed("  - id: no\n", "  - id: all\n    allow: GET crm /v1/**\n  - id: no\n")
    found = suggested(rules, Asked("GET", f"{CRM}/v1/customers/7"), Asked("GET", f"{CRM}/v1/customers/7/"))
    assert found["read"]["mask"] == {"$..ssn": "redact"}
    assert found["all"]["allow"] == ["GET crm /v1/customers/7", "GET crm /v1/customers/7/"]


def test_who_has_a_role_that_extends_it_counts_too(changed: Callable[..., Generation], rules: Generation) -> None:
    assert Evidence(rules, "reader").concerns(["support"])
    assert not Evidence(rules, "support").concerns(["reader"])
    found = suggested(rules, *wiki("/a", roles=("support", "unknown")), role="reader")
    assert found["wiki"]["allow"] == ["GET wiki /a"]


def test_ids_are_told_apart(changed: Callable[..., Generation]) -> None:
    rules = changed("  - id: no\n", "  - id: wiki\n    allow: GET wiki /own\n    detect: [card]\n  - id: no\n")
    found = suggested(rules, *wiki("/own", "/a"))
    assert (found["wiki"]["allow"], found["wiki"]["detect"]) == (["GET wiki /own"], ["card"])
    assert found["reader-wiki"]["allow"] == ["GET wiki /a", "GET wiki /own"]


def test_more_paths_than_a_list_names_keep_the_line(rules: Generation) -> None:
    words = [f"/{first}{second}{third}" for first in "abcdefgh" for second in "abcdefgh" for third in "abcd"]
    found = gathered(rules, wiki(*words[:3]))
    for word in words:
        found.uses["reader/wiki"].places["GET", "wiki"].add(word)
    by_id = {each.entry["id"]: each for each in least_rules(found)}
    assert by_id["wiki"].entry["allow"] == ["GET wiki /**"]
    assert "kept wide" in by_id["wiki"].notes[0]
