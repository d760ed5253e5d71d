"""What is decided before anything is sent; `tests/e2e/test_replay.py` sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from lockgate.cli.recordings.replay import Answered, compared, is_original, recorded_answer, target_named
from lockgate.policy.load import load
from lockgate.recordings.resend import Given, resend

Invoke = Callable[..., Result]

RULES = {
    "gateway.yaml": "issuers: [{dev: true}]\n",
    "targets.yaml": """\
targets:
  crm: {url: "http://address:22"}
  same: {url: "http://other.example", connect: "address:22"}
  copy: {url: "http://copy.example"}
""",
    "roles/support.yaml": "role: support\nrules: []\n",
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    for name, text in RULES.items():
        path = tmp_path / "rules" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "rules"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        pytest.param(("--to", "none"), 2, "there is no target none; there are copy, crm, same", id="no target"),
        pytest.param(("--to", "crm"), 1, "crm is what it was recorded with", id="original"),
        pytest.param(
            ("--to", "copy", "--set-header", "Authorization:x"), 2, "is not the agent's to set", id="identity"
        ),
        pytest.param(("--to", "copy", "--set-header", "x"), 2, "write NAME:VALUE", id="no field"),
        pytest.param(("--to", "copy", "--proxy", "https://u:secret@h/"), 2, "write http://HOST:PORT", id="proxy"),
    ],
)
def test_nothing_is_sent(
    directory: Path, rules: Path, invoke: Invoke, options: tuple[str, ...], code: int, says: str
) -> None:
    result = invoke("replay", "req-1", *options)
    assert "secret" not in result.output
    assert (result.exit_code, says in result.output) == (code, True), result.output


def test_ids_are_whole(directory: Path, rules: Path, invoke: Invoke) -> None:
    result = invoke("replay", "req", "--to", "copy")
    assert result.exit_code == 1
    assert "no request req is recorded here; give its whole id" in result.output


@pytest.mark.parametrize(("to", "original"), [("crm", True), ("same", True), ("copy", False)])
def test_what_the_original_target_is(
    directory: Path, rules: Path, make_state: Callable[..., dict[str, Any]], to: str, original: bool
) -> None:
    """By its name, and by where it is dialled under another."""
    state = make_state("req-1", "allow", 200, "support", "crm")
    loaded = load(rules)
    assert is_original(state, resend(state, Given()), target_named(loaded, to), loaded) is original
    state["metadata"]["lockgate"]["target"] = "renamed"
    state["request"] = {**state["request"], "host": "copy.example", "port": 80}
    assert is_original(state, resend(state, Given()), target_named(loaded, "copy"), loaded)


def test_differences_are_safe_to_print() -> None:
    before = Answered(200, (), b'{"b": 1, "a": "\\u001b[2J"}')
    assert list(compared(before, Answered(200, (), b'{"a":"\\u001b[2J","b":1}'))) == []
    found = list(compared(before, Answered(404, (), "\u202e\x1b".encode())))
    assert found[0] == "status: 200 was recorded, 404 came"
    assert all(line.isprintable() for line in found)
    assert list(compared(None, before)) == ["the recorded answer was not kept"]
    assert list(compared(Answered(200, (), None), before)) == ["the recorded body was not kept"]


def test_an_answer_that_was_cut_is_not_compared(make_state: Callable[..., dict[str, Any]]) -> None:
    state = make_state("req-1", "allow", 200, "support", "crm", truncated={"response": 9})
    found = recorded_answer(state)
    assert found is not None
    assert found.body is None
    assert json.dumps(found.status) == "200"
