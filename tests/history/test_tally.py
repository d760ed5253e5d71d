from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.past import Asked
from lockgate.history import tally as tally_module
from lockgate.history.changes import Change
from lockgate.history.records import Past
from lockgate.history.tally import Key, Tally


@pytest.fixture(scope="module")
def change(remembered: Callable[..., Past]) -> Change:
    past = remembered(Asked("GET", "https://wiki.example/a"))
    return Change(past, ("support",), "deny", "deny", None, None)


def test_counts(change: Change) -> None:
    tally = Tally()
    tally.add(replace(change, matched=frozenset({"a/1"}), matching=frozenset({"a/2"})))
    tally.add(replace(change, now="allow", rule_now="a/2", unmasked=("$.a drop",)))
    tally.add(replace(change, then="allow", now="allow", masked=("$.b drop",)))
    tally.add(replace(change, unknown=("body.a", "body.b")))
    assert (tally.requests, tally.same, tally.widened, tally.unmasked, tally.unknown) == (4, 1, 1, 1, 1)
    assert tally.flips == {("deny", "allow"): 1}
    assert tally.wanting == {"body.a": 1, "body.b": 1}
    assert tally.silent == ["a/1"]
    assert set(tally.groups) == {
        Key("deny -> allow", "support", "", "a/2"),
        Key("unmasked $.a drop", "support", "", "a/2"),
        Key("masked $.b drop", "support", "", ""),
        Key("unknown body.a, body.b", "support", "", ""),
    }
    group = tally.groups[Key("deny -> allow", "support", "", "a/2")]
    assert (group.count, group.example, group.request) == (1, "r0", "GET wiki.example/a")


def test_groups_are_bounded(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "MAX_GROUPS", 3)
    tally = Tally()
    for number in range(50):
        tally.add(replace(change, roles=(f"role-{number}",), now="allow"))
    assert len(tally.groups) == 4
    assert tally.groups[Key("deny", tally_module.OTHERS, "", "")].count == 47
    assert tally.widened == 50
