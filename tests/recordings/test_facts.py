from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lockgate.bodies.json import parse
from lockgate.model import Form
from lockgate.recordings.facts import recorded
from lockgate.recordings.redactions import compile_redactions

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJhIn0.c2ln"


def told(facts: Mapping[tuple[str, ...], Any], body: Any = None, *redactions: str) -> dict[str, Any]:
    return recorded(facts, body, compile_redactions(redactions))


def of_body(body: Any, *path: str) -> Mapping[tuple[str, ...], Any]:
    value = body.fields if isinstance(body, Form) else body
    for name in path:
        value = value[name]
    return {("body", *path): value}


def test_values_stand_by_their_names() -> None:
    body = {"amount": 750, "card": {"brand": "visa"}, "lines": [{"sku": "x"}, None, True, 1.5]}
    facts = {("body", "amount"): 0, ("body", "card", "brand"): "", ("body", "lines"): [], ("request", "method"): "POST"}
    assert told(facts, body) == {
        "body.amount": 750,
        "body.card.brand": "visa",
        "body.lines": [{"sku": "x"}, None, True, 1.5],
        "request.method": "POST",
    }


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        pytest.param(("request", "query", "page"), "2", "2", id="parameter"),
        pytest.param(("request", "query", "access_token"), "s3cret", "[redacted]", id="secret-parameter"),
        pytest.param(("request", "query", "code"), ["s3cret", "s4cret"], ["[redacted]", "[redacted]"], id="several"),
        pytest.param(("request", "query", "q"), f"a {JWT} b", "a [redacted] b", id="token-in-a-parameter"),
        pytest.param(
            ("request", "query"), {"key": ("k1",), "a&b": ("1",)}, {"key": ["[redacted]"], "a&b": ["1"]}, id="all"
        ),
        pytest.param(("request", "query_all", "sig"), ("abc",), ["[redacted]"], id="query-all"),
        pytest.param(("request", "headers", "x-team"), "red", "red", id="header"),
        pytest.param(("request", "headers", "x-api-key"), "k1", "[redacted]", id="secret-header"),
        pytest.param(("request", "headers", "x-note"), "Bearer abcdefghijklmnop", "[redacted]", id="bearer"),
        pytest.param(("principal", "claims", "team"), "red", "red", id="claim"),
        pytest.param(("principal", "claims", "session_token"), "abc", "[redacted]", id="secret-claim"),
        pytest.param(
            ("principal", "claims", "act"), {"refresh_token": "abc"}, {"refresh_token": "[redacted]"}, id="within"
        ),
        pytest.param(("path", "id"), f"x.{JWT}", "x.[redacted]", id="token-in-a-path"),
        pytest.param(("request", "path"), f"/v1/x/{JWT}", "/v1/x/[redacted]", id="path"),
        pytest.param(("path", "id"), "7", "7", id="capture"),
    ],
)
def test_what_has_a_secrets_name_or_shape_goes(path: tuple[str, ...], value: Any, shown: Any) -> None:
    (found,) = told({path: value}).values()
    assert found == shown


@pytest.mark.parametrize(
    ("body", "path", "redactions", "shown"),
    [
        pytest.param({"card": {"number": "4111"}}, ("card",), ("$.card.number",), {"number": "[redacted]"}, id="below"),
        pytest.param({"card": {"number": "4111"}}, ("card", "number"), ("$.card",), "[redacted]", id="above"),
        pytest.param({"Card": "4111"}, ("Card",), ("$.card",), "[redacted]", id="letter-case"),
        pytest.param({"password": "x", "a": 1}, ("password",), (), "[redacted]", id="built-in"),
        pytest.param(
            {"a": [{"n": 1}, {"n": 2}]}, ("a",), ("$.a[1].n",), [{"n": 1}, {"n": "[redacted]"}], id="by-place"
        ),
        pytest.param(Form({"a": ("1",)}), ("a",), ("$.a",), "[redacted]", id="form"),
    ],
)
def test_what_rules_leave_out_of_the_body_goes(
    body: Any, path: tuple[str, ...], redactions: tuple[str, ...], shown: Any
) -> None:
    (found,) = told(of_body(body, *path), body, *redactions).values()
    assert found == shown


@pytest.mark.parametrize(
    ("path", "redaction"),
    [
        pytest.param(("request", "query", "ssn"), "query.ssn", id="parameter"),
        pytest.param(("request", "query", "SSN[]"), "query.ssn", id="another-spelling"),
        pytest.param(("request", "headers", "x-ssn"), "headers.x-ssn", id="header"),
    ],
)
def test_what_rules_leave_out_beside_the_body_goes(path: tuple[str, ...], redaction: str) -> None:
    (found,) = told({path: "078-05-1120"}, None, redaction).values()
    assert found == "[redacted]"


@pytest.mark.parametrize(
    ("keeps", "told_of"),
    [
        pytest.param("full", {"body.a", "request.query.b", "request.headers.c", "request.method", "path.d"}, id="full"),
        pytest.param("headers", {"request.query.b", "request.headers.c", "request.method", "path.d"}, id="headers"),
        pytest.param("digest", {"request.method", "path.d"}, id="digest"),
    ],
)
def test_what_is_not_recorded_is_no_fact_either(keeps: str, told_of: set[str]) -> None:
    facts: dict[tuple[str, ...], Any] = {
        ("body", "a"): 1,
        ("request", "query", "b"): "1",
        ("request", "headers", "c"): "1",
        ("request", "method"): "GET",
        ("path", "d"): "1",
    }
    assert told(facts, {"a": 1}, f"record:{keeps}").keys() == told_of


def test_of_a_form() -> None:
    body = Form({"amount": ("600",), "tag": ("a", "b"), "password": ("x",)})
    assert told({("body", name): () for name in body.fields}, body) == {
        "body.amount": "600",
        "body.tag": ["a", "b"],
        "body.password": "[redacted]",
    }


def test_numbers_are_what_was_sent() -> None:
    body = parse(b'{"a": 500.00000000000000001, "b": 1.10, "c": 10000000000000000000000}')
    facts = {("body", name): None for name in body}
    assert told(facts, body) == {"body.a": "500.00000000000000001", "body.b": 1.1, "body.c": 10**22}


def test_what_is_long_is_left_out() -> None:
    body = {"note": "x" * 2000}
    assert told(of_body(body, "note"), body) == {"body.note": {"omitted": 2002}}
