from __future__ import annotations

import hmac

import pytest

from lockgate.recordings.delivered import Delivered

KEY = b"k" * 32


def digest(data: bytes) -> str:
    return hmac.new(KEY, data, "sha256").hexdigest()


@pytest.mark.parametrize("parts", [[b"abcdef"], [b"ab", b"", b"cdef"], [b"a", b"b", b"c", b"d", b"e", b"f"]])
@pytest.mark.parametrize(("limit", "kept"), [(7, b"abcdef"), (6, b"abcdef"), (5, b"abcde"), (0, b"")])
def test_the_first_bytes_are_kept_and_all_are_counted(parts: list[bytes], limit: int, kept: bytes) -> None:
    delivered = Delivered(limit, KEY)
    for part in parts:
        delivered.add(part)
    assert (delivered.body, delivered.length) == (kept, 6)
    entry = {"length": 6, "ended": None}
    assert delivered.entry() == (entry if len(kept) == 6 else {**entry, "hmac": digest(b"abcdef")})


def test_who_ended_it_first_did() -> None:
    delivered = Delivered(10, KEY)
    delivered.end("agent", "It hung up.")
    delivered.end("gateway", "Something else.")
    assert delivered.entry() == {"length": 0, "ended": "agent", "why": "It hung up."}


def test_a_body_that_is_recorded_is_let_go() -> None:
    delivered = Delivered(10, KEY)
    delivered.add(b"abc")
    delivered.release()
    delivered.add(b"def")
    assert (delivered.body, delivered.length) == (b"", 6)
