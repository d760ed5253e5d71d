from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.office import BIG, person
from harness.scene import Scene
from lockgate.approvals.approval import State, Vote
from lockgate.approvals.recent import Recent
from lockgate.web import documents


@pytest.mark.parametrize(
    ("state", "left", "who", "expected"),
    [
        pytest.param(State.PENDING, 10.0, person(), "", id="pending"),
        pytest.param(State.APPROVED, 10.0, person(), "", id="approved-can-be-denied"),
        pytest.param(State.USED, 10.0, person(), "It is used.", id="used"),
        pytest.param(State.PENDING, 0.0, person(), "It has expired: nobody decided in time.", id="late"),
        pytest.param(State.PENDING, 10.0, person("gus", "sales"), "This is decided by somebody", id="not-theirs"),
        pytest.param(State.PENDING, 10.0, person("agent-7"), "Nobody decides a request of their own.", id="their-own"),
    ],
)
async def test_barred(scene: Scene, state: State, left: float, who: object, expected: str) -> None:
    held = replace(await scene.hold(), state=state)
    why = documents.barred(held, who, held.expires_at - left)  # type: ignore[arg-type]
    assert why.startswith(expected) and bool(why) == bool(expected)


async def test_whole(scene: Scene) -> None:
    held = await scene.hold()
    vote = Vote("approve", "https://login.example", "eve", ("finance",), 60.0, "page", "127.0.0.1", held.digest, "fine")
    held = replace(held, votes=(vote,), requester=replace(held.requester, behind=(("https://login.example", "ben"),)))
    recent = [Recent(0.0, "deny", "GET", "crm", "/x", None)]
    found = documents.whole(held, recent, person(), 1_000_000.0)
    assert found["requester"]["behind"] == ["ben"]
    assert found["holds"][0]["approved_by"] == ["eve"]
    assert found["votes"][0]["at"] == "1970-01-01T00:01:00.000Z"
    assert found["recent"] == [
        {
            "at": "1970-01-01T00:00:00.000Z",
            "verdict": "deny",
            "verb": "GET",
            "target": "crm",
            "resource": "/x",
            "rule": None,
        }
    ]
    assert found["you"] == {"may_decide": True, "why_not": ""}
    assert (found["grants"], found["digest"]) == (3600.0, held.digest)
    assert documents.summary(held)["votes"] == 1


async def test_what_is_asked_ahead_takes_no_other_grant(scene: Scene) -> None:
    held = await scene.hold()
    assert documents.grantable(held) == BIG.max_grant
    assert documents.grantable(replace(held, ahead=600.0)) == 0.0


def test_nothing_in_it_moves_a_cursor() -> None:
    text = "\u202e\x1b[2J\x7f\u2028"
    written = documents.dumps({"a": text})
    assert written.isascii() and json.loads(written) == {"a": text}
    assert b"\x1b" not in written
