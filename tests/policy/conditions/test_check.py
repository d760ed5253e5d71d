"""What is refused when rules are loaded: what could never work, or never be true."""

from __future__ import annotations

import pytest

from lockgate.policy.conditions import compile_condition
from lockgate.policy.conditions.syntax import ConditionInvalid


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("body.amount <= 500 && body.currency == 'EUR'", id="body"),
        pytest.param("path.id == principal.subject", id="capture"),
        pytest.param("'support' in principal.roles", id="role"),
        pytest.param("principal.claims.department == 'sales'", id="claim"),
        pytest.param("has(principal.claims.department) && principal.claims.department != null", id="guarded-claim"),
        pytest.param("int(request.query.limit) <= 100", id="query-as-number"),
        pytest.param(
            "size(request.query_all.tag) <= 9 && request.query_all.tag.all(tag, tag in ['a', 'b'])", id="all-values"
        ),
        pytest.param("'x-dry-run' in request.headers && request.headers['x-dry-run'] == '1'", id="header"),
        pytest.param("now < timestamp('2030-01-01T00:00:00Z') && now.getHours() >= 8", id="now"),
        pytest.param("now - timestamp('2020-01-01T00:00:00Z') > duration('1h')", id="age"),
        pytest.param(
            "size(body.items) < 9 && body.items.filter(i, i.price > 1).all(i, i.count < 10)", id="one-after-another"
        ),
        pytest.param("body.a == 1.5 || body.a == 1", id="numbers-of-both-kinds"),
        pytest.param("body == {'a': [1, 2]}", id="whole-body"),
        pytest.param("request.path.matches('^/v1/[a-z]+$')", id="regular-expression"),
        pytest.param("body.flag", id="shown-at-run-time"),
        pytest.param("body.a > 1 ? true : body.b", id="conditional"),
    ],
)
def test_what_is_taken(text: str) -> None:
    assert compile_condition(text, ["id"]).text == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "amount > 5",
            "unknown name amount: known here: body, lists, now, path, principal, request; quote text",
            id="unknown-root",
        ),
        pytest.param(
            "EUR == body.currency",
            "unknown name EUR: known here: body, lists, now, path, principal, request; quote text",
            id="unquoted-text",
        ),
        pytest.param("request.header['a'] == 'b'", "request has no header: did you mean headers?", id="member"),
        pytest.param("principal.role == 'a'", "principal has no role: did you mean roles?", id="principal"),
        pytest.param("path.name == 'a'", "the resource captures no name: known here: id", id="capture"),
        pytest.param("tool.name == 'a'", "tool is not a fact of an HTTP request", id="other-protocol"),
        pytest.param(
            "request == body",
            "request is no value: name one of its members (headers, host, method, path, query, query_all)",
            id="facts-as-value",
        ),
        pytest.param("request['method'] == 'GET'", "name the member: request.NAME", id="facts-by-index"),
        pytest.param("has(request.method)", "request.method is always there: drop has()", id="has-of-a-fact"),
        pytest.param(
            "request.headers['X-A'] == 'b'", "header names are in lower case here: write x-a", id="header-case"
        ),
        pytest.param("'X-A' in request.headers", "header names are in lower case here: write x-a", id="header-case-in"),
        pytest.param(
            "has(request.headers.Accept)", "header names are in lower case here: write accept", id="header-case-has"
        ),
        pytest.param("request.method.name == 'a'", "request.method is text and has no members", id="member-of-text"),
        pytest.param("request.method[0] == 'a'", "request.method is text and has no elements", id="element-of-text"),
        pytest.param("principal.roles['a'] == 'b'", '"a" is text; a number is needed here', id="list-by-text"),
        pytest.param("request.query[0] == 'b'", "0 is a number; text is needed here", id="map-by-number"),
        pytest.param(
            "request.query.limit <= 100", "compares text with a number, which are never alike", id="query-is-text"
        ),
        pytest.param("1 in principal.roles", "compares a number with text, which are never alike", id="in-list"),
        pytest.param("1 in request.query", "1 is a number; text is needed here", id="in-map"),
        pytest.param(
            "'a' in request.path", "in looks into lists and objects: for text write text.contains(part)", id="in-text"
        ),
        pytest.param("'a' in 5", "in looks into lists and objects, not into a number", id="in-number"),
        pytest.param("request.host == null", "request.host is text and never null", id="never-null"),
        pytest.param("body.a in ['a', 1]", "the elements mix text and a number", id="mixed-list"),
        pytest.param(
            "[principal.roles] == [[1]]",
            "compares a list with a list, which are never alike",
            id="lists-of-other-kinds",
        ),
        pytest.param(
            "principal.roles < body.a",
            "principal.roles is a list; true or false or a number or a duration or text or a timestamp is needed here",
            id="ordered-list",
        ),
        pytest.param(
            "body.a < null",
            "null is a null; true or false or a number or a duration or text or a timestamp is needed here",
            id="ordered-null",
        ),
        pytest.param("1 < 2 < 3", "compares true or false with a number, which are never alike", id="chained"),
        pytest.param(
            "1 + 1.0 == body.a",
            "CEL has no int + double: write whole numbers as decimals (1.0), or double(x)",
            id="mixed-arithmetic",
        ),
        pytest.param("'a' - 'b' == body.a", "CEL has no string - string", id="text-arithmetic"),
        pytest.param("-'a' == body.a", '"a" is text; a number is needed here', id="negative-text"),
        pytest.param("!body.a || !1", "1 is a number; true or false is needed here", id="not-a-number"),
        pytest.param("body.a && 'x'", '"x" is text; true or false is needed here', id="text-as-truth"),
        pytest.param("1 ? true : false", "1 is a number; true or false is needed here", id="number-as-test"),
        pytest.param("true ? 1 : 'a'", "the two outcomes mix a number and text", id="outcomes"),
        pytest.param(
            "now", "the condition is a timestamp, not true or false: compare it with something", id="not-boolean"
        ),
        pytest.param("now == '2030'", "compares a timestamp with text, which are never alike", id="instant-with-text"),
        pytest.param("now.getHour() == 1", "unknown function getHour: did you mean getHours?", id="method"),
        pytest.param(
            "contains(body.a, 'b')", "unknown function contains: write x.contains(...)", id="method-as-function"
        ),
        pytest.param("body.a.int() == 1", "unknown function int: write int(x)", id="function-as-method"),
        pytest.param("size() == 1", "size takes 1 argument", id="no-argument"),
        pytest.param("body.a.contains() == true", "contains takes 1 argument", id="no-method-argument"),
        pytest.param("now.getHours('UTC') == 1", "getHours takes no arguments", id="time-zone"),
        pytest.param("size == 1", "size is a function: write size(...)", id="function-as-name"),
        pytest.param("size(1) == 1", "1 is a number; text or a list or a map is needed here", id="size-of-number"),
        pytest.param(
            "body.a.matches(body.b)",
            "the pattern of matches() must be written out here, as text",
            id="pattern-from-outside",
        ),
        pytest.param(
            "body.a.matches('a{1001}')",
            "a count {n,m} of the pattern is above 1000, alone or multiplied, or n is above m",
            id="large-count",
        ),
        pytest.param(
            "size(request.query_all) < 9 && request.query_all.exists(k, k == 'a')",
            "request.query_all has names that targets read in several spellings:"
            ' ask for each one, as "name" in request.query_all',
            id="names-of-parameters",
        ),
        pytest.param(
            "size(request.headers) < 9 && request.headers.all(k, k == 'a')",
            "request.headers has names that targets read in several spellings:"
            ' ask for each one, as "name" in request.headers',
            id="names-of-headers",
        ),
        pytest.param(
            "request.query == {'a': '1'}",
            "request.query has names that targets read in several spellings:"
            ' ask for each one, as "name" in request.query',
            id="all-parameters",
        ),
        pytest.param(
            "request.query in [body]",
            "request.query has names that targets read in several spellings:"
            ' ask for each one, as "name" in request.query',
            id="all-parameters-in",
        ),
        pytest.param(
            "body.id == 9007199254740993",
            "9007199254740993 has more digits than a double holds, so readers disagree about it: compare text",
            id="past-doubles",
        ),
        pytest.param(
            r"body.a.matches('(a)\\1')",
            "not a regular expression of RE2 syntax, which has no lookaround and no backreferences",
            id="backreference",
        ),
        pytest.param(
            "now < timestamp('2030-01-01')",
            'timestamp() was given a text that is no instant such as "2030-01-31T12:00:00Z"',
            id="instant",
        ),
        pytest.param(
            "now - now < duration('1d')",
            'duration() was given a text that is no duration such as "1h30m"',
            id="duration",
        ),
        pytest.param(
            "request.path.all(x, x == 'a')", "all goes through a list; request.path is text", id="macro-on-text"
        ),
        pytest.param("body.a.all(body, body == 1)", "body has a meaning already: use another name", id="shadowing"),
        pytest.param(
            "body.a.all(x, x.all(y, y == 1))",
            "a comprehension within another is not taken: it could run for minutes",
            id="nested",
        ),
        pytest.param(
            "body.a.all(x, x == 1) && x == 2",
            "unknown name x: known here: body, lists, now, path, principal, request; quote text",
            id="variable-outside",
        ),
        pytest.param(
            f"body.a == {'1' * 8000}", "the number does not fit 64 bits: write it as a decimal (1.0)", id="very-large"
        ),
        pytest.param("body.a == 1e9999999999999999999", "no double holds the number", id="large-exponent"),
        pytest.param(
            f"body.a == 0x{'f' * 8000}", "the number does not fit 64 bits: write it as a decimal (1.0)", id="large-hex"
        ),
        pytest.param(
            "body.a == 9223372036854775808", "the number does not fit 64 bits: write it as a decimal (1.0)", id="large"
        ),
        pytest.param("body == {1: 2}", "1 is a number; text is needed here", id="map-key"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        compile_condition(text, ["id"])
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        pytest.param("body.a && principal[body.x] == 'a'", 19, "name the member: principal.NAME", id="member"),
        pytest.param("body.a && 'abc'[0] == 'a'", 15, '"abc" is text and has no elements', id="element"),
        pytest.param("body.a && principal.roles['x'] == 'a'", 26, '"x" is text; a number is needed here', id="key"),
        pytest.param("body.a && now + 5 > now", 14, "CEL has no timestamp + int", id="arithmetic"),
        pytest.param(
            "body.at - now < duration('1h')", 8, "CEL has no dyn - timestamp: write timestamp(body.at)", id="instant"
        ),
    ],
)
def test_where_it_stands(text: str, offset: int, message: str) -> None:
    with pytest.raises(ConditionInvalid) as caught:
        compile_condition(text, [])
    assert (caught.value.offset, caught.value.message) == (offset, message)
