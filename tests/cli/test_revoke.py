"""`lockgate revoke`. What a running gateway makes of it is in tests/e2e/test_revocation.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockgate.state import key

Lockgate = Callable[..., Any]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    key(state, "hash")
    return state


def test_it_says_what_it_did_and_lists_it(lockgate: Lockgate, state: Path) -> None:
    ended = lockgate("revoke", "--state", state, "--subject", "ada", "--for", "1h", "--reason", "ticket 4711")
    assert ended.code == 0
    assert "subject ada, until" in ended.out
    listed = lockgate("revoke", "--state", state, "--list").out
    assert listed == ended.out.removeprefix("Revoked: ")


def test_it_can_be_taken_back(lockgate: Lockgate, state: Path) -> None:
    lockgate("revoke", "--state", state, "--role", "support", "--target", "crm")
    (entry,) = json.loads(lockgate("revoke", "--state", state, "--list", "--json").out)
    assert (entry["role"], entry["target"]) == ("support", "crm")
    assert lockgate("revoke", "--state", state, "--lift", entry["id"]).code == 0
    assert lockgate("revoke", "--state", state, "--list").out == ""


def test_a_target_must_be_one_of_the_rules(lockgate: Lockgate, small_rules: Path) -> None:
    ended = lockgate("revoke", "--rules", small_rules, "--target", "cmr")
    assert ended.code == 2
    assert "no target cmr" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "say what to revoke", id="nothing"),
        pytest.param(["--subject", "ada", "--list"], "say what to revoke", id="two things"),
        pytest.param(["--subject", ""], "nobody's", id="an empty name"),
        pytest.param(["--target", "crm", "--issuer", "i"], "--issuer narrows", id="an issuer's target"),
        pytest.param(["--subject", "ada", "--for", "a while"], "no duration", id="no duration"),
        pytest.param(["--lift", "a1"], "nothing is revoked", id="nothing to lift"),
    ],
)
def test_wrong_use(lockgate: Lockgate, state: Path, arguments: list[str], said: str) -> None:
    ended = lockgate("revoke", "--state", state, *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_a_state_that_others_can_write(lockgate: Lockgate, state: Path) -> None:
    lockgate("revoke", "--state", state, "--subject", "ada")
    (state / "revocations.json").chmod(0o644)
    ended = lockgate("revoke", "--state", state, "--subject", "ben")
    assert ended.code == 2
    assert "chmod 0600" in ended.err


def test_where_no_gateway_keeps_its_state_nothing_is_said_to_be_revoked(lockgate: Lockgate, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    ended = lockgate("revoke", "--state", elsewhere, "--subject", "ada")
    assert ended.code == 2
    assert "--state" in ended.err
    assert not elsewhere.exists()
