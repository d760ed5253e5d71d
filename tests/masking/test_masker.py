"""Masks over whole documents."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import MaskingFailed
from lockgate.masking import compile_masks
from lockgate.masking.paths import find
from lockgate.model import Mask


def mask(path: str, kind: Any = "redact", argument: Any = None) -> Mask:
    return Mask(path, kind, argument, "support/read")


@pytest.mark.parametrize(
    ("masks", "document", "expected", "counts"),
    [
        pytest.param([mask("$.a")], {"a": 1, "b": 2}, {"a": "[redacted]", "b": 2}, {"$.a": 1}, id="one"),
        pytest.param([mask("$.a")], {"b": 2}, {"b": 2}, {}, id="not-there"),
        pytest.param([mask("$.a")], [{"a": 1}], [{"a": 1}], {}, id="names-do-not-reach-into-lists"),
        pytest.param([mask("$")], {"a": 1}, "[redacted]", {"$": 1}, id="root"),
        pytest.param([mask("$", "nullify")], [1], None, {"$": 1}, id="root-nullified"),
        pytest.param([mask("$..x")], 5, 5, {}, id="scalar-document"),
        pytest.param([], {"a": 1}, {"a": 1}, {}, id="no-masks"),
        pytest.param(
            [mask("$..x")],
            {"x": 1, "y": [{"x": 2}, [{"x": 3}]], "z": {"z": {"x": {"x": 4}}}},
            {"x": "[redacted]", "y": [{"x": "[redacted]"}, [{"x": "[redacted]"}]], "z": {"z": {"x": "[redacted]"}}},
            {"$..x": 4},
            id="every-depth",
        ),
        pytest.param(
            [mask("$.users[*].ssn"), mask("$..email", "keep_last", 4)],
            {"users": [{"ssn": "1", "email": "ann@mail.example"}, {"email": "b@c"}]},
            {"users": [{"ssn": "[redacted]", "email": "[redacted]mple"}, {"email": "[redacted]"}]},
            {"$.users[*].ssn": 1, "$..email": 2},
            id="two-masks",
        ),
        pytest.param(
            [mask("$['a.b']"), mask("$['first name']")],
            {"a.b": 1, "first name": 2, "a": {"b": 3}},
            {"a.b": "[redacted]", "first name": "[redacted]", "a": {"b": 3}},
            {"$['a.b']": 1, "$['first name']": 1},
            id="quoted-names",
        ),
        pytest.param(
            [mask("$.a[1]", "drop"), mask("$.a[-1]", "nullify")],
            {"a": [1, 2, 3]},
            {"a": [1, None]},
            {"$.a[1]": 1, "$.a[-1]": 1},
            id="elements",
        ),
        pytest.param([mask("$.a[*]", "drop")], {"a": [1, 2, 3]}, {"a": []}, {"$.a[*]": 3}, id="drop-all-elements"),
        pytest.param(
            [mask("$..x", "drop")], {"x": 1, "y": {"x": 2, "z": 3}}, {"y": {"z": 3}}, {"$..x": 2}, id="drop-names"
        ),
        pytest.param(
            [mask("$.a[1:]")], {"a": [1, 2, 3]}, {"a": [1, "[redacted]", "[redacted]"]}, {"$.a[1:]": 2}, id="slice"
        ),
        pytest.param(
            [mask("$.a", "keep_last", 4)],
            {"a": {"b": "secret-secret"}},
            {"a": "[redacted]"},
            {"$.a": 1},
            id="keep-of-an-object",
        ),
        pytest.param(
            [mask("$.a"), mask("$.a.b", "drop")],
            {"a": {"b": 1}},
            {"a": "[redacted]"},
            {"$.a": 1},
            id="within-a-masked-value",
        ),
        pytest.param(
            [mask("$.a", "replace", "x"), mask("$..b", "nullify")],
            {"a": {"b": 1}, "b": 2},
            {"a": "x", "b": None},
            {"$.a": 1, "$..b": 1},
            id="within-and-without",
        ),
        pytest.param([mask("$.a"), mask("$..a", "drop")], {"a": 1}, {}, {"$..a": 1}, id="the-stronger-wins"),
        pytest.param(
            [mask("$..a", "keep_last", 2), mask("$.a", "keep_first", 2)],
            {"a": "abcdefgh"},
            {"a": "[redacted]"},
            {"$.a": 1},
            id="both-ends",
        ),
        pytest.param(
            [mask("$.*")], {"a": 1, "b": {"c": 2}}, {"a": "[redacted]", "b": "[redacted]"}, {"$.*": 2}, id="every-name"
        ),
        pytest.param([mask("$..*")], {"a": [1]}, {"a": "[redacted]"}, {"$..*": 1}, id="everything"),
        pytest.param([mask("$.a.b")], {"a": None}, {"a": None}, {}, id="through-null"),
    ],
)
def test_masks(masks: list[Mask], document: Any, expected: Any, counts: dict[str, int]) -> None:
    assert compile_masks(masks).apply(document) == (expected, counts)


def test_order_of_masks_means_nothing() -> None:
    masks = [mask("$..a", "drop"), mask("$.b.a"), mask("$.b", "keep_last", 2), mask("$.c[0]", "nullify")]
    document = {"a": 1, "b": {"a": 2}, "c": [3]}
    results = {repr(compile_masks(order).apply(copy.deepcopy(document))[0]) for order in (masks, masks[::-1])}
    assert len(results) == 1


JSON = st.recursive(
    st.integers(0, 3),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=15,
)
STEP = st.sampled_from([".a", ".b", "..a", "..b", "[*]", ".*", "[0]", "[-1]", "[1:]"])
PATH = st.lists(STEP, min_size=1, max_size=3).map(lambda steps: "$" + "".join(steps))


@given(st.lists(PATH, min_size=1, max_size=3), JSON)
def test_nothing_selected_is_left(paths: list[str], document: Any) -> None:
    result, counts = compile_masks([mask(path) for path in paths]).apply(copy.deepcopy(document))
    for path in paths:
        assert all(value == "[redacted]" for value in find(path, result))
    assert sum(counts.values()) == repr(result).count("[redacted]")


@given(st.lists(PATH, min_size=1, max_size=3), JSON)
def test_nothing_else_is_touched(paths: list[str], document: Any) -> None:
    selected = [id(value) for path in paths for value in find(path, document) if isinstance(value, (dict, list))]
    if any(find(path, document) for path in paths):
        return
    assert not selected
    assert compile_masks([mask(path) for path in paths]).apply(copy.deepcopy(document)) == (document, {})


def test_depth_is_no_crash() -> None:
    document: Any = {"x": "secret"}
    for _ in range(50_000):
        document = [document]
    result, counts = compile_masks([mask("$..x")]).apply(document)
    assert counts == {"$..x": 1}
    while isinstance(result, list):
        (result,) = result
    assert result == {"x": "[redacted]"}


def test_what_is_no_document_is_a_failure() -> None:
    with pytest.raises(MaskingFailed):
        compile_masks([mask("$..x")]).apply({5: {"x": 1}, "a": FrozenDict(x=1)})


class FrozenDict(dict[str, Any]):
    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("frozen")


def test_a_masker_is_used_again() -> None:
    masker = compile_masks([mask("$..x")])
    assert masker.apply({"x": 1}) == ({"x": "[redacted]"}, {"$..x": 1})
    assert masker.apply([{"x": 1}, {"x": 2}])[1] == {"$..x": 2}


def test_large_documents_take_time_by_their_size() -> None:
    document = {"users": [{"id": n, "ssn": "1", "name": {"first": "a"}, "tags": [1, 2]} for n in range(20_000)]}
    masks = [mask("$..ssn"), mask("$.users[*].name.first"), mask("$..email"), mask("$..tags[0]")]
    started = time.perf_counter()
    _, counts = compile_masks(masks).apply(document)
    assert counts == {"$..ssn": 20_000, "$.users[*].name.first": 20_000, "$..tags[0]": 20_000}
    assert time.perf_counter() - started < 3
