from __future__ import annotations

import json

import pytest

from lockgate.refusals import GRPC_STATUS, REASONS, TITLES, Refusal


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


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        pytest.param(Refusal(403, "No."), b"7", id="denied"),
        pytest.param(Refusal(401, "Who?"), b"16", id="unidentified"),
        pytest.param(Refusal(400, "What?"), b"3", id="unreadable"),
        pytest.param(Refusal(413, "Much."), b"8", id="too-large"),
        pytest.param(Refusal(503, "Later."), b"14", id="unavailable"),
        pytest.param(Refusal(502, "Broken.", sent_upstream=True), b"13", id="not-to-be-tried-again"),
    ],
)
def test_status_of_a_grpc_call(refusal: Refusal, status: bytes) -> None:
    assert dict(refusal.grpc_status())[b"grpc-status"] == status


def test_every_status_has_one_of_grpc() -> None:
    assert GRPC_STATUS.keys() == TITLES.keys()


def test_the_message_of_a_grpc_call_is_percent_encoded() -> None:
    refusal = Refusal(403, "100 % für\r\nalle.", "Ask.", "support/r", "7")
    fields = dict(refusal.grpc_headers())
    assert fields[b"grpc-message"] == b"100 %25 f%C3%BCr%0D%0Aalle. Ask. (rule support/r, request 7)"
    assert fields[b"content-type"] == b"application/grpc"
    assert b"connection" not in fields


def test_a_connection_that_is_of_no_use_is_closed() -> None:
    assert dict(Refusal(401, "Who?", close=True).grpc_headers())[b"connection"] == b"close"
