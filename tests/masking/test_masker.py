"""Masks over whole documents."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.errors import MaskingFailed
from lockgate.masking import compile_masks
from lockgate.masking.digests import digest
from lockgate.masking.paths import Steps, children, find, parse
from lockgate.masking.strategies import DROP, STRENGTH, masked, strongest
from lockgate.model import Mask, Show

KEY = bytes(range(32))


def mask(path: str, kind: Any = "redact", argument: Any = None) -> Mask:
    return Mask(path, kind, argument, "support/read")


def show(*paths: str, rule: str = "support/read") -> Show:
    return Show(paths, rule)


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


CUSTOMER = {
    "id": 1,
    "name": "Ann",
    "address": {"city": "Hamburg", "street": "Elbe 1"},
    "orders": [{"id": 7, "card": "4111"}, {"card": "4222"}, {"id": 8, "note": None}],
    "tags": [],
}


@pytest.mark.parametrize(
    ("shows", "masks", "document", "expected", "counts"),
    [
        pytest.param([show("$.id", "$.name")], [], CUSTOMER, {"id": 1, "name": "Ann"}, 3, id="members"),
        pytest.param([show("$.address")], [], CUSTOMER, {"address": CUSTOMER["address"]}, 4, id="all-below"),
        pytest.param([show("$.address.city")], [], CUSTOMER, {"address": {"city": "Hamburg"}}, 5, id="on-the-way"),
        pytest.param(
            [show("$.orders[*].id")],
            [],
            CUSTOMER,
            {"orders": [{"id": 7}, {"id": 8}]},
            8,
            id="items-without-are-dropped",
        ),
        pytest.param([show("$.orders[1:].card")], [], CUSTOMER, {"orders": [{"card": "4222"}]}, 8, id="by-position"),
        pytest.param([show("$.orders[-1]")], [], CUSTOMER, {"orders": [{"id": 8, "note": None}]}, 6, id="from-the-end"),
        pytest.param([show("$.tags[*].id")], [], CUSTOMER, {"tags": []}, 4, id="an-empty-list-stays"),
        pytest.param([show("$.name.first")], [], CUSTOMER, {}, 5, id="a-scalar-on-the-way"),
        pytest.param([show("$.address.zip")], [], CUSTOMER, {"address": {}}, 6, id="named-and-nothing-in-it"),
        pytest.param([show("$..zip")], [], CUSTOMER, {}, 15, id="names-on-no-way-are-not-shown"),
        pytest.param([show("$.*.zip")], [], CUSTOMER, {}, 10, id="nor-by-a-wildcard"),
        pytest.param([show("$.orders[*].note.x")], [], CUSTOMER, {"orders": []}, 12, id="null-on-the-way"),
        pytest.param([show("$")], [], CUSTOMER, CUSTOMER, 0, id="everything"),
        pytest.param([show("$..*")], [], CUSTOMER, CUSTOMER, 0, id="every-depth"),
        pytest.param([show("$.a")], [], 5, None, 1, id="a-scalar-document"),
        pytest.param([show("$.a")], [], None, None, 1, id="null"),
        pytest.param([show("$")], [], 5, 5, 0, id="a-scalar-shown"),
        pytest.param([show("$.a")], [], [1, {"a": 2}], [], 2, id="names-do-not-reach-into-lists"),
        pytest.param([show("$[*].a")], [], [{"b": {"a": 1}}, {"a": {}}], [{"a": {}}], 2, id="shown-and-empty"),
        pytest.param([show("$[*].a.b")], [], [{"a": {"c": 1}}], [], 2, id="an-item-with-an-empty-way-is-dropped"),
        pytest.param(
            [show("$.address", "$.id"), show("$.address.city", "$.name")],
            [],
            CUSTOMER,
            {"address": {"city": "Hamburg"}},
            5,
            id="what-all-show",
        ),
        pytest.param(
            [show("$.address.city"), show("$.address.street")], [], CUSTOMER, {"address": {}}, 6, id="disjoint"
        ),
        pytest.param([show("$.address"), show("$.orders")], [], CUSTOMER, {}, 5, id="nothing-in-common"),
        pytest.param([show()], [], CUSTOMER, None, 1, id="no-paths"),
        pytest.param(
            [show("$.orders[*].card")],
            [mask("$.orders[1].card", "keep_last", 1)],
            CUSTOMER,
            {"orders": [{"card": "4111"}, {"card": "[redacted]2"}]},
            8,
            id="indices-are-of-what-came",
        ),
        pytest.param(
            [show("$.orders[1:]")],
            [mask("$.orders[0]"), mask("$.orders[2]", "nullify")],
            CUSTOMER,
            {"orders": [{"card": "4222"}, None]},
            5,
            id="not-of-what-is-kept",
        ),
        pytest.param(
            [show("$.address.city", "$.orders[*].id")],
            [mask("$.address"), mask("$.orders[*]", "replace", "order")],
            CUSTOMER,
            {"address": "[redacted]", "orders": ["order", "order"]},
            8,
            id="a-mask-above-what-is-shown",
        ),
        pytest.param([show("$.address.city")], [mask("$..city", "drop")], CUSTOMER, {"address": {}}, 5, id="drop"),
        pytest.param([show("$.a.b")], [mask("$.a", "drop")], {"a": {"b": 1, "c": 2}}, {}, 1, id="drop-on-the-way"),
        pytest.param([show("$.id")], [mask("$.name"), mask("$..card")], CUSTOMER, {"id": 1}, 4, id="masks-of-the-rest"),
        pytest.param([show("$.a.b")], [mask("$")], {"a": {"b": 1}, "c": 2}, "[redacted]", 1, id="root-masked"),
        pytest.param(
            [show("$.a.b")],
            [mask("$.a", "hash")],
            {"a": {"b": 1, "c": 2}},
            {"a": digest({"b": 1}, KEY)},
            1,
            id="a-hash-is-of-what-is-kept",
        ),
    ],
)
def test_shows(shows: list[Show], masks: list[Mask], document: Any, expected: Any, counts: int) -> None:
    before = copy.deepcopy(document)
    result, counted = compile_masks(masks, shows, KEY).apply(document)
    assert result == expected
    assert counted.get("show support/read", 0) == counts
    assert document == before


def test_each_show_counts_what_it_drops() -> None:
    shows = [show("$.a", "$.b", rule="role/one"), show("$.b", "$.c", rule="target crm")]
    _, counts = compile_masks([mask("$.b")], shows).apply({"a": 1, "b": 2, "c": 3, "d": 4})
    assert counts == {"show role/one": 2, "show target crm": 1, "$.b": 1}


@pytest.mark.parametrize(
    ("masks", "document", "left"),
    [
        pytest.param([], {"b": 1, "c": {"b": 2}}, {"b": 1, "c": {"b": 2}}, id="whole"),
        pytest.param([mask("$.a.b", "drop")], {"b": 1, "c": 2}, {"c": 2}, id="drop"),
        pytest.param(
            [mask("$..b")], {"b": 1, "c": {"b": 2}}, {"b": "[redacted]", "c": {"b": "[redacted]"}}, id="redact"
        ),
        pytest.param([mask("$.a.b", "hash")], {"b": 1}, {"b": 1}, id="another-hash"),
        pytest.param([mask("$.a.b", "keep_last", 2)], {"b": "abcdefg"}, {"b": "abcdefg"}, id="weaker"),
    ],
)
def test_a_hash_is_of_what_stronger_masks_leave(masks: list[Mask], document: Any, left: Any) -> None:
    masker = compile_masks([mask("$.a", "hash"), *masks], key=KEY)
    assert masker.apply({"a": document})[0] == {"a": digest(left, KEY)}


def test_equal_values_stay_equal_across_maskers() -> None:
    one, _ = compile_masks([mask("$.user.id", "hash")], key=KEY).apply({"user": {"id": "u-1"}})
    other, _ = compile_masks([mask("$[*].owner", "hash")], [show("$[*].owner")], KEY).apply([{"owner": "u-1", "x": 1}])
    assert one["user"]["id"] == other[0]["owner"]


def test_a_hash_needs_a_key() -> None:
    with pytest.raises(ValueError, match="key of 32 bytes"):
        compile_masks([mask("$.a", "hash")])


def test_names_in_any_letter_case() -> None:
    masker = compile_masks([mask("$.Ssn"), mask("$..['Straße']")], any_case=True)
    result, _ = masker.apply({"SSN": 1, "ssn": 2, "x": {"STRASSE": 3, "ssn": 4}})
    assert result == {"SSN": "[redacted]", "ssn": "[redacted]", "x": {"STRASSE": "[redacted]", "ssn": 4}}
    assert compile_masks([mask("$.ssn")]).apply({"SSN": 1})[0] == {"SSN": 1}


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


Place = tuple[str | int, ...]


def places(document: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value in the document, with the keys that lead to it."""
    yield at, document
    for key, child in children(document):
        yield from places(child, (*at, key))


def selected(trail: Steps, document: Any) -> set[Place]:
    """Where the values lie that a path selects, worked out step by step."""
    found: dict[Place, Any] = {(): document}
    for step in trail:
        bases = (
            {at: value for base, within in found.items() for at, value in places(within, base)} if step.deep else found
        )
        found = {
            (*base, key): child
            for base, node in bases.items()
            for key, child in children(node)
            if (step.takes_name(key) if isinstance(key, str) else step.takes_index(key, len(node)))
        }
    return set(found)


class Naive:
    """Masks and shows by what they mean, place by place."""

    def __init__(self, masks: list[Mask], shows: list[Show], document: Any) -> None:
        self.document = document
        self.masks = [(mask, selected(parse(mask.path), document)) for mask in masks]
        trails = [[parse(path) for path in each.paths] for each in shows]
        self.shown = [set().union(*(selected(trail, document) for trail in each)) for each in trails]
        self.named = [
            {
                place
                for trail in each
                for length, step in enumerate(trail, 1)
                if step.names is not None
                for place in selected(trail[:length], document)
            }
            for each in trails
        ]

    def whole(self, show: int, at: Place) -> bool:
        return any(at[:length] in self.shown[show] for length in range(len(at) + 1))

    def holds(self, at: Place, value: Any) -> bool:
        return any(all(self.whole(show, below) for show in range(len(self.shown))) for below, _ in places(value, at))

    def stays(self, at: Place, value: Any) -> bool:
        way = all(self.whole(show, at) or at in self.named[show] for show in range(len(self.shown)))
        container = isinstance(value, (dict, list))
        return self.holds(at, value) or (container and (way or at == ()))

    def of(self, at: Place, value: Any, floor: int = 0) -> Any:
        """What is seen of the value at this place; DROP for nothing."""
        if not self.stays(at, value):
            return DROP
        here = [mask for mask, where in self.masks if at in where]
        mask = strongest(here) if here else None
        if mask and STRENGTH[mask.kind] <= floor:
            mask = None
        below = floor if mask is None else STRENGTH["hash"] if mask.kind == "hash" else 9
        seen = value
        if isinstance(value, (dict, list)):
            kept = [(key, self.of((*at, key), child, below)) for key, child in children(value)]
            kept = [(key, child) for key, child in kept if child is not DROP]
            seen = dict(kept) if isinstance(value, dict) else [child for _, child in kept]
        return seen if mask is None else masked(mask, seen, KEY)

    def result(self) -> Any:
        found = self.of((), self.document)
        return None if found is DROP else found


KIND = st.sampled_from(
    [("drop", None), ("nullify", None), ("redact", None), ("replace", "x"), ("hash", None), ("keep_last", 1)]
)
MASK = st.builds(lambda path, kind: mask(path, *kind), PATH, KIND)
SHOW = st.builds(
    lambda paths, rule: show(*paths, rule=rule), st.lists(PATH, min_size=1, max_size=3), st.sampled_from("ab")
)
MASKS = st.lists(MASK, max_size=3)
SHOWS = st.lists(SHOW, max_size=2)


def seen(masks: list[Mask], shows: list[Show], document: Any) -> Any:
    return compile_masks(masks, shows, KEY).apply(document)[0]


@given(MASKS, SHOWS, JSON)
def test_it_is_what_the_rules_mean(masks: list[Mask], shows: list[Show], document: Any) -> None:
    before = copy.deepcopy(document)
    result = seen(masks, shows, document)
    assert result == Naive(masks, shows, document).result()
    assert document == before


@given(MASKS, SHOWS, JSON, st.randoms())
def test_no_order_means_anything(masks: list[Mask], shows: list[Show], document: Any, random: Random) -> None:
    first = compile_masks(masks, shows, KEY).apply(document)
    random.shuffle(masks)
    random.shuffle(shows)
    assert compile_masks(masks, shows, KEY).apply(document) == first


@given(SHOWS, JSON)
def test_a_show_invents_nothing(shows: list[Show], document: Any) -> None:
    result = seen([], shows, document)
    assert result is None or is_part(result, document)


def is_part(part: Any, whole: Any) -> bool:
    """Whether `part` is `whole` less some members and items."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and is_part(part[name], whole[name]) for name in part)
    if isinstance(part, list) and isinstance(whole, list):
        left = iter(whole)
        return all(any(is_part(element, candidate) for candidate in left) for element in part)
    return bool(part == whole)


@given(MASKS, SHOWS, st.one_of(MASK, SHOW), JSON)
def test_one_more_never_reveals_more(masks: list[Mask], shows: list[Show], more: Mask | Show, document: Any) -> None:
    """A value that has no influence on what is seen has none with one mask or show more.

    But for a hash: it is above `keep_last`, which shows nothing at all of a short value.
    """
    masks = [each for each in masks if each.kind != "keep_last"]
    with_more = ([*masks, more], shows) if isinstance(more, Mask) else (masks, [*shows, more])
    for at, value in places(document):
        if not isinstance(value, (dict, list)):
            other = changed(document, at)
            if seen(masks, shows, document) == seen(masks, shows, other):
                assert seen(*with_more, document) == seen(*with_more, other)


def changed(document: Any, at: Place) -> Any:
    """The document with another value at one place."""
    if not at:
        return document + 10
    copied = copy.copy(document)
    copied[at[0]] = changed(document[at[0]], at[1:])
    return copied


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


def test_one_for_many_documents_masks_as_one_for_each() -> None:
    masker = compile_masks([Mask("$..a", "redact"), Mask("$.l[-1]", "drop"), Mask("$.b.c", "hash")], key=b"k" * 32)
    sequence = masker.sequence()
    documents = [{"a": 1}, {"l": [1, 2, {"a": 1}]}, {"b": {"c": {"a": 2}}, "x": [[{"a": None}]]}, [], 7, {"l": [1]}]
    for document in documents * 3:
        assert sequence.apply(document) == masker.apply(document)


def test_one_for_many_documents_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.masking.masker.MANY", 5)
    masker = compile_masks([Mask(f"$..{name}..z", "redact") for name in "abcdefgh"])
    sequence = masker.sequence()
    for names in combinations("abcdefgh", 4):
        document: Any = {"z": 1}
        for name in names:
            document = {name: document}
        assert sequence.apply(document) == masker.apply(document)
        assert sequence._kept.size <= 5 + 10
