"""Sensitive values found by their form."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.json import parse
from lockgate.masking.detectors import DETECTORS, IBAN_LENGTHS, card_numbers, redact, redact_strings

ALL = tuple(DETECTORS)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param("email", "ada.marsh+work@customer.example", id="e-mail"),
        pytest.param("email", "o'neil@mail.example.org", id="an apostrophe"),
        pytest.param("email", "jörg@bücher.example", id="not ASCII"),
        pytest.param("email", "ada%40customer.example", id="percent-encoded"),
        pytest.param("phone", "+49 30 901820", id="international"),
        pytest.param("phone", "+1 (555) 010-9999", id="brackets"),
        pytest.param("phone", "0044 20 7946 0018", id="00 for +"),
        pytest.param("phone", "555-010-9999", id="three groups"),
        pytest.param("phone", "(030) 901-8200", id="area code"),
        pytest.param("card", "4111111111111111", id="card"),
        pytest.param("card", "5555 5555 5555 4444", id="card in groups"),
        pytest.param("card", "3782-822463-10005", id="15 digits, hyphens"),
        pytest.param("card", "4111\u00a01111\u00a01111\u00a01111", id="card, no-break spaces"),
        pytest.param("card", "4111\u202f1111\u20091111\u20071111", id="card, other spaces"),
        pytest.param("card", "4111  1111  1111  1111", id="card, two spaces"),
        pytest.param("card", "4111.1111.1111.1111", id="card, dots"),
        pytest.param("card", "3782.822463.10005", id="15 digits, dots"),
        pytest.param("iban", "DE89370400440532013000", id="IBAN"),
        pytest.param("iban", "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000", id="IBAN, no-break spaces"),
        pytest.param("iban", "DE89.3704.0044.0532.0130.00", id="IBAN, dots"),
        pytest.param("iban", "DE89  3704  0044  0532  0130  00", id="IBAN, two spaces"),
        pytest.param("iban", "GB82 WEST 1234 5698 7654 32", id="IBAN in groups"),
        pytest.param("iban", "nl91abna0417164300", id="IBAN in lower case"),
        pytest.param("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", id="JWT"),
        pytest.param("jwt", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", id="unsigned JWT"),
        pytest.param("pem", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", id="PEM"),
        pytest.param("key", "AKIAIOSFODNN7EXAMPLE", id="AWS"),
        pytest.param("key", "ghp_" + "a1B2" * 9, id="GitHub"),
        pytest.param("key", "sk-proj-" + "a1B2" * 8, id="OpenAI"),
        pytest.param("key", "xoxb-1234567890-abcdef", id="Slack"),
        pytest.param("key", "sk_live_" + "a1B2" * 6, id="Stripe"),
    ],
)
def test_a_value_is_taken_out_wherever_it_stands(kind: str, value: str) -> None:
    for text in (value, f"It is {value}, I think.", f"<{value}>", f"{value}\n{value}"):
        found = redact(text, [kind])
        assert value not in found.text
        assert found.text == text.replace(value, f"[redacted {kind}]")
        assert found.counts == {kind: text.count(value)}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("user at example dot com", id="no @"),
        pytest.param("@handle and a@b", id="no domain"),
        pytest.param("4111111111111112", id="a card's digits that do not check"),
        pytest.param("0000000000000000", id="zeros, which check"),
        pytest.param("DE89370400440532013009", id="an IBAN that does not check"),
        pytest.param("XX89370400440532013000", id="no country"),
        pytest.param("2030-01-31T12:00:00Z, 10.5.0.1", id="a date and an address"),
        pytest.param("order 1234567 of 2029", id="short numbers"),
        pytest.param("sk-short", id="a prefix alone"),
        pytest.param("task-list-of-all-that-is-to-be-done", id="a word that ends like a prefix"),
        pytest.param("41111.1111111111111", id="a number with a point"),
        pytest.param("4111.11.1111.111111", id="dots elsewhere"),
        pytest.param("eyJ is how they begin", id="a JWT's beginning alone"),
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text, ALL) == redact(text, ())


def test_a_card_is_found_among_other_digits() -> None:
    """A year or a security code behind a card number does not hide it."""
    assert "4111" not in redact("4111 1111 1111 1111 2029 737", ["card"]).text
    assert "4111" not in redact("99 4111111111111111", ["card"]).text


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("Nr12 an ", id="no country"),
        pytest.param("FR12 is another, ", id="a country"),
        pytest.param("GB82 WEST 1234 5698 7654 32 ", id="another account"),
        pytest.param("XX00-XX00-XX00-XX00 ", id="a number like it"),
    ],
)
def test_an_account_is_found_behind_what_begins_like_one(before: str) -> None:
    assert redact(f"{before}DE89 3704 0044 0532 0130 00 now", ["iban"]).text.endswith(" [redacted iban] now")


def test_a_key_that_is_cut_off_takes_the_rest_with_it() -> None:
    assert redact("a -----BEGIN PRIVATE KEY-----\nMIIE", ["pem"]).text == "a [redacted pem]"


def test_two_that_overlap_leave_nothing() -> None:
    text = "key=sk-" + "a" * 30 + "@mail.example"
    found = redact(text, ALL)
    assert "aaaa" not in found.text
    assert "mail.example" not in found.text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(f"idAKIA{'A1' * 8}", "id[redacted key]", id="AWS"),
        pytest.param(f"tokenghp_{'a1B2' * 9}", "token[redacted key]", id="GitHub"),
        pytest.param(f"KEY_sk-{'a1' * 12}", "KEY[redacted key]", id="OpenAI behind a name"),
        pytest.param(f"v2sk_live_{'a1B2' * 6}", "v2[redacted key]", id="Stripe"),
    ],
)
def test_a_key_that_is_glued_to_a_word(text: str, left: str) -> None:
    assert redact(text, ["key"]).text == left


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        pytest.param("4111111111111111", "[redacted card]", id="whole"),
        pytest.param("4111111111111111.0", "[redacted card]", id="point"),
        pytest.param("4.111111111111111e15", "[redacted card]", id="exponent"),
        pytest.param("41111111111111110e-1", "[redacted card]", id="negative-exponent"),
        pytest.param("-4111111111111111", "-[redacted card]", id="negative"),
        pytest.param("4111111111111112", 4111111111111112, id="does-not-check"),
        pytest.param("1700000000000000000", 1700000000000000000, id="time"),
        pytest.param("0.4111111111111111", 0.4111111111111111, id="fraction"),
        pytest.param("1e300", 1e300, id="large"),
        pytest.param("true", True, id="no-number"),
    ],
)
def test_a_card_may_be_any_number(number: str, seen: object) -> None:
    assert redact_strings(parse(f"[{number}]".encode()), ["card"])[0] == [seen]


def test_only_what_is_asked_for() -> None:
    assert redact("ada@mail.example 4111111111111111", ["card"]).text == "ada@mail.example [redacted card]"


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18), st.integers(2, 6))
def test_one_last_digit_in_ten_checks(digits: list[int], first: int) -> None:
    numbers = [[first, *digits[1:], last] for last in range(10)]
    assert sum((0, len(number)) in card_numbers(number) for number in numbers) == 1


def test_the_lengths_are_those_of_the_registry() -> None:
    assert len(IBAN_LENGTHS) > 75
    assert (IBAN_LENGTHS["NO"], IBAN_LENGTHS["DE"], IBAN_LENGTHS["LC"]) == (15, 22, 32)


@given(st.text(max_size=200))
def test_any_text_can_be_looked_through_twice(text: str) -> None:
    once = redact(text, ALL).text
    assert redact(once, ALL).text == once


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, id=part)
        for part in ("4", "4 ", "4026 ", "a@", "+4", "DE89", "DE89 ", "eyJa.", "-----BEGIN A-----", "(1)")
    ],
)
def test_hostile_text_costs_no_more_than_other_text(part: str) -> None:
    text = part * (400_000 // len(part))
    began = time.process_time()
    redact(text, ALL)
    assert time.process_time() - began < 5
