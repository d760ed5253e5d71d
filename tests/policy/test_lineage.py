"""Who extends whom; what is wrong with it is in test_load.py."""

from __future__ import annotations

import pytest

from lockgate.policy.lineage import ancestors


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
