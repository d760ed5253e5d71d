"""Names that a target may read in another spelling."""

from __future__ import annotations

import pytest

from lockgate.errors import Unevaluable
from lockgate.policy.conditions.spellings import Once, by_letters, cost_of_folding, folded, spellings


def test_once() -> None:
    found = Once("header", {"a": ("1",), "b": ("1", "2")})
    assert (found.times("a"), found.times("b"), found.times("c")) == (1, 2, 0)
    assert (found["a"], "b" in found, "c" in found, list(found), len(found)) == ("1", True, False, ["a", "b"], 2)
    with pytest.raises(Unevaluable, match="a header is given 2 times"):
        found["b"]
    with pytest.raises(KeyError):
        found["c"]


@pytest.mark.parametrize("name", ["Tag", "tag[]", " tag", "tag[x]"])
def test_another_spelling_is_no_answer(name: str) -> None:
    found = Once("query parameter", {name: ("1",)})
    with pytest.raises(Unevaluable, match="a query parameter is given in another spelling"):
        found["tag"]
    with pytest.raises(Unevaluable, match="a query parameter is given in another spelling"):
        assert "tag" in found


@pytest.mark.parametrize("name", ["a", "A[B]", "a[b][c]", "a[]", "a[b][]"])
def test_another_spelling_of_a_member_is_no_answer(name: str) -> None:
    found = Once("field of the form", {"a[b]": ("1",), name: ("2",)})
    with pytest.raises(Unevaluable, match="a field of the form is given in another spelling"):
        found["a[b]"]


def test_a_member_beside_others() -> None:
    found = Once("field of the form", {"a[b]": ("1",), "a[c]": ("2",), "d": ("3",)})
    assert (found["a[b]"], found["a[c]"], "a[d]" in found) == ("1", "2", False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A.b c", "a_b_c"),
        (" a ", "a"),
        ("a[]", "a"),
        ("a[12]", "a"),
        ("a[x]", "a[x]"),
        ("a[x", "a_x"),
        ("a[b[c", "a_b_c"),
        ("a[b]c[d", "a[b]c[d"),
    ],
)
def test_folded(name: str, expected: str) -> None:
    assert folded(name) == expected


def test_a_member_is_also_of_its_object() -> None:
    assert spellings("A[b]") == {"a[b]", "a"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], {}, id="none"),
        pytest.param(["a", "B"], {"a": "a", "b": "B"}, id="one-spelling-each"),
        pytest.param(["a", "b", "A"], {"a": None, "b": "b"}, id="several"),
        pytest.param(["k", "\u212a", "K"], {"k": None}, id="letters-that-fold-to-ascii"),
    ],
)
def test_by_letters(names: list[str], expected: dict[str, str | None]) -> None:
    assert by_letters(names) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["name"] * 160, 10, id="ascii"),
        pytest.param(["\u00e9"] * 16, 17, id="beyond-ascii"),
        pytest.param(["\u00e9" * 4000], 501, id="long"),
    ],
)
def test_cost_of_folding(names: list[str], expected: int) -> None:
    assert cost_of_folding(names) == expected
