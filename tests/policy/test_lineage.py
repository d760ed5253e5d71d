"""Who extends whom; what is wrong with it is in test_load.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lockgate.errors import Problem
from lockgate.policy.lineage import MAX_HINTS, ancestors


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        pytest.param({"a": []}, ("a",), id="alone"),
        pytest.param({"a": ["b"], "b": ["c"], "c": []}, ("a", "b", "c"), id="chain"),
        pytest.param({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, ("a", "b", "c", "d"), id="diamond"),
        pytest.param({"a": ["b"], "b": ["a"]}, ("a", "b"), id="circle"),
        pytest.param({"a": ["a"]}, ("a",), id="itself"),
        pytest.param({"a": ["gone"]}, ("a",), id="unknown"),
    ],
)
def test_ancestors(parents: dict[str, list[str]], expected: tuple[str, ...]) -> None:
    assert ancestors("a", parents) == expected


def test_no_role_extends_more_than_anybody_needs(problems: Callable[..., tuple[Problem, ...]]) -> None:
    chain = {
        f"roles/r{number}.yaml": f"role: r{number}\nextends: [r{number + 1}]\nrules: []\n" for number in range(101)
    }
    last = {"roles/r101.yaml": "role: r101\nrules: []\n"}
    assert [str(problem) for problem in problems(chain | last)] == [
        "roles/r0.yaml:2:1: r0 extends more than 100 roles, near and far: join some of them"
    ]


def test_of_many_unknown_roles_the_first_get_a_hint(problems: Callable[..., tuple[Problem, ...]]) -> None:
    found = problems(
        {f"roles/r{number}.yaml": f"role: r{number}\nextends: [reader]\nrules: []\n" for number in range(MAX_HINTS + 1)}
    )
    hints = [problem.message.partition(": ")[2] for problem in found]
    assert hints.count("one of many that are wrong") == 1
    assert len(hints) == MAX_HINTS + 1
