from __future__ import annotations

import copy

import pytest

from lockgate.web.sessions import IDLE, LONGEST, Sessions


def test_is_found_until_it_ends() -> None:
    sessions = Sessions()
    number = sessions.begin("token", 0.0)
    found = sessions.find(number, 1.0)
    assert found is not None and found.token == "token"
    sessions.end(number)
    assert sessions.find(number, 2.0) is None


def test_numbers_and_forms_are_unlike_each_other() -> None:
    sessions = Sessions()
    numbers = [sessions.begin("token", 0.0) for _ in range(3)]
    found = [sessions.find(number, 0.0) for number in numbers]
    assert len({*numbers, *(each.csrf for each in found if each)}) == 6
    assert all(len(number) >= 43 for number in numbers)  # 256 bits in base64


@pytest.mark.parametrize("number", ["", "x", "\udcff", "A" * 10_000])
def test_guesses_find_nothing(number: str) -> None:
    sessions = Sessions()
    sessions.begin("token", 0.0)
    assert sessions.find(number, 0.0) is None
    sessions.end(number)


def test_ends_when_it_is_not_used() -> None:
    sessions = Sessions()
    number = sessions.begin("token", 0.0)
    assert sessions.find(number, IDLE - 1) is not None
    assert sessions.find(number, 2 * IDLE - 2) is not None
    assert sessions.find(number, 3 * IDLE) is None


def test_to_be_looked_at_is_no_use() -> None:
    sessions = Sessions()
    number = sessions.begin("token", 0.0)
    assert sessions.find(number, IDLE - 1, touch=False) is not None
    assert sessions.find(number, IDLE) is None


def test_ends_at_last() -> None:
    sessions = Sessions()
    number = sessions.begin("token", 0.0)
    steps = [at * IDLE / 2 for at in range(int(2 * LONGEST / IDLE))]
    assert all(sessions.find(number, at) is not None for at in steps)
    assert sessions.find(number, LONGEST) is None


def test_the_least_used_is_forgotten() -> None:
    sessions = Sessions(most=2)
    first, second = sessions.begin("one", 0.0), sessions.begin("two", 0.0)
    sessions.find(first, 1.0)
    third = sessions.begin("three", 2.0)
    assert [sessions.find(number, 3.0) is not None for number in (first, second, third)] == [True, False, True]


def test_shows_nothing() -> None:
    sessions = Sessions()
    session = sessions.find(sessions.begin("the-token", 0.0), 0.0)
    assert "the-token" not in repr(session)
    with pytest.raises(TypeError):
        copy.copy(session)
