from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.past import Asked, generation, recorded, states
from lockgate.cli.suggest import role_file
from lockgate.errors import RulesInvalid
from lockgate.history.again import Judge
from lockgate.history.changes import change
from lockgate.history.kept import case_of
from lockgate.history.records import past
from lockgate.history.suggestion import Evidence, least_rules
from lockgate.history.walk import Walk
from lockgate.policy.load import load
from lockgate.recordings.tnetstring import dumps

CRM = "https://api.crm.example"
JSON = (("content-type", "application/json"),)
ASKED = [
    *(Asked("GET", f"{CRM}/v1/customers/{number}") for number in range(6)),
    Asked("GET", f"{CRM}/v1/customers/7", masks=(("$.email", 1),)),
    Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 5, "iban": "x"}', JSON),
    Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 700}', JSON, approved=True),
    Asked("GET", "https://wiki.example/a"),
    *(Asked("GET", f"{CRM}/admin/{number}") for number in range(20)),
]


@pytest.fixture
def suggest(lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path) -> Callable[..., Any]:
    def suggest(asked: list[Asked], *arguments: object) -> Any:
        kept = recorded(tmp_path / "recordings", load(small_rules), asked)
        return lockgate("suggest", "--role", "support", "--rules", small_rules, kept, *arguments)

    return suggest


def test_the_file_of_a_role(suggest: Callable[..., Any]) -> None:
    ended = suggest(ASKED)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "# The least rules for what support was allowed to do in 10 of 30 requests.",
        "# Nothing matched: support/old",
        "# Nothing matched: support/list",
        "# Always approved: support/big (1 times)",
        "",
        'role: "support"',
        "rules:",
        "",
        "  # 7 requests",
        '  - id: "read"',
        "    allow:",
        '      - "GET crm /v1/customers/*"  # 7 requests, 5 or more different',
        '    mask: {"$.email": {"keep_last": "4"}}',
        "",
        "  # 1 requests",
        '  - id: "small"',
        "    allow:",
        '      - "POST crm /v1/refunds"  # 1 requests',
        '    when: "body.amount <= 500"',
        '    redact_request: ["$.iban"]',
        "",
        "  # kept as it is, for it holds back what an allow may let through; 1 approved",
        '  - id: "big"',
        '    hold: "POST crm /v1/refunds"',
        '    when: "body.amount > 500"',
        '    approvers: ["finance", "audit"]',
        '    timeout: "15m"',
        '    reason: "Finance decides."',
        "",
        "  # 1 requests",
        '  - id: "wiki"',
        "    allow:",
        '      - "GET wiki /a"  # 1 requests',
    ]


def test_in_place_of_the_role_it_passes_check_and_loses_nothing(
    suggest: Callable[..., Any], lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path
) -> None:
    text = suggest(ASKED).out
    new = tmp_path / "new"
    shutil.copytree(small_rules, new)
    (new / "roles/support.yaml").write_text(text)
    assert lockgate("check", new).code == 0
    ended = lockgate("whatif", new, tmp_path / "recordings", "--json", "--strict")
    found = json.loads(ended.out)
    assert (ended.code, found["same"], found["requests"], found["flips"]) == (0, 30, 30, [])


def test_as_json(suggest: Callable[..., Any]) -> None:
    found = json.loads(suggest(ASKED, "--json").out)
    assert (found["requests"], found["allowed"], found["refused_now"]) == (30, 10, 0)
    assert found["unmatched_rules"] == ["support/old", "support/list"]
    assert found["holds_always_approved"] == ["support/big (1 times)"]
    assert found["rules"][0]["allow"] == ["GET crm /v1/customers/*"]


def test_masks_that_never_applied_are_named(suggest: Callable[..., Any]) -> None:
    assert "# Never applied: $.email of support/read" in suggest(ASKED[:3]).out


def test_evidence_is_asked_for(suggest: Callable[..., Any]) -> None:
    assert "GET crm /v1/customers/*" not in suggest(ASKED, "--evidence", 8).out


def test_what_the_rules_refuse_now_is_left_out(
    suggest: Callable[..., Any], lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path
) -> None:
    suggest(ASKED)
    path = small_rules / "roles/support.yaml"
    path.write_text(path.read_text().replace("GET crm /v1/customers/{id}", "GET crm /v1/people/{id}"))
    out = lockgate("suggest", "--role", "support", "--rules", small_rules, tmp_path / "recordings").out
    assert "# 7 that were allowed then the rules refuse now: left out." in out
    assert "/v1/customers/*" not in out


def test_an_unknown_role(lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path) -> None:
    ended = lockgate("suggest", "--role", "suport", "--rules", small_rules, tmp_path)
    assert (ended.code, "unknown role suport" in ended.err) == (2, True)


@pytest.mark.parametrize(
    "path",
    [
        "/a:%20b",
        "/%22,x",
        "/a'b",
        "/'",
        "/!tag",
        "/&anchor",
        "/*",
        "/a,b",
        "/%20%22comment",
        "/a/",
        "/~",
        "/$..x",
        "/%E2%80%AE",
        "/-%20id:%20x",
        "/null",
    ],
)
def test_no_path_is_yaml(
    suggest: Callable[..., Any], lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path, path: str
) -> None:
    text = suggest([Asked("GET", f"https://wiki.example{path}")]).out
    (small_rules / "roles/support.yaml").write_text(text)
    found = load(small_rules)
    assert [rule.name for rule in found.policy.rules["support"]][-1].startswith("support/wiki")
    assert lockgate("whatif", small_rules, tmp_path / "recordings", "--strict").code == 0


def test_who_edits_a_record_writes_no_rule(suggest: Callable[..., Any], small_rules: Path) -> None:
    """What is suggested is made of the rules and of the paths that they allow: nothing else of a record."""
    rules = load(small_rules)
    attack = 'x"\n  - id: all\n    allow: any crm /**\n#\x1b[2J'
    (state,) = states(rules, [Asked("GET", "https://wiki.example/a")])
    said = state["metadata"]["lockgate"]
    said["actions"] = [["GET", "wiki", attack]]
    said["masks"] = {attack: 1}
    said["approval"] = {"rules": [attack]}
    said["principal"]["roles"] = ["support", attack]
    text = file_of(rules, [state])
    assert "\x1b" not in text
    assert "any crm" not in text


RULES = {
    "gateway.yaml": "issuers:\n  - dev: true\n",
    "targets.yaml": "targets:\n  crm: {url: https://api.crm.example, mask: {$..card: redact}}\n",
    "guardrails.yaml": "rules:\n  - id: never\n    deny: any crm /**/secrets\n",
}
LINES = ["GET crm /**", "GET|PUT crm /a/*", "GET crm /a/{id}", "any crm /b/**", "PUT crm /a/x*", "DELETE crm /**/z"]
EXTRAS = [
    "",
    "    mask: {$..a: redact}\n",
    "    mask: {$.b: {keep_last: 4}}\n    redact_request: [query.t]\n",
    "    when: request.query.q == '1'\n",
    "    unless: request.path == '/a/x'\n",
    "    when: path.id != '3'\n",
    "    query: [q]\n",
    "    expires: 2027-01-01\n",
    "    expires: 2020-01-01\n",
    "    record: digest\n",
]


@st.composite
def role(draw: st.DrawFn, name: str, extends: str = "") -> str:
    text = f"role: {name}\n{extends}rules:\n"
    for number in range(draw(st.integers(1, 4))):
        line, extra = draw(st.sampled_from(LINES)), draw(st.sampled_from(EXTRAS))
        kind = draw(st.sampled_from(["allow", "allow", "hold", "deny"]))
        if "path.id" in extra and "{id}" not in line:
            extra = ""
        if kind == "deny" and ("mask" in extra or "query:" in extra):
            extra = ""
        if "mask" in extra and line.startswith(("PUT", "DELETE")):
            extra = ""
        text += f"  - id: r{number}\n    {kind}: {line}\n{extra}"
    return text


PATHS = st.sampled_from(
    ["/a/x", "/a/x/", "/A/x", "/a/xyz", "/a/*", "/a/**", "/b/1/z", "/b/secrets", "/b", "/c/%2A", "/a/x*y"]
) | st.integers(0, 9).map(lambda number: f"/a/{number}")
ASKS = st.builds(
    Asked,
    st.sampled_from(["GET", "GET", "PUT", "DELETE"]),
    st.builds(
        lambda path, query: f"{CRM}{path}{query}", PATHS, st.sampled_from(["", "?q=1", "?q=2", "?t=s", "?a=1&q=1"])
    ),
    roles=st.sampled_from([("support",), ("support", "reader"), ("lead",), ("reader",)]),
    approved=st.booleans(),
)


def file_of(rules: Any, kept: list[dict[str, Any]], name: str = "support") -> str:
    found, judge = Evidence(rules, name), Judge(rules)
    for state in kept:
        record = past(dumps(state))
        assert record is not None
        case = case_of(record, rules.policy.claims)
        if case is not None and found.concerns(case.principal.roles):
            then = "hold" if record.approved else str((record.decision or {}).get("verdict", "refused"))
            found.add(record, case.principal.roles, then, judge.decide(case, judge))
    return role_file(found, least_rules(found), Walk([]))


@settings(max_examples=30)
@given(role("support", "extends: [reader]\n"), role("reader"), st.lists(ASKS, min_size=1, max_size=25))
def test_whatever_was_done_nothing_is_lost_and_nothing_gained(support: str, reader: str, asked: list[Asked]) -> None:
    files = {**RULES, "roles/support.yaml": support, "roles/reader.yaml": reader}
    files["roles/lead.yaml"] = "role: lead\nextends: [support]\nrules: []\n"
    try:
        rules = generation(files)
    except RulesInvalid:  # some of what is drawn never counts beside the rest
        assume(False)
    kept = states(rules, asked)
    text = file_of(rules, kept)
    new = Judge(generation({**files, "roles/support.yaml": text}))
    old = Judge(rules)
    for state in kept:
        record = past(dumps(state))
        assert record is not None
        found = change(record, new, lambda _: old)
        if found is None:
            continue
        unknown = set(found.unknown)
        assert not found.widens, (found, text)
        assert not (found.then == "allow" and found.now != "allow" and not unknown), (found, text)
        assert not (found.then == "hold" and record.approved and found.now != "hold" and not unknown), (found, text)
