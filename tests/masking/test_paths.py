"""JSONPath: our walk selects what jsonpath-ng selects."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_ng.ext.parser import parse as oracle

from lockgate.masking.paths import children, covers, find, may_meet, parse, parsed

DOCUMENT: dict[str, Any] = {
    "a": {"b": 1, "c": [1, 2, {"b": 3}]},
    "b": [{"b": [4, 5]}, {"b": {"b": 6}}],
    "a.b": {"first name": 7, "*": 8},
    "é": 9,
    "": 10,
    "list": [[11, 12], [13]],
}
PATHS = [
    "$",
    "$.a",
    "$.a.b",
    "$.nothing",
    "$..b",
    "$..b.b",
    "$..b..b",
    "$..c[2].b",
    "$.b[*].b",
    "$.b[0].b[1]",
    "$.b[-1]",
    "$.b[5]",
    "$.b[0,1]",
    "$.a.c[1:]",
    "$.a.c[:-1]",
    "$.a.c[::2]",
    "$.a.c[::-1]",
    "$.*",
    "$..*",
    "$[*]",
    "$.list[*][*]",
    "$.list..[0]",
    "$.a.c.b",
    "$.a[0]",
    "$['a.b']",
    "$['a.b']['first name']",
    "$['a.b']['*']",
    "$..['first name']",
    "$['a', 'b']",
    '$."a.b"',
    "$['é']",
    "$.(a.b)",
    "$..(a.b)",
]


PLAIN = [".a", "..a", ".B9", "[*]", "..b", ".len", ".keys", ".where", ".parent", ".x1y", ".a_b", ".where_", ".*", "..*"]
PLAIN += ["..[*]", "['a b']", "..['a.b']", "['$']", "['@x-y']", "['.where']", "['parent']", "[0]", "[-1]", "..[007]"]


@given(st.lists(st.sampled_from(PLAIN)).map("".join))
def test_plain_paths_are_read_as_jsonpath_ng_reads_them(rest: str) -> None:
    try:
        expected: object = parsed("$" + rest)
    except ValueError as error:
        expected = str(error)
    try:
        found: object = parse("$" + rest)
    except ValueError as error:
        found = str(error)
    assert found == expected


def test_a_path_has_an_end() -> None:
    with pytest.raises(ValueError, match="at most 100 steps"):
        parse("$" + ".a" * 5000)


def by_oracle(path: str, document: Any) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return [match.value for match in oracle(path).find(document)]


def identities(values: list[Any]) -> list[str]:
    return sorted(map(repr, values))


@pytest.mark.parametrize("path", PATHS)
def test_selects_what_jsonpath_ng_selects(path: str) -> None:
    assert selects_the_same(path, DOCUMENT)


def selects_the_same(path: str, document: Any) -> bool:
    """jsonpath-ng lists a value once for every way that `..` finds to it; a value is selected or it is not."""
    ours, theirs = identities(find(path, document)), identities(by_oracle(path, document))
    return set(ours) == set(theirs) if path.count("..") > 1 else ours == theirs


JSON = st.recursive(
    st.integers(0, 3),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=12,
)
STEP = st.sampled_from([".a", ".b", "..a", "..b", "[*]", ".*", "[0]", "[1]", "[-1]", "[1:]", "['a','c']"])


@given(st.lists(STEP, max_size=4).map(lambda steps: "$" + "".join(steps)), JSON)
def test_agrees_with_jsonpath_ng(path: str, document: Any) -> None:
    assert selects_the_same(path, document)


COVERED = [
    ("$", "$"),
    ("$", "$.a"),
    ("$", "$..*"),
    ("$.a", "$.a"),
    ("$.a", "$.a.b"),
    ("$.a", "$.a..b[0]"),
    ("$.*", "$.a"),
    ("$.*", "$[3]"),
    ("$.*", "$..a"),
    ("$..*", "$..a.b"),
    ("$..a", "$.x.a"),
    ("$..a", "$..a"),
    ("$..a", "$..b.a"),
    ("$..a", "$..a..b"),
    ("$..a.b", "$.a.b.c"),
    ("$..a..b", "$..a.x.b"),
    ("$..a..b", "$.a.a.b"),
    ("$..b", "$..a..b"),
    ("$.x..b", "$.x.y.z.b"),
    ("$['a','b']", "$.a"),
    ("$['a','b']", "$['b','a'].c"),
    ("$.l[*]", "$.l[0]"),
    ("$.l[*]", "$.l[1:].x"),
    ("$.l[:]", "$.l[-1]"),
    ("$.l[0:]", "$.l[2]"),
    ("$.l[0,1]", "$.l[1]"),
    ("$.l[1:]", "$.l[1:].x"),
    ("$..[0]", "$.l[0]"),
    ("$.*.*", "$.a[*].b"),
]
NOT_COVERED = [
    ("$.a", "$"),
    ("$.a.b", "$.a"),
    ("$.a", "$.b"),
    ("$.a", "$.*"),
    ("$.a", "$..a"),
    ("$.*", "$"),
    ("$.*.*", "$.a"),
    ("$..a", "$..b"),
    ("$..a", "$..*"),
    ("$..a.b", "$..b"),
    ("$..a..b", "$..b..a"),
    ("$.a.b", "$.a..b"),
    ("$['a','b']", "$['a','c']"),
    ("$.a", "$['a','b']"),
    ("$.l[0]", "$.l[*]"),
    ("$.l[0]", "$.l[-1]"),
    ("$.l[1:]", "$.l[0]"),
    ("$.l[0]", "$.l.x"),
    ("$.l[:]", "$.l.x"),
    ("$.l.x", "$.l[*]"),
    ("$.l[:]", "$.l.*"),
    ("$.x..a", "$..a"),
]


@pytest.mark.parametrize(("outer", "inner"), COVERED)
def test_covers(outer: str, inner: str) -> None:
    assert covers(parse(outer), parse(inner))


@pytest.mark.parametrize(("outer", "inner"), NOT_COVERED)
def test_does_not_cover(outer: str, inner: str) -> None:
    assert not covers(parse(outer), parse(inner))


APART = [
    ("$.a", "$.b"),
    ("$.a", "$.b.a"),
    ("$.a.b", "$.a.c"),
    ("$.a.b", "$.a.c..b"),
    ("$.a[*].b", "$.a[*].c"),
    ("$.a[*].b", "$.a[0].c"),
    ("$.a[0]", "$.a[1]"),
    ("$.a[-1]", "$.a[-2].x"),
    ("$['a','b']", "$['c','d']"),
    ("$.a.b", "$.*.c"),
    ("$.a[1:]", "$.a.b"),
    ("$.a[*].b", "$.a.b.c"),
]


@pytest.mark.parametrize(("show", "mask"), APART)
def test_a_mask_that_no_shown_value_meets(show: str, mask: str) -> None:
    assert not may_meet(parse(show), parse(mask))
    assert not may_meet(parse(mask), parse(show))


MEETING = [
    ("$", "$.a"),
    ("$.a", "$"),
    ("$.a", "$.a"),
    ("$.a", "$.a.b"),
    ("$.a.b", "$.a"),
    ("$.a", "$..b"),
    ("$..a", "$.b.c"),
    ("$..a", "$..b"),
    ("$.a.b", "$.a.*"),
    ("$.a[0]", "$.a[-1]"),
    ("$.a[0]", "$.a[1:]"),
    ("$.a[0,1]", "$.a[1,2]"),
    ("$.*", "$[0]"),
    ("$['a','b']", "$['b','c']"),
]


@pytest.mark.parametrize(("show", "mask"), MEETING)
def test_a_mask_that_a_shown_value_may_meet(show: str, mask: str) -> None:
    assert may_meet(parse(show), parse(mask))


def labelled(document: Any) -> Any:
    """The same document, its values to be told from each other by their identity."""
    if isinstance(document, dict):
        return {name: labelled(value) for name, value in document.items()}
    return [labelled(value) for value in document] if isinstance(document, list) else object()


def within(values: list[Any]) -> set[int]:
    """These values and all below them, by identity."""
    found = set()
    while values:
        found |= {id(value) for value in values}
        values = [child for value in values for _, child in children(value)]
    return found


ANY_PATH = st.lists(STEP, max_size=3).map(lambda steps: "$" + "".join(steps))


@given(ANY_PATH, ANY_PATH, st.lists(JSON, min_size=5, max_size=5))
def test_what_is_said_of_two_paths_holds_in_every_document(one: str, other: str, documents: list[Any]) -> None:
    surely, maybe = covers(parse(one), parse(other)), may_meet(parse(one), parse(other))
    for document in map(labelled, documents):
        first, second = find(one, document), find(other, document)
        assert not surely or within(second) <= within(first)
        assert maybe or (within(first).isdisjoint(map(id, second)) and within(second).isdisjoint(map(id, first)))


def test_long_paths_are_compared_in_time() -> None:
    deep = parse("$" + "..a..b" * 12)
    assert covers(deep, deep)
    assert may_meet(deep, parse("$" + "..b" * 24))
    assert not covers(parse("$" + "..a.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.b"), parse("$" + "..a" * 16 + "..c"))


def test_values_come_in_the_order_of_the_document() -> None:
    assert find("$.roles[*]", {"roles": ["b", "a", "c"]}) == ["b", "a", "c"]
    assert find("$..x", {"x": 1, "y": [{"x": 2}, {"z": {"x": 3}}]}) == [1, 2, 3]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("", "a path starts with \\$", id="empty"),
        pytest.param("name", "a path starts with \\$", id="relative"),
        pytest.param("@.name", "a path starts with \\$", id="current"),
        pytest.param("$.", "not a JSONPath", id="ends-early"),
        pytest.param("$..", "not a JSONPath", id="ends-early-deep"),
        pytest.param("$.a[", "not a JSONPath", id="open-bracket"),
        pytest.param("$.first name", "not a JSONPath", id="space"),
        pytest.param("$.é", "not a JSONPath", id="not-ascii"),
        pytest.param("$.where", "not a JSONPath", id="keyword"),
        pytest.param("$.a[?(@.b == 1)]", "filters, functions", id="filter"),
        pytest.param("$.a | $.b", "filters, functions", id="union"),
        pytest.param("$.a.`len`", "filters, functions", id="function"),
        pytest.param("$.a.`parent`", "filters, functions", id="parent"),
        pytest.param("$.a + 1", "filters, functions", id="arithmetic"),
        pytest.param("$.a.$", "filters, functions", id="root-again"),
        pytest.param("$.a where b", "filters, functions", id="where"),
        pytest.param("$.a[::0]", "filters, functions", id="step-of-nothing"),
    ],
)
def test_wrong_paths(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(path)


def test_depth_is_no_crash() -> None:
    document: Any = {"x": 1}
    for _ in range(20_000):
        document = {"y": document}
    assert find("$..x", document) == [1]
