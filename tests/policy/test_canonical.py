from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from lockgate.policy.canonical import digest, plain


@dataclass(frozen=True)
class Point:
    x: float
    names: frozenset[str]


def test_what_means_nothing_does_not_count() -> None:
    assert digest({"a": 1, "b": [frozenset({"x", "y", "z"})]}) == digest({"b": [{"z", "y", "x"}], "a": 1})
    assert digest(Point(1.0, frozenset("abc"))) == digest({"names": frozenset("cba"), "x": 1.0})


@pytest.mark.parametrize("other", [[1, 2, 3], [2, 1], ["1", 2], [1, [2]], [1, None], {"1": 2}])
def test_what_means_something_counts(other: object) -> None:
    assert digest([1, 2]) != digest(other)


def test_paths_and_numbers_are_text() -> None:
    assert plain([Path("/a"), Decimal("1.10")]) == ["/a", "1.10"]


def test_what_has_no_form_is_no_digest() -> None:
    with pytest.raises(TypeError, match="object"):
        digest([object()])
