from __future__ import annotations

import json

import pytest

from lockgate.refusals import REASONS, TITLES, Refusal


def test_body_is_a_problem_document() -> None:
    refusal = Refusal(403, "Nothing is deleted here.", "Do not retry.", "support/no-delete", "r-1")
    assert json.loads(refusal.body()) == {
        "status": 403,
        "title": "Denied",
        "detail": "Nothing is deleted here.",
        "next_steps": "Do not retry.",
        "rule": "support/no-delete",
        "request_id": "r-1",
    }


def test_members_without_a_value_are_left_out() -> None:
    assert json.loads(Refusal(502, "No.").body()).keys() == {"status", "title", "detail"}


def test_text_is_escaped_not_interpreted() -> None:
    assert json.loads(Refusal(403, 'a "quote"\r\nx: y').body())["detail"] == 'a "quote"\r\nx: y'
    assert b"\r\n" not in Refusal(403, "a\r\nx: y").body()


def test_the_length_is_that_of_the_body() -> None:
    refusal = Refusal(403, "Grüße.")
    assert dict(refusal.headers())[b"content-length"] == str(len(refusal.body())).encode()


@pytest.mark.parametrize(
    ("refusal", "name", "value"),
    [
        pytest.param(
            Refusal(407, "x"), b"proxy-authenticate", b'Bearer realm="lockgate", Basic realm="lockgate"', id="407"
        ),
        pytest.param(
            Refusal(401, "x"), b"www-authenticate", b'Bearer realm="lockgate", Basic realm="lockgate"', id="401"
        ),
        pytest.param(Refusal(400, "x", close=True), b"connection", b"close", id="close"),
        pytest.param(Refusal(502, "x", sent_upstream=True), b"x-should-retry", b"false", id="sent"),
        pytest.param(Refusal(403, "x"), b"content-type", b"application/problem+json", id="type"),
        pytest.param(Refusal(403, "x"), b"cache-control", b"no-store", id="cache"),
    ],
)
def test_headers(refusal: Refusal, name: bytes, value: bytes) -> None:
    assert dict(refusal.headers())[name] == value


def test_every_status_has_a_title_and_a_reason() -> None:
    assert TITLES.keys() == REASONS.keys()
