"""Refusals of strangers: the first are recorded one by one, the rest are counted, and none is lost."""

from __future__ import annotations

from lockgate.recordings.strangers import MOST, ONE_BY_ONE, PERIOD, StrangersTally


def flood(tally: StrangersTally, count: int, now: float = 0.0, *, scarce: bool = False) -> int:
    """How many of `count` refusals are only counted."""
    return sum(tally.counts_alone("192.0.2.1", "expired", now, scarce=scarce) for _ in range(count))


def test_the_first_of_a_minute_are_recorded_one_by_one() -> None:
    tally = StrangersTally()
    assert flood(tally, ONE_BY_ONE + 5, 1000.0) == 5
    assert flood(tally, 1, 1000.0 + PERIOD) == 0


def test_the_rest_is_told_by_address_and_reason() -> None:
    tally = StrangersTally()
    flood(tally, ONE_BY_ONE + 2, 1000.0)
    tally.counts_alone("192.0.2.2", "no token", 1000.0, scarce=False)
    assert tally.take() == {
        "count": 3,
        "refused": [
            {"address": "192.0.2.1", "reason": "expired", "count": 2},
            {"address": "192.0.2.2", "reason": "no token", "count": 1},
        ],
    }
    assert tally.take() is None


def test_none_is_recorded_by_itself_where_the_disk_is_nearly_full() -> None:
    tally = StrangersTally()
    assert flood(tally, 3, 1000.0, scarce=True) == 3
    assert flood(tally, 1, 1000.0) == 0


def test_what_is_told_apart_has_a_bound() -> None:
    tally = StrangersTally()
    for number in range(MOST + 10):
        tally.counts_alone(f"address-{number}", "expired", 1000.0, scarce=True)
    counted = tally.take()
    assert counted is not None
    assert counted["count"] == MOST + 10
    assert len(counted["refused"]) == MOST + 1
    assert {"address": "others", "reason": "", "count": 10} in counted["refused"]
