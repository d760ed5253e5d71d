"""Open fields: one type in all conditions of a rule, declared or inferred, at load and wherever they are read."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.errors import Unevaluable
from lockgate.policy.conditions import compile_condition, compile_conditions
from lockgate.policy.conditions.fields import compared_with_null, field_of, fields_read, written
from lockgate.policy.conditions.syntax import ConditionInvalid, parse, walk

LISTS = {"eu": ("DE", "FR"), "sizes": (1, 5)}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        pytest.param("body.a.b", ("body", "a", "b"), id="members"),
        pytest.param("body['x-y'].b", ("body", "x-y", "b"), id="index"),
        pytest.param("principal.claims.team", ("principal", "claims", "team"), id="claim"),
        pytest.param("body", None, id="the-body"),
        pytest.param("principal.claims", None, id="the-claims"),
        pytest.param("principal.subject", None, id="a-fact"),
        pytest.param("body.a[0]", None, id="element"),
        pytest.param("body[path.id]", None, id="not-constant"),
        pytest.param("other.a", None, id="a-variable"),
    ],
)
def test_what_is_a_field(text: str, path: tuple[str, ...] | None) -> None:
    assert field_of(parse(text)) == path


def test_a_path_is_written_as_conditions_have_it() -> None:
    assert written(("body", "a", "x-y", "b")) == 'body.a["x-y"].b'


def test_what_is_read() -> None:
    read = fields_read([*walk(parse("body.a.b == 1 || has(body.a.c)")), *walk(parse("body.d == null"))])
    assert read == {("body", "a", "b"): 1, ("body", "a"): 2, ("body", "d"): 1}
    assert compared_with_null(walk(parse("body.a != null && !(null == body['b']) && body.c in [null]"))) == {
        ("body", "a"),
        ("body", "b"),
    }


@pytest.mark.parametrize(
    ("when", "unless", "one", "other"),
    [
        pytest.param("body.a <= 5 && body.a == 'x'", None, "a number", "text", id="compared"),
        pytest.param("body.a == 'x' || body['a'] == 5", None, "text", "a number", id="by-index"),
        pytest.param("body.a == 5", "body.a == '5'", "a number", "text", id="in-unless"),
        pytest.param("body.a && body.a == 1", None, "true or false", "a number", id="true-and-1"),
        pytest.param("!body.a || body.a == 'true'", None, "true or false", "text", id="true-and-text"),
        pytest.param("body.a in lists.eu && body.a > 5", None, "text", "a number", id="named-list"),
        pytest.param("body.a in lists.sizes", "body.a in lists.eu", "a number", "text", id="two-named-lists"),
        pytest.param("body.a in ['x'] && body.a in [1]", None, "text", "a number", id="lists-written-out"),
        pytest.param("body.a.contains('x') && body.a > 5", None, "text", "a number", id="method"),
        pytest.param("size(body.a) > 2 && body.a > 5", None, "text or a list or a map", "a number", id="size"),
        pytest.param("int(body.a) > 2 && body.a.b == 5", None, "a number or text", "a map", id="members-of-a-number"),
        pytest.param("body.a.b == 1 && body.a[0] == 1", None, "a map", "a list", id="map-and-list"),
        pytest.param("has(body.a.b) && body.a == 'x'", None, "a map", "text", id="has"),
        pytest.param("5 in body.a && body.a.b == 1", None, "a list", "a map", id="in"),
        pytest.param("-body.a < 5 && body.a == 'x'", None, "a number", "text", id="negative"),
        pytest.param("body.a + 'x' == 'yx' && body.a > 5", None, "text", "a number", id="joined"),
        pytest.param("body.a + 1 > 5 && body.a * 2.0 > 1.0", None, "a whole number", "a decimal", id="arithmetic"),
        pytest.param("body.a ? true : body.a == 1", None, "true or false", "a number", id="test"),
        pytest.param("[1].all(x, body.a == x) && body.a == 'x'", None, "a number", "text", id="in-a-loop"),
        pytest.param(
            "size(body.a) < 9 && body.a.all(x, x) && body.a == 'x'", None, "a list or a map", "text", id="loop"
        ),
        pytest.param("body.a == body.b && body.a == 'x' && body.b == 5", None, "text", "a number", id="by-another"),
        pytest.param("body.a == body.b && body.b == 5", "body.a == 'x'", "text", "a number", id="by-another-in-unless"),
        pytest.param("principal.claims.a == 1 && principal.claims.a == 'x'", None, "a number", "text", id="claim"),
    ],
)
def test_one_field_of_two_types(when: str, unless: str | None, one: str, other: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        compile_conditions(when, unless, [], LISTS)
    message = caught.value.message
    assert f".a is {one} in " in message and f" and {other} in " in message
    assert message.endswith(".a: ...} says which it is")


@pytest.mark.parametrize(
    ("when", "unless", "expected"),
    [
        pytest.param(
            "body.a <= 5 && body.a == 'x'",
            None,
            (("when",), 22, 'body.a is a number in body.a <= 5 and text in body.a == "x"'),
            id="when",
        ),
        pytest.param(
            "body.a <= 5",
            "body.a.contains('x')",
            (
                ("unless",),
                6,
                "body.a is a number in body.a <= 5 and text in body.a.contains(...)",
            ),
            id="unless",
        ),
        pytest.param("body.a == 1", "body.b ==", (("unless",), 9, "a value is missing at the end"), id="syntax"),
        pytest.param("body.a + ", "body.b ==", (("when",), 9, "a value is missing at the end"), id="the-first-of-two"),
        pytest.param("true", "request.method", (("unless",), 7, "the condition is text"), id="no-truth"),
        pytest.param("true", "body.a.all(x, x)", (("unless",), 6, "all goes through body.a"), id="unbounded"),
    ],
)
def test_where_an_error_stands(when: str, unless: str | None, expected: tuple[tuple[str], int, str]) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        compile_conditions(when, unless, [])
    assert (caught.value.path, caught.value.offset) == expected[:2]
    assert caught.value.message.startswith(expected[2])


@pytest.mark.parametrize(
    ("text", "declared", "message"),
    [
        pytest.param(
            "body.a == 1",
            "string",
            "body.a is declared string under types, and a number in body.a == 1: mend one of them",
            id="compared",
        ),
        pytest.param(
            "body.a.b == 1",
            "number",
            "body.a is declared number under types, and a map in body.a.b: mend one of them",
            id="member",
        ),
        pytest.param(
            "body.a + 1.5 > 2.0",
            "int",
            "body.a is declared int under types, and a decimal in body.a + 1.5: mend one of them",
            id="arithmetic",
        ),
        pytest.param(
            "body.a", "string", "body.a is declared string under types, and true or false in body.a", id="whole"
        ),
        pytest.param("5 in body.a", "list(string)", "compares a number with text, which are never alike", id="in"),
        pytest.param("body.a[0] == 5", "list(string)", "compares text with a number, which are never", id="element"),
        pytest.param("body.a == [true]", "list(number)", "compares a list with a list, which are never", id="lists"),
        pytest.param(
            "size(body.a) < 9 && body.a.all(x, x > 5)", "list(string)", "compares text with a number", id="in-a-loop"
        ),
        pytest.param("body.a < now", "string", "compares text with a timestamp, which are never alike", id="instant"),
    ],
)
def test_what_is_declared_is_checked_at_load(text: str, declared: str, message: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        compile_condition(text, [], {}, {"body.a": declared})
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("body.at > now", "write timestamp(body.at)", id="instant"),
        pytest.param("now - now < body.age", "write duration(body.age)", id="duration"),
        pytest.param("now - body.at < duration('1h')", "write timestamp(body.at)", id="difference"),
        pytest.param("size(body.l) < 9 && body.l.all(x, x == now)", "write timestamp(x)", id="element"),
    ],
)
def test_json_has_no_instants(text: str, message: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        compile_condition(text, [])
    assert caught.value.message.endswith(message)


def test_types_that_follow_from_one_another_in_many_steps() -> None:
    chain = [f"body.a{each} == body.a{each + 1}" for each in range(20)]
    text = " && ".join([*chain, 'body.a20 == "x"'])
    with pytest.raises(ConditionInvalid) as caught:
        compile_condition(text, [])
    assert caught.value.message == (
        "the types of its fields follow from one another in too many steps: declare them under types"
    )
    compile_condition(text, [], types={f"body.a{each}": "string" for each in range(21)})
    compile_condition(" && ".join(['body.a20 == "x"', *reversed(chain)]), [])


def answer(text: str, body: Any, types: dict[str, str] | None = None) -> bool | None:
    """None where there is no certain answer."""
    try:
        return compile_condition(text, [], LISTS, types or {}).holds({"body": body})
    except Unevaluable:
        return None


@pytest.mark.parametrize(
    ("declared", "taken", "refused"),
    [
        pytest.param("string", ["", "5"], [5, True, None, ["a"], {"a": 1}], id="string"),
        pytest.param("number", [5, 5.5, -1, 0], ["5", True, None, [5]], id="number"),
        pytest.param("int", [5, 0, -1], [5.0, 5.5, "5", True, None], id="int"),
        pytest.param("bool", [True, False], [1, 0, "true", None, []], id="bool"),
        pytest.param("list", [[], [1, "a"]], ["a", {"a": 1}, None, 1], id="list"),
        pytest.param("map", [{}, {"a": 1}], [[], "a", None], id="map"),
        pytest.param("list(string)", [[], ["a"]], [[1], ["a", None], ["a", ["b"]], "a", None, {"a": 1}], id="texts"),
        pytest.param("list(number)", [[1, 2.5]], [[1, "2"], [True], [None]], id="numbers"),
        pytest.param("list(bool)", [[True]], [[1], ["true"], [None]], id="bools"),
    ],
)
def test_what_is_declared_is_checked_at_every_read(declared: str, taken: list[Any], refused: list[Any]) -> None:
    for value in taken:
        assert answer("body.a == body.b", {"a": value, "b": value}, {"body.a": declared}) is True
    for value in refused:
        assert answer("body.a == body.b", {"a": value, "b": value}, {"body.a": declared}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("body.a == null || body.a < 5", True, id="compared-with-null"),
        pytest.param("body.a != null && body.a < 5", False, id="guarded"),
        pytest.param("[body.a] == [body.a] || body.a < 5", None, id="not-compared-with-null"),
    ],
)
@pytest.mark.parametrize("types", [{}, {"body.a": "number"}], ids=["inferred", "declared"])
def test_null_is_taken_where_a_condition_compares_with_it(
    text: str, expected: bool | None, types: dict[str, str]
) -> None:
    assert answer(text, {"a": None}, types) is expected


@pytest.mark.parametrize(
    ("text", "body"),
    [
        pytest.param("body.a == body.b || body.a > 5", {"a": "x", "b": "x"}, id="text-for-a-number"),
        pytest.param("body.a == body.b || body.a > 5", {"a": True, "b": True}, id="true-for-a-number"),
        pytest.param("body.a != null || body.a > 5", {"a": "x"}, id="only-null-looked-for"),
        pytest.param("body.a == body.b || body.a in lists.eu", {"a": 1, "b": 1}, id="number-for-text"),
        pytest.param("body.a == body.b || body.a.startsWith('x')", {"a": ["x"], "b": ["x"]}, id="list-for-text"),
        pytest.param("[body.a] == [body.b] || body.a == 'x'", {"a": None, "b": None}, id="null"),
        pytest.param("string(body.a) == '5' || body.a < 5", {"a": "5"}, id="converted"),
        pytest.param("size(body.a) == 1 || body.a == 'x'", {"a": ["x"]}, id="size-of-a-list"),
        pytest.param("'x' in body.a || 5 in body.a", {"a": {"x": 1}}, id="map-for-a-list"),
        pytest.param("true ? body.a == body.b : body.a > 5", {"a": "x", "b": "x"}, id="conditional"),
        pytest.param("body.a == body.b || body.b == body.c || body.c > 5", {"a": "x", "b": "x", "c": "x"}, id="chain"),
        pytest.param("[0].exists(x, body.a == body.b) || body.a > 5", {"a": "x", "b": "x"}, id="in-a-loop"),
    ],
)
def test_what_is_inferred_is_checked_at_every_read(text: str, body: dict[str, Any]) -> None:
    assert answer(text, body) is None


def test_what_unless_takes_a_field_for_binds_when() -> None:
    when, unless = compile_conditions("body.a == body.b", "body.a > 5", [])
    assert when is not None and unless is not None
    assert when.holds({"body": {"a": 1, "b": 1}})
    with pytest.raises(Unevaluable, match=r"body\.a is of type string, not number"):
        when.holds({"body": {"a": "x", "b": "x"}})


@pytest.mark.parametrize(
    ("text", "body"),
    [
        pytest.param("body.a <= 5 && body.a >= 1.5", {"a": 2}, id="both-sorts-of-number"),
        pytest.param("body.a + 1 == 3 && body.a <= 2.5", {"a": 2}, id="whole-and-compared-with-a-decimal"),
        pytest.param("size(body.a) == 1 && body.a == ['x'] && 'x' in body.a", {"a": ["x"]}, id="a-list"),
        pytest.param("has(body.a) && body.a.b == 1 && 'b' in body.a", {"a": {"b": 1}}, id="a-map"),
        pytest.param("has(body.a) ? body.a == 'x' : true", {"a": "x"}, id="guarded"),
        pytest.param("body.k == 'n' ? body.n == 1 : body.t == 'x'", {"k": "t", "t": "x"}, id="two-fields"),
    ],
)
def test_one_type_in_several_places(text: str, body: dict[str, Any]) -> None:
    assert answer(text, body) is True


def test_conditions_are_optional() -> None:
    assert compile_conditions(None, None, []) == (None, None)
    when, unless = compile_conditions(None, "body.a == 1", [])
    assert when is None and unless is not None and unless.reads_body and hash(unless)
