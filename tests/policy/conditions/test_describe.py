"""How parts of conditions are named in messages."""

from __future__ import annotations

import pytest

from lockgate.policy.conditions.describe import describe, sketch, suggestion
from lockgate.policy.conditions.syntax import parse


@pytest.mark.parametrize(
    ("text", "described", "sketched"),
    [
        pytest.param("body.a[0]['x-y'].b", 'body.a[0]["x-y"].b', 'body.a[0]["x-y"].b', id="path"),
        pytest.param("null", "null", "null", id="null"),
        pytest.param("true", "true", "true", id="true"),
        pytest.param("body.a.contains('x')", "body.a.contains(...)", "body.a.contains(...)", id="method"),
        pytest.param("size(body.a)", "size(...)", "size(body.a)", id="function"),
        pytest.param("body.a <= 5", "this part", "body.a <= 5", id="comparison"),
        pytest.param("body.a + 1 <= 5", "this part", "(...) <= 5", id="within-a-comparison"),
        pytest.param("!body.a", "this part", "!body.a", id="not"),
        pytest.param("has(body.a.b)", "this part", "has(body.a.b)", id="has"),
        pytest.param("body.a.all(x, x == 1)", "this part", "body.a.all(...)", id="loop"),
        pytest.param("[1, 2]", "this part", "(...)", id="list"),
        pytest.param("[1, 2][0]", "this part[0]", "(...)", id="of-a-list"),
    ],
)
def test_parts(text: str, described: str, sketched: str) -> None:
    assert (describe(parse(text)), sketch(parse(text))) == (described, sketched)


MANY = [f"name-{number}" for number in range(108, 9, -1)]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(["host", "headers"], "did you mean headers?", id="close"),
        pytest.param(["b", "a"], "known here: a, b", id="far"),
        pytest.param([], "there are none here", id="none"),
        pytest.param([*MANY, "headers"], "did you mean headers?", id="close-among-many"),
        pytest.param([*MANY, "reader"], "did you mean reader?", id="close-by-its-end-among-many"),
        pytest.param([*MANY, "headline"], "did you mean headline?", id="two-more-letters-among-many"),
        pytest.param([*MANY, "healthier"], "100 are known here, as healthier", id="three-more-letters-among-many"),
        pytest.param(MANY, "99 are known here, as name-10", id="far-from-many"),
    ],
)
def test_suggestion(known: list[str], expected: str) -> None:
    assert suggestion("header", known) == expected
