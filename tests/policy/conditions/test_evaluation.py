"""The limit of an evaluation, and what it remembers."""

from __future__ import annotations

import pytest

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.evaluation import MAX_STEPS, Evaluation


def test_the_last_step_is_taken_and_no_more() -> None:
    at = Evaluation({})
    at.spend(MAX_STEPS)
    with pytest.raises(Unevaluable, match=f"takes more than {MAX_STEPS} steps"):
        at.spend(1)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param({"a": 1}, True, id="itself"),
        pytest.param({"b": 1}, True, id="not-there"),
        pytest.param({"A": 1}, False, id="another"),
        pytest.param({"a": 1, "A": 2}, False, id="both"),
        pytest.param({"A": 1, "\u00c5": 2, "a": 3, "b": 4}, False, id="among-others"),
    ],
)
def test_one_spelling(found: dict[str, int], expected: bool) -> None:
    at = Evaluation({})
    assert at.has_one_spelling(found, "a") is at.has_one_spelling(found, "a") is expected


def test_a_wide_object_is_looked_through_once() -> None:
    at, wide = Evaluation({}), dict.fromkeys(map(str, range(1600)), 1)
    for name in wide:
        assert at.has_one_spelling(wide, name)
    assert at.steps == 100
