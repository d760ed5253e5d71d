from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockgate.recordings.dump import event_state, loads
from lockgate.recordings.summary import outline, summary, took
from lockgate.recordings.tnetstring import dumps

MakeState = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("members", [{}, {"approval": {"id": "a", "waited": 1.5}}, {"event": "x"}, {"decision": None}])
def test_an_outline_says_what_the_whole_does(make_state: MakeState, members: dict[str, Any]) -> None:
    raw = dumps(make_state("a", body=b"x" * 10_000, **members))
    assert summary(outline(raw)) == summary(loads(raw))
    assert len(str(outline(raw))) < 5000


def test_of_an_event() -> None:
    row = summary(outline(dumps(event_state("reload", {"from": "a"}, 0.0))))
    assert (row["event"], row["request"], row["status"]) == ("reload", "event reload", None)


def test_what_was_held(make_state: MakeState) -> None:
    row = summary(make_state("a", approval={"id": "x", "waited": 1.5}))
    assert (row["held"], row["waited"]) == (True, 1.5)


@pytest.mark.parametrize("raw", [b"", b"4:junk,", b"0:}", b"9:2:id,1:x;}"])
def test_what_is_no_record(raw: bytes) -> None:
    with pytest.raises(ValueError):
        outline(raw)


@pytest.mark.parametrize(
    ("began", "ended", "milliseconds"), [(1.0, 1.5, 500.0), (2.0, 1.0, None), (None, 1.0, None), ("1", 2.0, None)]
)
def test_how_long_it_took(began: Any, ended: Any, milliseconds: float | None) -> None:
    assert took({"request": {"timestamp_start": began}, "response": {"timestamp_end": ended}}) == milliseconds
