"""`types:` of a rule: every wrong key and value is told what to write, at its key."""

from __future__ import annotations

import pytest

from lockgate.policy.conditions import compile_conditions
from lockgate.policy.conditions.declarations import parse_types, require_read
from lockgate.policy.conditions.fields import fields_read
from lockgate.policy.conditions.kinds import BOOL, NUMBER, STRING, list_of
from lockgate.policy.conditions.syntax import ConditionInvalid, parse, walk


def test_types() -> None:
    types = {"body.amount": "number", 'body["x-y"].tags': "list(string)", "principal.claims.admin": "bool"}
    assert parse_types(types) == {
        ("body", "amount"): NUMBER,
        ("body", "x-y", "tags"): list_of(STRING),
        ("principal", "claims", "admin"): BOOL,
    }


@pytest.mark.parametrize(
    "key",
    [
        "",
        "amount",
        "body",
        "principal.claims",
        "principal.subject",
        "request.query.limit",
        "lists.eu",
        "body.items[0].price",
        "body[path.id]",
        "body.x-y",
        "body.",
        "body..a",
        "body.a == 1",
        "has(body.a)",
        "body.a.all(x, x)",
    ],
)
def test_what_is_no_field(key: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        parse_types({key: "string"})
    assert caught.value.path == ("types", key)
    assert caught.value.message == (
        f"{key} is no field below body or principal.claims:"
        ' write its path, as body.amount or principal.claims["cost-center"]'
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("strng", "unknown type strng: did you mean string?", id="misspelt"),
        pytest.param("String", "unknown type String: did you mean string?", id="letter-case"),
        pytest.param("list(list)", "unknown type list(list): did you mean list(string)?", id="list-of-lists"),
        pytest.param(
            "timestamp",
            "JSON has no timestamp: declare string, and write timestamp(body.at) in the condition",
            id="timestamp",
        ),
        pytest.param(
            "duration",
            "JSON has no duration: declare string, and write duration(body.at) in the condition",
            id="duration",
        ),
        pytest.param(
            "x",
            "unknown type x: known here: bool, int, list, list(bool), list(number), list(string), map, number, string",
            id="unknown",
        ),
    ],
)
def test_what_is_no_type(name: str, message: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        parse_types({"body.at": name})
    assert (caught.value.path, caught.value.message) == (("types", "body.at"), message)


def test_one_field_in_two_spellings() -> None:
    with pytest.raises(ConditionInvalid, match=r"body\.a is declared twice: leave one out") as caught:
        parse_types({"body.a": "string", "body['a']": "string"})
    assert caught.value.path == ("types", "body['a']")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("body.x == 1", "no condition of this rule reads body.amount: known here: body.x", id="another"),
        pytest.param(
            "body.amuont == 1", "no condition of this rule reads body.amount: did you mean body.amuont?", id="misspelt"
        ),
        pytest.param("has(body.amount)", "no condition of this rule reads body.amount: leave it out", id="has-only"),
        pytest.param(
            "[body].all(b, b.amount == 1)",
            "no condition of this rule reads body.amount: leave it out",
            id="another-way",
        ),
    ],
)
def test_what_no_condition_reads(text: str, message: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        require_read({"body.amount": "number"}, fields_read(walk(parse(text))))
    assert (caught.value.path, caught.value.message) == (("types", "body.amount"), message)


def test_what_either_condition_reads_may_be_declared() -> None:
    types = {"body.a": "int", "body.b": "map"}
    when, unless = compile_conditions("body.a == 1", "body.b.c == 'x'", [], {}, types)
    assert when and unless and (when.text, unless.text) == ("body.a == 1", "body.b.c == 'x'")
