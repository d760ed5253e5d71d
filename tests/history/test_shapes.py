from __future__ import annotations

import random
import string

import pytest

from lockgate.history.shapes import EVIDENCE, MAX_TEMPLATES, Shapes, Template, kind_of


def templates(*paths: str, evidence: int = EVIDENCE) -> list[Template]:
    shapes = Shapes(evidence)
    for path in paths:
        shapes.add(path)
    return shapes.templates()


@pytest.mark.parametrize(
    ("part", "prefix"),
    [
        pytest.param("7", "", id="number"),
        pytest.param("2026-11-01", "", id="date"),
        pytest.param("8f14e45f-ceea-467f-a8d3-6f1f0d2b1c5e", "", id="uuid"),
        pytest.param("507f1f77bcf86cd799439011", "", id="hex"),
        pytest.param("cus_9s6XKz", "cus_", id="prefix"),
        pytest.param("ORD-20261", "ORD-", id="prefix-with-a-dash"),
    ],
)
def test_names_of_one_thing_among_many(part: str, prefix: str) -> None:
    kind = kind_of(part)
    assert kind is not None
    assert kind[1] == prefix


@pytest.mark.parametrize(
    "part",
    [
        "",
        "v1",
        "customers",
        "deadbeefdead",
        "admin1",
        "cus_abcd",
        "a.b",
        "%41b",
        "x1",
        "cus_12",
        "*",
        "1*2",
        "[redacted]",
    ],
)
def test_words_are_no_names(part: str) -> None:
    assert kind_of(part) is None


def test_names_become_one_template_with_evidence() -> None:
    assert templates(*(f"/v1/customers/{n}" for n in range(4))) == [
        Template(f"/v1/customers/{n}", 1, 1) for n in range(4)
    ]
    assert templates(*(f"/v1/customers/{n}" for n in range(5))) == [Template("/v1/customers/*", 5, 5)]
    assert templates(*(["/v1/customers/7"] * 100)) == [Template("/v1/customers/7", 100, 1)]


def test_each_place_needs_its_own_evidence() -> None:
    found = templates(*(f"/c/{customer}/orders/{order}" for customer in (1, 2) for order in range(9)))
    assert [each.path for each in found] == ["/c/1/orders/*", "/c/2/orders/*"]
    found = templates(*(f"/c/{number}/orders/{number}" for number in range(9)))
    assert [each.path for each in found] == ["/c/*/orders/*"]


def test_another_kind_or_word_is_another_path() -> None:
    paths = [f"/c/{number}" for number in range(9)] + ["/c/2026-11-01", "/c/export", "/c/1/delete"]
    assert [each.path for each in templates(*paths)] == ["/c/*", "/c/1/delete", "/c/2026-11-01", "/c/export"]


def test_a_prefix_stays() -> None:
    assert [each.path for each in templates(*(f"/c/cus_{n}x99" for n in range(5)))] == ["/c/cus_*"]


def test_who_asks_for_many_words_gets_no_template() -> None:
    """An agent that an allow of `/**` lets ask for anything."""
    letters = random.Random(7)
    words = {"".join(letters.choices(string.ascii_lowercase, k=8)) for _ in range(100)}
    found = templates(*(f"/admin/{word}" for word in words))
    assert sorted(each.path for each in found) == sorted(f"/admin/{word}" for word in words)


@pytest.mark.parametrize("path", ["/a/w{}x", "/{}/1/2/3/4", "/1/2/3/4/5/6/7/8/9/{}w"])
def test_what_is_kept_is_bounded(path: str) -> None:
    shapes = Shapes(1000)
    for number in range(10 * MAX_TEMPLATES):
        shapes.add(path.format("abcdefghij"[number % 10] * (number // 10 + 1)))
        assert sum(len(group.paths) for group in shapes.groups.values()) <= MAX_TEMPLATES + 1
    assert (shapes.full, shapes.templates(), shapes.requests) == (True, [], 10 * MAX_TEMPLATES)


def test_many_numbers_that_are_no_evidence_are_bounded() -> None:
    shapes = Shapes(1000)
    for number in range(3 * MAX_TEMPLATES):
        shapes.add(f"/{number % 900}/{number % 901}")
    assert (shapes.full, shapes.groups) == (True, {})


def test_counts_survive_the_template() -> None:
    found = templates(*(f"/c/{number % 7}" for number in range(70)))
    assert [(each.path, each.requests) for each in found] == [("/c/*", 70)]
