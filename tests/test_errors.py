from __future__ import annotations

import inspect

from lockgate import errors
from lockgate.errors import LockgateError, Problem, Refused, RulesInvalid
from lockgate.refusals import Refusal


def test_every_error_is_in_the_tree_and_drawn() -> None:
    drawn = errors.__doc__ or ""
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert found
    for kind in found:
        assert issubclass(kind, LockgateError)
        assert kind.__name__ in drawn
        assert kind.__doc__


def test_refused_carries_its_refusal() -> None:
    refusal = Refusal(403, "No.")
    assert Refused(refusal).refusal is refusal


def test_rules_invalid_has_a_line_a_problem() -> None:
    problems = [Problem("a.yaml", 1, 2, "wrong"), Problem("b.yaml", 3, 4, "also")]
    error = RulesInvalid(problems)
    assert str(error) == "a.yaml:1:2: wrong\nb.yaml:3:4: also"
    assert error.problems == tuple(problems)
