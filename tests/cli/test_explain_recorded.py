from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.past import Asked, recorded, states, written
from lockgate.policy.generation import Generation
from lockgate.policy.load import load

CRM = "https://api.crm.example"
JSON = (("content-type", "application/json"),)
ASKED = [
    Asked("GET", f"{CRM}/v1/customers/7", masks=(("$.email", 1), ("$..ssn", 2))),
    Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 5, "iban": "DE1"}', JSON),
    Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 700}', JSON, approved=True),
    Asked("POST", f"{CRM}/v1/refunds", b'{"amount": 700}', JSON),
    Asked("GET", f"{CRM}/v1/nothing"),
    Asked("GET", "https://gone.example/"),
    Asked("GET", "https://wiki.example/a", roles=("nobody",)),
]

Explaining = Callable[..., Any]


@pytest.fixture
def rules(small_rules: Path) -> Generation:
    return load(small_rules)


@pytest.fixture(scope="module")
def kept() -> dict[str, Path]:
    return {}


@pytest.fixture
def recordings(kept: dict[str, Path], rules: Generation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if rules.id not in kept:
        kept[rules.id] = recorded(tmp_path_factory.mktemp("r") / "recordings", rules, ASKED)
    return kept[rules.id]


@pytest.fixture
def edited(lockgate: Callable[..., Any], rules: Generation, tmp_path: Path) -> Explaining:
    """Explains a request whose record somebody has edited: members of what the gateway says, or of the decision."""

    def edited(number: int, decision: dict[str, Any] | None = None, **said: Any) -> Any:
        state = states(rules, ASKED)[number]
        state["metadata"]["lockgate"].update(said)
        if decision is not None:
            told = state["metadata"]["lockgate"]["decision"] or {}
            state["metadata"]["lockgate"]["decision"] = {**told, **decision}
        kept = written(tmp_path / "recordings", rules, [state])
        return lockgate("explain", f"r{number}", "--recordings", kept)

    return edited


@pytest.mark.parametrize(
    ("identifier", "first"),
    [
        pytest.param("r0", "ALLOW  by support/read", id="allow"),
        pytest.param("r1", "ALLOW  by support/small", id="condition"),
        pytest.param("r2", "ALLOW  by support/big", id="approved"),
        pytest.param("r3", "HOLD  by support/big", id="held"),
        pytest.param("r4", "DENY  no rule allows it", id="denied"),
        pytest.param("r5", "UNREADABLE  refused before any rule is asked", id="refused"),
        pytest.param("r6", "DENY  None of the caller's roles is known here.", id="no-role"),
    ],
)
def test_it_comes_out_as_it_was_recorded(
    lockgate: Callable[..., Any], recordings: Path, identifier: str, first: str
) -> None:
    ended = lockgate("explain", identifier, "--recordings", recordings)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(first)
    undecided = identifier in ("r5", "r6")
    assert (
        "refused      before any rule was asked: 403" if undecided else "it comes out as it was recorded"
    ) in ended.out


def test_what_was_read_and_by_whom_it_was_approved(lockgate: Callable[..., Any], recordings: Path) -> None:
    out = lockgate("explain", "r2", "--recordings", recordings).out
    assert "approved     support/big" in out
    assert "read         body.amount = 700  (support/big)" in out
    assert "at           2026-11-01T12:00:00Z" in out
    assert "matches, but what it asks for was approved" in out


def test_as_json(lockgate: Callable[..., Any], recordings: Path, rules: Generation) -> None:
    found = json.loads(lockgate("explain", "r2", "--recordings", recordings, "--json").out)
    assert (found["id"], found["same"], found["differences"], found["approved"]) == ("r2", True, [], ["support/big"])
    assert (found["verdict"], found["generation"]) == ("allow", rules.id)
    assert found["facts"]["support/big"] == {"body.amount": 700}


@pytest.mark.parametrize(
    ("number", "edit", "difference"),
    [
        pytest.param(
            4, {"decision": {"verdict": "allow"}}, "verdict: recorded allow, decided again deny", id="verdict"
        ),
        pytest.param(0, {"decision": {"rule": "a/b"}}, "rule: recorded a/b, decided again support/read", id="rule"),
        pytest.param(0, {"decision": {"considered": []}}, "support/read is matched decided again", id="considered"),
        pytest.param(0, {"masks": {"$.phone": 1}}, "masks: recorded $.phone", id="masks"),
        pytest.param(0, {"actions": [["GET", "crm", "/x"]]}, "actions: recorded GET crm /x, read again", id="actions"),
        pytest.param(3, {"approval": {"rules": ["support/big"]}}, "verdict: recorded hold", id="approval"),
        pytest.param(0, {"principal": {"issuer": "i", "subject": "s", "roles": ["reader"]}}, "verdict:", id="roles"),
        pytest.param(1, {"decided_at": "soon", "time": "soon"}, None, id="no-instant-that-is-read"),
    ],
)
def test_what_was_edited_differs(edited: Explaining, number: int, edit: dict[str, Any], difference: str | None) -> None:
    ended = edited(number, **edit)
    assert ended.code == (1 if difference else 0)
    assert (difference or "as it was recorded") in ended.out


def test_a_fact_that_was_not_kept_is_named(lockgate: Callable[..., Any], small_rules: Path, tmp_path: Path) -> None:
    path = small_rules / "roles/support.yaml"
    path.write_text(path.read_text().replace("body.amount <= 500", 'body.amount <= 500 && body.iban != ""'))
    kept = recorded(tmp_path / "recordings", load(small_rules), ASKED[1:2])
    ended = lockgate("explain", "r0", "--recordings", kept)
    assert ended.code == 0
    assert "not kept     body.iban: how the rules that read it came out is taken from the record" in ended.out
    assert "read         body.iban = '[redacted]'" in ended.out


def test_a_verdict_that_is_not_certain_is_1(edited: Explaining) -> None:
    ended = edited(1, decision={"considered": []}, truncated={"request": 9})
    assert ended.code == 1
    assert "not certain without body.amount" in ended.out


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(shutil.rmtree, "pruned?", id="pruned"),
        pytest.param(
            lambda folder: (folder / "guardrails.yaml").write_text("rules: []\n"), "has been altered", id="altered"
        ),
    ],
)
def test_without_the_rules_it_is_an_error(
    lockgate: Callable[..., Any], rules: Generation, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    kept = recorded(tmp_path / "recordings", rules, ASKED[:1])
    spoil(kept / "generations" / rules.id)
    ended = lockgate("explain", "r0", "--recordings", kept)
    assert (ended.code, ended.err.count("\n"), message in ended.err) == (2, 1, True)


def test_ids(lockgate: Callable[..., Any], recordings: Path, tmp_path: Path) -> None:
    several = lockgate("explain", "r", "--recordings", recordings)
    assert (several.code, "beginning of several ids: r0, r1" in several.err) == (2, True)
    none = lockgate("explain", "x\x1b[2J", "--recordings", recordings)
    assert (none.code, "no request x\\x1b[2J is recorded" in none.err) == (2, True)
    assert lockgate("explain", "r0", "--recordings", tmp_path / "none").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--role", "support"), id="role"),
        pytest.param(("--at", "2030-01-01"), id="at"),
        pytest.param(("--header", "a: b"), id="header"),
    ],
)
def test_what_a_record_says_itself_is_not_given(
    lockgate: Callable[..., Any], recordings: Path, arguments: tuple[str, ...]
) -> None:
    ended = lockgate("explain", "r0", "--recordings", recordings, *arguments)
    assert (ended.code, "goes with METHOD URL" in ended.err) == (2, True)


def test_a_request_needs_a_role(lockgate: Callable[..., Any], small_rules: Path) -> None:
    ended = lockgate("explain", "--rules", small_rules, "GET", f"{CRM}/")
    assert (ended.code, ended.err) == (2, "lockgate: Missing option '--role'.\n")


def test_what_nobody_identified_sent_has_no_decision(edited: Explaining) -> None:
    ended = edited(0, principal=None, refusal={"status": 407, "detail": "No \x1b token."})
    assert (ended.code, "407 No \\x1b token." in ended.err) == (2, True)


def test_nothing_of_a_record_moves_the_cursor(edited: Explaining) -> None:
    ended = edited(0, decision={"rule": "\x1b[2J\u202e", "reason": "\x1b]0;x\x07"}, masks={"\x1b[31m": 1})
    assert ended.code == 1
    assert "\x1b" not in ended.out
    assert "\u202e" not in ended.out
