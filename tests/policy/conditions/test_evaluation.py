"""The limit of an evaluation, and what it remembers."""

from __future__ import annotations

import pytest

from lockgate.errors import Unevaluable
from lockgate.policy.conditions import compile_condition
from lockgate.policy.conditions.evaluation import MAX_STEPS, Evaluation
from lockgate.policy.conditions.spellings import Once


def test_the_last_step_is_taken_and_no_more() -> None:
    at = Evaluation()
    at.spend(MAX_STEPS)
    assert not at.exhausted
    with pytest.raises(Unevaluable, match=f"takes more than {MAX_STEPS} steps"):
        at.spend(1)
    assert at.exhausted


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


def test_conditions_of_one_decision_share_what_is_known_of_a_body() -> None:
    facts, at = {"body": dict.fromkeys(map(str, range(16_000)), 1)}, Evaluation()
    steps = []
    for name in "abc":
        assert not compile_condition(f"has(body.{name}) && body.{name} == 1", []).holds(facts, at)
        steps.append(at.steps)
    assert steps[0] > 1000 and steps[2] - steps[1] == steps[1] - steps[0] < 10


def test_conditions_of_one_decision_share_its_steps() -> None:
    facts, at = {"body": {"items": [1] * 1000}}, Evaluation()
    loop = compile_condition(f"size(body.items) <= 1000 && body.items.all(i, {' + '.join(['i'] * 20)} > 0)", [])
    assert loop.holds(facts, at) and loop.holds(facts, at)
    with pytest.raises(Unevaluable, match="deciding takes more than"):
        loop.holds(facts, at)
    with pytest.raises(Unevaluable, match="deciding takes more than"):
        compile_condition("size(body) == 1", []).holds(facts, at)


def test_whose_names_have_several_spellings() -> None:
    query, body = {"a": ("1",)}, {"a": 1}
    headers, once = Once("header", {}), Once("query parameter", query)
    at = Evaluation({"request": {"query": once, "query_all": query, "headers": headers}})
    assert at.parameters(query) is at.parameters(once) is once
    assert at.parameters(headers) is headers
    assert at.parameters(body) is Evaluation().parameters(query) is None
