from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.past import Asked, recorded
from lockgate.errors import RulesNotKept
from lockgate.history.walk import Walk
from lockgate.policy.generation import Generation
from lockgate.recordings.tnetstring import dumps

ASKED = [Asked("GET", f"https://wiki.example/{number}") for number in range(3)]


@pytest.fixture
def kept(directory: Path, rules: Generation) -> Path:
    return recorded(directory, rules, ASKED)


def test_requests_and_no_events(kept: Path, rules: Generation) -> None:
    walk = Walk([kept])
    found = [(past.id, generations.judge(past.generation).generation.id) for past, generations in walk]
    assert found == [("r0", rules.id), ("r1", rules.id), ("r2", rules.id)]
    assert (walk.read, walk.damaged, walk.records) == (walk.size, 0, 4)


def test_of_single_files(kept: Path) -> None:
    (file,) = kept.glob("*.mitm")
    assert [past.id for past, _ in Walk([file])] == ["r0", "r1", "r2"]


def test_damage_is_counted(kept: Path) -> None:
    (file,) = kept.glob("*.mitm")
    file.write_bytes(file.read_bytes() + dumps({"metadata": 3}))
    walk = Walk([kept])
    assert (len(list(walk)), walk.damaged) == (3, 1)


def test_a_file_that_ends_in_something_else_is_damaged(kept: Path) -> None:
    (file,) = kept.glob("*.mitm")
    whole = file.read_bytes()
    file.write_bytes(whole + b"no record at all")
    walk = Walk([kept])
    assert (len(list(walk)), walk.damaged) == (3, 1)
    file.write_bytes(whole + b"12:torn")
    walk = Walk([kept])
    assert (len(list(walk)), walk.damaged) == (3, 0)


def test_since(kept: Path) -> None:
    assert len(list(Walk([kept], datetime.now(UTC) - timedelta(minutes=5)))) == 3
    assert list(Walk([kept], datetime.now(UTC) + timedelta(minutes=5))) == []


def test_only_what_holds_some_bytes(kept: Path) -> None:
    assert [past.id for past, _ in Walk([kept], holding=b"r1")] == ["r1"]


def test_what_is_missing_is_said_once(kept: Path) -> None:
    walk = Walk([kept])
    for _, generations in walk:
        with pytest.raises(RulesNotKept, match="pruned"):
            walk.judge(generations, "a" * 64)
    assert len(walk.missing) == 1
