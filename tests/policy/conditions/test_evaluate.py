"""Law 2: a condition is true, false, or has no certain answer, and nothing hides which."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.json import parse as parse_json
from lockgate.errors import Unevaluable
from lockgate.model import HttpFacts, Principal, Unreadable
from lockgate.policy.authorize import Environment
from lockgate.policy.conditions import compile_condition
from lockgate.policy.conditions.evaluate import compiled
from lockgate.policy.conditions.evaluation import MAX_STEPS, Evaluation
from lockgate.policy.conditions.syntax import ConditionInvalid, parse

NOW = datetime(2030, 6, 15, 14, 30, tzinfo=UTC)
PRINCIPAL = Principal(
    issuer="https://login.example",
    subject="agent-7",
    roles=("support", "reader"),
    expires_at=0.0,
    claims={"department": "sales", "level": 3, "odd": float("nan"), "groups": ["a", None]},
)
BODY = {
    "amount": 500,
    "price": 9.5,
    "currency": "EUR",
    "flag": True,
    "nothing": None,
    "empty": [],
    "list": [1, 2, 3],
    "mixed": [1, "a"],
    "items": [{"id": 1, "ok": True}, {"id": 2}],
    "nested": {"a": {"b": 1}},
    "twice": "tag",
    "limit": "LIMIT",
    "id": 2**53 + 1,
    "half": "\ud800",
    "very_long": "a" * 65_537,
}
FACTS = HttpFacts(
    method="POST",
    host="api.crm.example",
    path="/v1/refunds",
    query={"limit": ("5",), "tag": ("a", "b"), "none": ("",)},
    headers={"content-type": ("application/json",), "x-twice": ("1", "1")},
    body=BODY,
)


def holds(text: str, body: Any = BODY) -> bool:
    facts = HttpFacts(FACTS.method, FACTS.host, FACTS.path, FACTS.query, FACTS.headers, body)
    bound = Environment(PRINCIPAL, facts, NOW)
    bound.captures = {"id": "7"}
    return compile_condition(text, ["id"]).holds(bound)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("body.amount <= 500 && body.currency == 'EUR'", True, id="both"),
        pytest.param("body.amount > 500", False, id="greater"),
        pytest.param("body.amount == 500.0", True, id="whole-and-decimal-by-value"),
        pytest.param("body.price == 9.5 && body.price < 10", True, id="decimal"),
        pytest.param("has(body.x) && body.x > 1", False, id="guard-stops"),
        pytest.param("!has(body.x) || body.x > 1", True, id="guard-stops-or"),
        pytest.param("has(body.amount) && body.amount > 1", True, id="guard-passes"),
        pytest.param("has(body.x) ? body.x > 1 : true", True, id="guard-of-a-conditional"),
        pytest.param("has(body.nothing)", True, id="null-is-there"),
        pytest.param("body.nothing == null && body.amount != null", True, id="null"),
        pytest.param("'x' in body", False, id="name-not-there"),
        pytest.param("'amount' in body", True, id="name-there"),
        pytest.param("2 in body.list && !(4 in body.list)", True, id="in-list"),
        pytest.param("1 in body.empty", False, id="in-empty-list"),
        pytest.param("'support' in principal.roles", True, id="role"),
        pytest.param("principal.roles == ['support', 'reader']", True, id="roles-are-a-list"),
        pytest.param("principal.claims.department == 'sales'", True, id="claim"),
        pytest.param("path.id == '7'", True, id="capture"),
        pytest.param("request.query.limit == '5'", True, id="query"),
        pytest.param("int(request.query.limit) <= 5", True, id="query-as-number"),
        pytest.param("request.query_all.tag == ['a', 'b']", True, id="all-values"),
        pytest.param("has(request.query.tag) && !has(request.query.other)", True, id="has-needs-no-value"),
        pytest.param("'x-twice' in request.headers", True, id="in-needs-no-value"),
        pytest.param("request.headers['content-type'].startsWith('application/')", True, id="header"),
        pytest.param(
            "size(body.list) <= 9 && body.list.all(x, x > 0) && body.list.exists(x, x == 3)", True, id="all-and-exists"
        ),
        pytest.param("size(body.list) <= 9 && body.list.exists_one(x, x > 2)", True, id="exists-one"),
        pytest.param(
            "size(body.list) < 9 && body.list.filter(x, x > 1).map(x, x * 2) == [4, 6]", True, id="filter-and-map"
        ),
        pytest.param("size(body.nested) < 9 && body.nested.exists(name, name == 'a')", True, id="names-of-an-object"),
        pytest.param("size(body.empty) < 9 && body.empty.all(x, x.nothing)", True, id="all-of-nothing"),
        pytest.param("size(body.items) < 9 && body.items.exists(i, i.ok)", True, id="stops-at-the-first"),
        pytest.param("body.nested == {'a': {'b': 1.0}}", True, id="deep-equality"),
        pytest.param("body.nested == {'a': {'c': 1}}", False, id="other-names"),
        pytest.param("body.list == [1, 2]", False, id="other-length"),
        pytest.param("now.getHours() == 14 && now.getFullYear() == 2030", True, id="time-of-day"),
        pytest.param("now - timestamp('2030-06-15T12:00:00+02:00') == duration('4h30m')", True, id="age"),
        pytest.param("7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1 && 7 % -3 == 1", True, id="whole-division"),
        pytest.param("7.0 / 2.0 == 3.5", True, id="decimal-division"),
        pytest.param("0.1 + 0.2 == 0.3", True, id="decimals-are-exact"),
        pytest.param("'a' + 'b' == 'ab' && [1] + [2] == [1, 2]", True, id="joined"),
        pytest.param("-body.amount < 0", True, id="negative"),
        pytest.param("size(body.list) == 3 && body.currency.size() == 3 && size(body.nested) == 1", True, id="size"),
        pytest.param("body.currency.matches('^E') && !body.currency.matches('^R')", True, id="matches"),
        pytest.param("true || body.x == 1", True, id="answered-on-the-left"),
        pytest.param("false && body.x == 1", False, id="answered-on-the-left-and"),
    ],
)
def test_certain(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("body.x == 1", "body.x is missing", id="missing"),
        pytest.param("body.x != 1", "body.x is missing", id="missing-unequal"),
        pytest.param("body.x == null", "body.x is missing", id="missing-is-not-null"),
        pytest.param("!(body.x == 1)", "body.x is missing", id="missing-negated"),
        pytest.param("body.nested.x.y == 1", "body.nested.x is missing", id="missing-on-the-way"),
        pytest.param("has(body.x.y)", "body.x is missing", id="has-on-the-way"),
        pytest.param("has(body.list.x)", "body.list is of type list, not map", id="has-of-a-list"),
        pytest.param("body['x'] == 1", 'body["x"] is missing', id="missing-by-index"),
        pytest.param("body.list[3] == 1", "body.list[3] is missing", id="past-the-end"),
        pytest.param("body.list[-1] == 3", "body.list[-1] is missing", id="from-the-end"),
        pytest.param(
            "body.amount == '500'",
            'body.amount and "500" cannot be compared: one is of type int, the other of type string',
            id="equal",
        ),
        pytest.param(
            "body.amount != '500'",
            'body.amount and "500" cannot be compared: one is of type int, the other of type string',
            id="unequal",
        ),
        pytest.param(
            "body.flag == 1",
            "body.flag and 1 cannot be compared: one is of type bool, the other of type int",
            id="true-is-not-1",
        ),
        pytest.param(
            "body.nothing == 'EUR'",
            'body.nothing and "EUR" cannot be compared: one is of type null, the other of type string',
            id="null-with-text",
        ),
        pytest.param(
            "body.nothing != body.amount",
            "body.nothing and body.amount cannot be compared: one is of type null, the other of type int",
            id="null-with-number",
        ),
        pytest.param(
            "body.currency < 5",
            "body.currency and 5 cannot be compared: one is of type string, the other of type int",
            id="less",
        ),
        pytest.param(
            "body.nothing < 5",
            "body.nothing and 5 cannot be compared: one is of type null, the other of type int",
            id="null-less",
        ),
        pytest.param(
            "body.list < body.list",
            "body.list is of type list, not bool or int or double or string",
            id="lists-have-no-order",
        ),
        pytest.param("body.amount in ['500']", "body.amount and this part cannot be compared", id="in-list-of-text"),
        pytest.param(
            "1 in body.mixed",
            "1 and body.mixed cannot be compared: one is of type int, the other of type string",
            id="in-mixed-though-found",
        ),
        pytest.param(
            "'a' in principal.claims.groups", '"a" and principal.claims.groups cannot be compared', id="in-with-null"
        ),
        pytest.param(
            "body.amount in body.nested",
            "body.amount and body.nested cannot be compared: one is of type int, the other of type string",
            id="number-in-object",
        ),
        pytest.param("'a' in body.currency", "body.currency is of type string, not list or map", id="in-text"),
        pytest.param(
            "size(body.list) < 9 && body.mixed == body.list.filter(x, x < 3)",
            "cannot be compared: one is of type string, the other of type int",
            id="element-mismatch",
        ),
        pytest.param(
            "body.items[0] == {'id': 'x', 'ok': false}",
            "cannot be compared: one is of type int, the other of type string",
            id="member-mismatch",
        ),
        pytest.param("request.query.tag == 'a'", "request.query.tag is given 2 times", id="query-twice"),
        pytest.param(
            "request.headers['x-twice'] == '1'",
            'request.headers["x-twice"] is given 2 times',
            id="header-twice-though-equal",
        ),
        pytest.param("request.query.other == 'a'", "request.query.other is missing", id="no-query"),
        pytest.param("request.query[body.twice] == 'a'", "request.query[body.twice] is given 2 times", id="no-value"),
        pytest.param(
            "request.query[body.limit] == '5'",
            "request.query[body.limit] is given in another spelling",
            id="no-spelling",
        ),
        pytest.param(
            "body.limit in request.query_all", "request.query_all[body.limit] is given in another spelling", id="in"
        ),
        pytest.param("body.nested[body.limit] == 1", "body.nested[body.limit] is missing", id="no-name"),
        pytest.param(
            "size([request.query_all][0]) < 9 && [request.query_all][0].exists(k, k == 'limit')",
            "this part[0] has names of several spellings: ask for one",
            id="names-of-parameters",
        ),
        pytest.param(
            "[request.query] == [{'limit': '5'}]", "parameters and headers are compared one by one", id="all-parameters"
        ),
        pytest.param(
            "[{'limit': '5'}] == [request.query]", "parameters and headers are compared one by one", id="beside-all"
        ),
        pytest.param("{'a': 1, 'a': 2} == body", "a map has the same key twice", id="key-twice"),
        pytest.param("[request.headers][0] == {}", "parameters and headers are compared one by one", id="all-headers"),
        pytest.param("body.id == 9007199254740992", "more digits than a double holds", id="past-doubles"),
        pytest.param("9007199254740992 in [body.id]", "more digits than a double holds", id="past-doubles-in"),
        pytest.param("body.id > 1", "more digits than a double holds", id="past-doubles-greater"),
        pytest.param("body.id - 9007199254740992 == 0", "more digits than a double holds", id="past-doubles-minus"),
        pytest.param("-body.id < 0", "more digits than a double holds", id="past-doubles-negative"),
        pytest.param("string(body.id) == '1'", "more digits than a double holds", id="past-doubles-as-text"),
        pytest.param("body.price.matches('9')", "body.price is of type double, not string", id="matches-a-number"),
        pytest.param("body.half.matches('9')", "a text that is no Unicode", id="matches-half-a-character"),
        pytest.param("body.very_long.matches('a')", "looks through 65536 characters at most", id="matches-too-long"),
        pytest.param("body.x == 1 || true", "body.x is missing", id="hidden-by-or"),
        pytest.param("body.x == 1 && false", "body.x is missing", id="hidden-by-and"),
        pytest.param("body.flag && body.x == 1", "body.x is missing", id="on-the-right"),
        pytest.param("body.amount && false", "body.amount is of type int, not bool", id="number-as-truth"),
        pytest.param("body.flag && body.currency", "body.currency is of type string, not bool", id="text-as-truth"),
        pytest.param("!body.amount", "body.amount is of type int, not bool", id="not-a-number"),
        pytest.param("body.amount", "the condition is neither true nor false", id="no-truth"),
        pytest.param("body.nothing", "the condition is neither true nor false", id="null"),
        pytest.param("body.x ? true : true", "body.x is missing", id="test"),
        pytest.param("size(body.items) < 9 && body.items.all(i, i.ok)", "i.ok is missing", id="all"),
        pytest.param("size(body.items) < 9 && body.items.exists(i, i.ok == false)", "i.ok is missing", id="exists"),
        pytest.param("size(body.items) < 9 && body.items.exists_one(i, i.ok)", "i.ok is missing", id="exists-one"),
        pytest.param("size(body.items) < 9 && size(body.items.filter(i, i.ok)) == 1", "i.ok is missing", id="filter"),
        pytest.param("size(body.items) < 9 && body.items.map(i, i.ok) == [true]", "i.ok is missing", id="map"),
        pytest.param(
            "size(body.items) < 9 && body.items.all(i, i.id)",
            "what all() asks of i is neither true nor false",
            id="asked-of-each",
        ),
        pytest.param(
            "size(body.amount) < 9 && body.amount.all(i, true)",
            "body.amount is of type int, not list or map",
            id="macro-on-number",
        ),
        pytest.param("body.amount + 1.5 > 1", "CEL has no int + double", id="mixed-sum"),
        pytest.param("body.amount + body.currency > 1", "CEL has no int + string", id="sum-with-text"),
        pytest.param("body.amount / 0 > 1", "0 is 0, and divides", id="division-by-zero"),
        pytest.param("body.amount % (body.amount - 500) > 1", "this part is 0, and divides", id="remainder-by-zero"),
        pytest.param("body.price / 0.0 > 1", "a number is out of range", id="decimal-division-by-zero"),
        pytest.param("body.amount * 9223372036854774784 > 1", "a whole number does not fit 64 bits", id="overflow"),
        pytest.param(
            "principal.claims.odd == principal.claims.odd", "more digits than a double holds", id="not-a-number-value"
        ),
        pytest.param(
            "body.amount.contains('5')", "body.amount is of type int, not string", id="method-of-another-type"
        ),
        pytest.param(
            "size(body.amount) == 1", "body.amount is of type int, not string or list or map", id="size-of-a-number"
        ),
        pytest.param("int(body.currency) == 1", "int() was given a text that is no whole number", id="no-number"),
        pytest.param(
            "timestamp(body.currency) < now", "timestamp() was given a text that is no instant", id="no-instant"
        ),
        pytest.param("body.list.x == 1", "body.list is of type list, not map", id="member-of-a-list"),
    ],
)
def test_no_certain_answer(text: str, why: str) -> None:
    with pytest.raises(Unevaluable) as caught:
        holds(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "text", ["body.a == 1", "has(body.a)", "body == {}", "'a' in body", "body.a == 1 || true", "size(body) == 0"]
)
def test_an_unreadable_body_is_no_answer(text: str) -> None:
    with pytest.raises(Unevaluable, match="the body cannot be read: it is not JSON"):
        holds(text, Unreadable("it is not JSON"))


def test_an_unreadable_body_does_not_matter_where_it_is_not_read() -> None:
    assert holds("request.method == 'POST' || body.a == 1", Unreadable("it is not JSON"))


def test_no_body_is_an_empty_object() -> None:
    assert holds("!has(body.a) && size(body) == 0", {})


@pytest.mark.parametrize(
    ("text", "body"),
    [
        pytest.param("body.amount <= 500", {"amount": 1, "Amount": 9000}, id="member"),
        pytest.param("body.amount <= 500", {"Amount": 1}, id="member-in-other-case-only"),
        pytest.param("body.Amount <= 500", {"amount": 9000, "Amount": 1}, id="capitals-read"),
        pytest.param("body['amount'] <= 500", {"amount": 1, "AMOUNT": 9000}, id="index"),
        pytest.param("has(body.admin)", {"Admin": True}, id="has"),
        pytest.param("!has(body.admin)", {"Admin": True}, id="has-not"),
        pytest.param("has(body.amount)", {"amount": 1, "Amount": 2}, id="has-both"),
        pytest.param("'admin' in body", {"Admin": True}, id="in"),
        pytest.param("body.amount <= 500", {"amount": 1, "\u0061mounT": 2}, id="last-letter"),
        pytest.param("body.skip", {"skip": True, "\u017f\u212aip": False}, id="letters-that-fold-to-ascii"),
        pytest.param("body.a.b == 1", {"a": {"b": 1, "B": 2}}, id="nested"),
        pytest.param("body.a.b == 1", {"a": {"b": 1}, "A": {"b": 2}}, id="on-the-way"),
        pytest.param("body.a[0].b == 1", {"a": [{"b": 1, "B": 2}]}, id="in-a-list"),
        pytest.param("size(body.a) < 9 && body.a.all(i, i.b == 1)", {"a": [{"b": 1, "B": 2}]}, id="of-each"),
        pytest.param("size(body.a) < 9 && body.a.exists(i, !has(i.b))", {"a": [{"B": 2}]}, id="has-of-each"),
        pytest.param(
            "size(body.a) < 9 && body.a.filter(i, true)[0].b == 1", {"a": [{"b": 1, "B": 2}]}, id="of-a-result"
        ),
        pytest.param("[body].all(i, i.b == 1)", {"b": 1, "B": 2}, id="of-a-list-written-out"),
        pytest.param("(true ? body : body).b == 1", {"b": 1, "B": 2}, id="of-a-conditional"),
        pytest.param("body != {'b': 1}", {"B": 1}, id="whole"),
        pytest.param("body == {'b': 1}", {"b": 1, "B": 2}, id="whole-with-both"),
    ],
)
def test_names_of_the_body_that_differ_in_letter_case(text: str, body: dict[str, Any]) -> None:
    with pytest.raises(Unevaluable, match="in letter case only"):
        holds(text, body)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        pytest.param("body.b == 1", {"b": 1, "c": 2, "C": 3}, id="of-members-not-read"),
        pytest.param("body.a.b == 1", {"a": {"b": 1}, "c": {"B": 2}}, id="elsewhere"),
        pytest.param("!has(body.x) && has(body.y)", {"y": 1}, id="has"),
        pytest.param("principal.claims.level == 3 && body.b == 1", {"b": 1}, id="with-a-claim"),
    ],
)
def test_letter_case_does_not_matter_where_it_is_certain(text: str, body: dict[str, Any]) -> None:
    assert holds(text, body)


@pytest.mark.parametrize(
    ("text", "body", "expected"),
    [
        pytest.param("size(body) < 9 && body.exists(k, k == 'admin')", {"Admin": 1}, None, id="compared"),
        pytest.param("size(body) < 9 && body.exists(k, k in ['admin'])", {"Admin": 1}, None, id="in-a-list"),
        pytest.param("size(body) < 9 && body.exists(k, k in lists.known)", {"Admin": 1}, None, id="in-a-named-list"),
        pytest.param("size(body) < 9 && body.exists(k, k.matches('^adm'))", {"Admin": 1}, None, id="matched"),
        pytest.param("size(body) < 9 && body.exists(k, k >= 'a' && k < 'b')", {"Admin": 1}, None, id="ordered"),
        pytest.param("size(body) < 9 && body.map(k, k) == ['admin']", {"Admin": 1}, None, id="made-a-list"),
        pytest.param("size(body.m) < 9 && body.m.exists(k, k == 'admin')", {"m": {"ADMIN": 1}}, None, id="below"),
        pytest.param("size(body) < 9 && body.all(k, k in lists.known)", {"admin": 1, "note": 2}, True, id="known"),
        pytest.param("size(body) < 9 && body.all(k, k in lists.known)", {"admin": 1, "other": 2}, False, id="unknown"),
        pytest.param(
            "size(body.l) < 9 && body.l.exists(k, k == 'admin')", {"l": ["Admin"]}, False, id="values-are-exact"
        ),
    ],
)
def test_names_of_the_body_gone_through(text: str, body: dict[str, Any], expected: bool | None) -> None:
    condition = compile_condition(text, [], {"known": ("admin", "note")})
    if expected is None:
        with pytest.raises(Unevaluable, match="a name in the body is given in another spelling"):
            condition.holds({"body": body})
    else:
        assert condition.holds({"body": body}) is expected


def test_names_of_claims_are_read_here_only() -> None:
    facts = Environment(replace(PRINCIPAL, claims={"level": 3, "Level": 4}), FACTS, NOW)
    assert compile_condition("principal.claims.level == 3 && !has(principal.claims.LEVEL)", []).holds(facts)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Scope", id="letter-case"),
        pytest.param("scope[]", id="list"),
        pytest.param("scope[0]", id="numbered"),
        pytest.param("SCOPE[12]", id="numbered-in-other-case"),
        pytest.param("scope[x]", id="member"),
        pytest.param("scope[][x]", id="member-of-one-of-a-list"),
        pytest.param(" scope", id="blank-before"),
        pytest.param("scope ", id="blank-behind"),
        pytest.param("\u017fcope", id="a-letter-that-folds-to-ascii"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"scope": ("own",)}], ids=["alone", "beside"])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("request.query.scope == 'own'", id="value"),
        pytest.param("request.query['scope'] == 'own'", id="index"),
        pytest.param("!has(request.query.scope)", id="has"),
        pytest.param("!('scope' in request.query)", id="in"),
        pytest.param("request.query_all.scope == ['own']", id="all"),
        pytest.param("!has(request.query_all.scope)", id="has-all"),
        pytest.param("!('scope' in request.query_all)", id="in-all"),
    ],
)
def test_a_parameter_in_another_spelling(text: str, more: dict[str, tuple[str, ...]], name: str) -> None:
    facts = Environment(PRINCIPAL, replace(FACTS, query={**more, name: ("all",)}), NOW)
    with pytest.raises(Unevaluable, match=r'request.query(_all)?(.scope|\["scope"\]) is given in another spelling'):
        compile_condition(text, []).holds(facts)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("request.query.user_id == '1'", ["user_id", "user.id"], id="dot"),
        pytest.param("request.query.user_id == '1'", ["user_id", "user id"], id="blank-within"),
        pytest.param("request.query['ids[0]'] == '1'", ["ids[0]", "ids[1]"], id="one-of-a-list"),
        pytest.param("request.query['a[b]'] == '1'", ["a[b]", "A[B]"], id="member"),
        pytest.param("!has(request.query.dry_run)", ["dry[run"], id="bracket-that-nothing-closes"),
    ],
)
def test_parameters_that_a_target_may_take_for_one(text: str, names: list[str]) -> None:
    facts = Environment(PRINCIPAL, replace(FACTS, query=dict.fromkeys(names, ("1",))), NOW)
    with pytest.raises(Unevaluable, match="is given in another spelling"):
        compile_condition(text, []).holds(facts)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("request.query.scope == '1'", ["scope", "scopes", "my_scope", "Other", "other"], id="others"),
        pytest.param("request.query['filter[a]'] == '1'", ["filter[a]", "filter[b]"], id="members-of-one-object"),
        pytest.param("request.query_all['ids[]'] == ['1']", ["ids[]"], id="list"),
        pytest.param("size(request.query) == 2", ["scope", "Scope"], id="how-many"),
    ],
)
def test_parameters_of_one_spelling(text: str, names: list[str]) -> None:
    facts = Environment(PRINCIPAL, replace(FACTS, query=dict.fromkeys(names, ("1",))), NOW)
    assert compile_condition(text, []).holds(facts)


LISTS = {
    "countries": ("DE", "FR"),
    "numbers": (1, Decimal("2.50"), -3),
    "none": (),
    "long": tuple(f"a{n}" for n in range(10_000)),
    "amounts": tuple(range(10_000)),
}


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        pytest.param("body.a in lists.countries", "DE", True, id="text"),
        pytest.param("body.a in lists.countries", "de", False, id="letter-case"),
        pytest.param("!(body.a in lists.countries)", "XX", True, id="negated"),
        pytest.param("body.a in lists.numbers", 1, True, id="whole"),
        pytest.param("body.a in lists.numbers", 1.0, True, id="by-value"),
        pytest.param("body.a in lists.numbers", parse_json(b"2.5000"), True, id="by-value-as-written"),
        pytest.param("body.a in lists.numbers", -3.0, True, id="negative"),
        pytest.param("body.a in lists.numbers", 2**90, False, id="large"),
        pytest.param("body.a in lists.none", "DE", False, id="empty"),
        pytest.param("lists.countries.exists(c, body.a.startsWith(c))", "DE-BY", True, id="gone-through"),
        pytest.param("body.a in lists.countries + ['XX']", "XX", True, id="joined"),
        pytest.param("body.a == lists.countries", ["DE", "FR"], True, id="whole-list"),
        pytest.param("lists.numbers[1] == body.a && size(lists.numbers) == 3", 2.5, True, id="one-of-it"),
    ],
)
def test_named_lists(text: str, value: Any, expected: bool) -> None:
    assert compile_condition(text, [], LISTS).holds({"body": {"a": value}}) is expected


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        pytest.param("countries", 5, "one is of type int, the other of type string", id="number-in-texts"),
        pytest.param("countries", None, "one is of type null, the other of type string", id="null"),
        pytest.param("countries", ["DE"], "one is of type list, the other of type string", id="list"),
        pytest.param("countries", {"DE": 1}, "one is of type map, the other of type string", id="map"),
        pytest.param("numbers", True, "one is of type bool, the other of type number", id="true-is-not-1"),
        pytest.param("numbers", "1", "one is of type string, the other of type number", id="text-in-numbers"),
        pytest.param("numbers", float("inf"), "more digits than a double holds", id="infinity"),
        pytest.param(
            "numbers", parse_json(b"1.00000000000000000001"), "more digits than a double holds", id="more-digits"
        ),
    ],
)
def test_a_named_list_holds_values_of_its_type_only(name: str, value: Any, why: str) -> None:
    with pytest.raises(Unevaluable, match=why):
        compile_condition(f"body.a in lists.{name}", [], LISTS).holds({"body": {"a": value}})


@pytest.mark.parametrize(("name", "value"), [("long", "b"), ("amounts", -1)])
def test_a_long_named_list_costs_no_more_than_a_short_one(name: str, value: Any) -> None:
    text = f"size(body.a) <= 1000 && body.a.all(x, !(x in lists.{name}))"
    assert compile_condition(text, [], LISTS).holds({"body": {"a": [value] * 1000}})


def test_facts_called_lists_are_not_read() -> None:
    condition = compile_condition("body.a in lists.countries", [], LISTS)
    assert condition.reads == {"body"}
    assert not condition.holds({"body": {"a": "XX"}, "lists": {"countries": ["XX"]}})


@pytest.mark.parametrize(
    ("document", "text", "expected"),
    [
        pytest.param(b'{"n": 1.10}', "body.n == 1.1", True, id="as-written"),
        pytest.param(b'{"n": 5e2}', "body.n == 500", True, id="exponent"),
        pytest.param(b'{"n": -0}', "body.n == 0", True, id="negative-zero"),
        pytest.param(b'{"n": 9007199254740994}', "body.n > 9007199254740992", True, id="held-by-a-double"),
        pytest.param(b'{"n": 500.00000000000000001}', "body.n <= 500", None, id="more-digits-than-a-double"),
        pytest.param(b'{"n": [500.00000000000000001]}', "500 in body.n", None, id="more-digits-in-a-list"),
        pytest.param(b'{"n": 500.00000000000000001}', "int(body.n) == 500", None, id="more-digits-converted"),
    ],
)
def test_numbers_as_the_body_has_them(document: bytes, text: str, expected: bool | None) -> None:
    body = parse_json(document)
    if expected is None:
        with pytest.raises(Unevaluable, match="more digits than a double holds"):
            holds(text, body)
    else:
        assert holds(text, body) is expected


@pytest.fixture(scope="module")
def long() -> dict[str, Any]:
    """A body that takes many steps to go through."""
    return {
        "long": [1] * MAX_STEPS,
        "some": [0] * 999 + [1],
        "text": "a" * 100_000,
        "page": "a" * 65_000,
        "wide": dict.fromkeys(map(str, range(10_000)), 1),
        "wider": dict.fromkeys(map(str, range(16 * MAX_STEPS))),
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"body.some.all(x, {' + '.join(['x'] * 60)} == 0)", id="long-list"),
        pytest.param("2 in body.long", id="membership"),
        pytest.param("body.long == body.long", id="equality"),
        pytest.param("body.some.exists(x, x in body.some)", id="list-within-list"),
        pytest.param("body.some.exists(x, body.text.contains('b'))", id="text-within-list"),
        pytest.param("body.some.exists(x, body.page.matches('b'))", id="pattern-within-list"),
        pytest.param(r"body.page.matches('^\\w{1,255}$')", id="large-pattern"),
        pytest.param("body.some.filter(x, body.text + body.text == body.text) == []", id="growing-text"),
        pytest.param("body.some.exists(x, body.wide == body.wider)", id="wide-object-within-list"),
        pytest.param("body.wider.a == 1", id="members-of-a-very-wide-object"),
    ],
)
def test_what_would_run_long_is_cut_short(text: str, long: dict[str, Any]) -> None:
    with pytest.raises(Unevaluable, match="takes more than 100000 steps"):
        holds(f"size(body.some) <= 1000 && {text.replace('x in body.some', 'x + 5 in body.some')}", long)


def test_deep_documents_are_no_crash() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(Unevaluable, match="nested too deep"):
        holds("body.a == body.b", {"a": deep, "b": deep})


# Where CEL and law 2 both give an answer it is the same one: the `cel` package is the oracle. Its decimals are doubles,
# so those here have few digits; its size() counts bytes, so texts here are ASCII.
VALUES = st.sampled_from(
    [
        "1",
        "2",
        "-3",
        "0",
        "2.5",
        "-0.5",
        "'a'",
        "'b'",
        "''",
        "true",
        "false",
        "null",
        "x",
        "y",
        "l",
        "m.a",
        "m.b",
        "[1, 2]",
        "['a']",
        "{'a': 1}",
    ]
)
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "&&", "||", "+", "-", "*", "/", "%", "in"])
TEXTS = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("!({})".format, inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("size({})".format, inner),
        st.builds("{}.exists(i, i == {})".format, st.sampled_from(["l", "[1, 2]"]), VALUES),
        st.builds("{}.all(i, i < {})".format, st.sampled_from(["l", "[1, 2]"]), VALUES),
    ),
    max_leaves=6,
)
ORACLE_FACTS = {"x": 1, "y": 2.5, "l": [1, 2, 3], "m": {"a": "a", "b": True}}


@given(TEXTS)
def test_cel_agrees_where_both_answer(text: str) -> None:
    try:
        ours = compiled(parse(text), {}, {})(ORACLE_FACTS, Evaluation())
    except Unevaluable:
        return
    assert cel.evaluate(text, ORACLE_FACTS) is ours


@given(TEXTS)
def test_what_is_checked_beside_changes_no_answer(text: str) -> None:
    """A field of another type than the rule takes it for makes an answer uncertain, never another one."""
    of_body = re.sub(r"\b[xylm]\b", r"body.\g<0>", text)
    facts = {"body": ORACLE_FACTS}
    try:
        checked = compile_condition(of_body, []).holds(facts)
    except (ConditionInvalid, Unevaluable):
        return
    assert compiled(parse(of_body), {}, {})(facts, Evaluation()) is checked
