from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.past import Asked, recorded, states, written
from lockgate.policy.load import load

CRM = "https://api.crm.example"
JSON = (("content-type", "application/json"),)
ASKED = [
    Asked("GET", f"{CRM}/v1/customers/7"),
    Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 5}', JSON),
    Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 700}', JSON, approved=True),
    Asked("GET", f"{CRM}/v1/nothing"),
    Asked("GET", "https://wiki.example/a", roles=("reader",)),
]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    kept: dict[str, Path] = {}

    def recordings(rules: Path) -> Path:
        found = load(rules)
        if found.id not in kept:
            kept[found.id] = recorded(tmp_path_factory.mktemp("r") / "recordings", found, ASKED)
        return kept[found.id]

    return recordings


@pytest.fixture
def whatif(
    lockgate: Callable[..., Any], small_rules: Path, recordings: Callable[[Path], Path], tmp_path: Path
) -> Callable[..., Any]:
    """Runs it on the rules with a text replaced."""
    kept = recordings(small_rules)
    new = tmp_path / "new"
    shutil.copytree(small_rules, new)

    def run(*arguments: object, **replaced: str) -> Any:
        before, after = replaced.get("before", ""), replaced.get("after", "")
        path = new / replaced.get("file", "roles/support.yaml")
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after) if before else path.read_text())
        return lockgate("whatif", new, kept, *arguments)

    return run


def test_nothing_changes(whatif: Callable[..., Any]) -> None:
    ended = whatif()
    assert (ended.code, ended.out, ended.err) == (0, "5 requests decided again, 5 as before\n", "")


def test_newly_allowed_is_1(whatif: Callable[..., Any]) -> None:
    ended = whatif(before="  - id: read\n", after="  - id: more\n    allow: GET crm /v1/nothing\n  - id: read\n")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[:2] == ["5 requests decided again, 4 as before", "  newly allowed   1"]
    assert lines[3] == "deny -> allow  (1)"
    assert lines[4].split() == ["1", "support", "no", "rule", "->", "support/more"]
    assert lines[5].strip() == "such as r3: GET api.crm.example/v1/nothing"


def test_unmasked_is_1(whatif: Callable[..., Any]) -> None:
    ended = whatif(before="{keep_last: 4}", after="{keep_last: 9}")
    assert ended.code == 1
    assert "unmasked $.email keep_last 4  (1)" in ended.out
    assert "  unmasked        1" in ended.out


def test_narrower_is_0(whatif: Callable[..., Any]) -> None:
    ended = whatif("--json", before="GET crm /v1/customers/{id}", after="GET crm /v1/people/{id}")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert found["flips"] == [{"then": "allow", "now": "deny", "requests": 1}]
    assert found["rules_that_match_no_more"] == ["support/read"]
    (group,) = found["groups"]
    assert (group["kind"], group["role"], group["rule_then"], group["rule_now"], group["example"]) == (
        "allow -> deny",
        "support",
        "support/read",
        None,
        "r0",
    )


def test_a_hold_that_was_approved_is_a_hold(whatif: Callable[..., Any]) -> None:
    ended = whatif("--json", before="when: body.amount <= 500", after="when: body.amount <= 900")
    found = json.loads(ended.out)
    assert (ended.code, found["flips"]) == (0, [])
    ended = whatif("--json", before="when: body.amount > 500", after="when: body.amount > 900")
    assert ended.code == 1
    assert json.loads(ended.out)["flips"] == [{"then": "hold", "now": "allow", "requests": 1}]


def test_what_is_not_known_is_1_with_strict(lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path) -> None:
    kept = recorded(
        tmp_path / "recordings",
        load(small_rules),
        [Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 5, "iban": "x"}', JSON)],
    )
    path = small_rules / "roles/support.yaml"
    path.write_text(path.read_text().replace("body.amount <= 500", 'body.amount <= 500 && body.iban != "y"'))
    ended = lockgate("whatif", small_rules, kept)
    assert (ended.code, "not kept        body.iban (1)" in ended.out) == (0, True)
    assert lockgate("whatif", small_rules, kept, "--strict").code == 1


def test_rules_that_were_pruned_are_told(lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path) -> None:
    kept = recorded(tmp_path / "recordings", load(small_rules), ASKED[:1])
    shutil.rmtree(kept / "generations")
    ended = lockgate("whatif", small_rules, kept, "--strict")
    assert (ended.code, "pruned?" in ended.out, "unknown rules" in ended.out) == (1, True, True)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"3:abc}", id="no-record"),
        pytest.param(b"123", id="torn"),
    ],
)
def test_damaged_recordings(lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path, damage: bytes) -> None:
    kept = recorded(tmp_path / "recordings", load(small_rules), ASKED[:1])
    (file,) = kept.glob("*.mitm")
    file.write_bytes(file.read_bytes() + damage)
    assert "1 requests decided again, 1 as before" in lockgate("whatif", small_rules, kept).out
    assert lockgate("whatif", small_rules, kept, "--strict").code == (1 if damage.endswith(b"}") else 0)


def test_errors_are_one_line(lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path) -> None:
    ended = lockgate("whatif", small_rules, tmp_path)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert lockgate("whatif", tmp_path / "none", tmp_path).code == 2
    assert lockgate("whatif", small_rules, tmp_path, "--since", "ever").code == 2


ATTACK = "<script>alert(1)</script>\x1b[2J\u202e'\"`&"


def test_whatever_an_agent_wrote_does_nothing_to_a_page_or_a_terminal(
    lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path
) -> None:
    """A record as somebody may have edited it: each text of it is an attack."""
    (state,) = states(load(small_rules), [Asked("GET", f"{CRM}/v1/customers/7")])
    said = state["metadata"]["lockgate"]
    said.update(request_id=ATTACK, generation=ATTACK)
    said["principal"] = {**said["principal"], "roles": ["support", ATTACK], "subject": ATTACK}
    said["decision"] = {"verdict": "deny", "rule": ATTACK, "reason": ATTACK, "considered": []}
    state["request"]["path"] = f"/v1/customers/7?a={ATTACK}".encode()
    kept = written(tmp_path / "recordings", load(small_rules), [state])
    page = tmp_path / "report.html"
    ended = lockgate("whatif", small_rules, kept, "--html", page, "--all")
    html = page.read_text()
    for text in (ended.out, html):
        assert "\x1b[" not in text
        assert "\u202e" not in text
    assert "alert(1)" in html
    assert "<script" not in html
    json_out = lockgate("whatif", small_rules, kept, "--json").out
    assert "\\u001b" not in json_out
    assert "\u202e" not in json_out


def test_a_report_is_a_page_by_itself(whatif: Callable[..., Any], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    ended = whatif("--html", page, before="GET crm /v1/customers/{id}", after="GET crm /v1/people/{id}")
    assert ended.code == 0
    assert "allow -&gt; deny" in page.read_text()
    nowhere = whatif("--html", tmp_path / "none" / "report.html")
    assert (nowhere.code, nowhere.err.endswith("cannot be written: No such file or directory\n")) == (2, True)
