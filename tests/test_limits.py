"""What one caller may use at once, and how often a stranger may try."""

from __future__ import annotations

import pytest

from lockgate.limits import IN_ALL, Attempts, HeldTokens, Usage, group

ADA, BEN = ("https://login.example", "ada"), ("https://login.example", "ben")


def test_connections_of_one_are_few_and_anothers_are_their_own() -> None:
    usage = Usage()
    assert [usage.connect(ADA, name, 2) for name in ("a", "b", "a", "c")] == [True, True, True, False]
    assert usage.connect(BEN, "d", 2)
    usage.disconnect(ADA, "a")
    assert usage.connect(ADA, "c", 2)


def test_requests_under_way_are_few() -> None:
    usage = Usage()
    assert [usage.begin(ADA, name, 2) for name in ("1", "2", "2", "3")] == [True, True, True, False]
    usage.end(ADA, "1")
    assert usage.begin(ADA, "3", 2)


def test_bytes_are_counted_over_all_requests_until_they_end() -> None:
    usage = Usage()
    for request in ("1", "2"):
        usage.begin(ADA, request, 9)
    assert usage.keep(ADA, "1", 60, 100)
    assert usage.keep(ADA, "2", 40, 100)
    assert not usage.keep(ADA, "2", 1, 100)
    usage.end(ADA, "1")
    assert usage.keep(ADA, "2", 1, 100)


def test_nothing_is_kept_for_a_request_that_was_never_begun() -> None:
    assert not Usage().keep(ADA, "1", 1, 100)


def test_what_was_never_used_can_be_given_back() -> None:
    usage = Usage()
    usage.end(ADA, "1")
    usage.disconnect(ADA, "a")
    assert usage.begin(ADA, "1", 1)


def test_who_uses_nothing_is_forgotten() -> None:
    usage = Usage()
    usage.connect(ADA, "a", 1)
    usage.begin(ADA, "1", 1)
    usage.end(ADA, "1")
    usage.disconnect(ADA, "a")
    assert not usage._used


def test_failures_use_up_what_is_let_through() -> None:
    attempts = Attempts(rate=2.0, burst=3)
    assert not attempts.too_many("192.0.2.1", 0.0)
    for _ in range(3):
        attempts.failed("192.0.2.1", 0.0)
    assert attempts.too_many("192.0.2.1", 0.4)
    assert not attempts.too_many("192.0.2.1", 0.5)
    assert not attempts.too_many("192.0.2.2", 0.0)


def test_failures_of_one_network_count_together() -> None:
    attempts = Attempts(rate=1.0, burst=2)
    attempts.failed("2001:db8::1", 0.0)
    attempts.failed("2001:db8::2", 0.0)
    assert attempts.too_many("2001:db8::3", 0.0)
    assert not attempts.too_many("2001:db8:0:1::3", 0.0)


def test_only_so_many_addresses_are_remembered() -> None:
    attempts = Attempts(rate=1.0, burst=1, most=2)
    for last in (1, 2, 1, 3):
        attempts.failed(f"192.0.2.{last}", 0.0)
    assert [attempts.too_many(f"192.0.2.{last}", 0.0) for last in (1, 2, 3)] == [True, False, True]


def test_a_clock_that_stands_still_or_goes_back_refills_nothing() -> None:
    attempts = Attempts(rate=1.0, burst=1)
    attempts.failed("192.0.2.1", 10.0)
    assert attempts.too_many("192.0.2.1", 5.0)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", id="v4"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="v4-in-v6"),
        pytest.param("2001:db8::1", "2001:db8::/64", id="v6"),
        pytest.param("fe80::1%eth0", "fe80::/64", id="v6-with-zone"),
    ],
)
def test_whose_address_it_is(address: str, expected: str) -> None:
    assert group(address) == expected


def test_many_addresses_have_no_more_than_a_few() -> None:
    """However many networks somebody has, and though the first of them are forgotten by then."""
    attempts, let_through = Attempts(rate=1.0, burst=5, most=10), 0
    for number in range(1000):
        address = f"2001:db8:0:{number % 100:x}::1"
        if not attempts.too_many(address, 0.0):
            attempts.failed(address, 0.0)
            let_through += 1
    assert let_through == 5 * IN_ALL
    assert attempts.too_many("192.0.2.1", 0.0)
    assert not attempts.too_many("192.0.2.1", 0.1)


def test_tokens_that_have_held() -> None:
    held = HeldTokens(most=2)
    assert "one" not in held
    held.add("one")
    held.add("two")
    assert "one" in held  # so that the other is the older one
    held.add("three")
    assert [token in held for token in ("one", "two", "three")] == [True, False, True]
    held.discard("one")
    held.discard("never")
    assert "one" not in held
