from __future__ import annotations

import hashlib

import pytest

from lockgate.recordings.delivered import Delivered


@pytest.mark.parametrize("parts", [[b"abcdef"], [b"ab", b"", b"cdef"], [b"a", b"b", b"c", b"d", b"e", b"f"]])
@pytest.mark.parametrize(("limit", "kept"), [(7, b"abcdef"), (6, b"abcdef"), (5, b"abcde"), (0, b"")])
def test_the_first_bytes_are_kept_and_all_are_counted(parts: list[bytes], limit: int, kept: bytes) -> None:
    delivered = Delivered(limit)
    for part in parts:
        delivered.add(part)
    assert (delivered.body, delivered.length) == (kept, 6)
    assert delivered.entry() == {"length": 6, "ended": None}
    assert delivered.hash.digest() == hashlib.sha256(b"abcdef").digest()


def test_who_ended_it_first_did() -> None:
    delivered = Delivered(10)
    delivered.end("agent", "It hung up.")
    delivered.end("gateway", "Something else.")
    assert delivered.entry() == {"length": 0, "ended": "agent", "why": "It hung up."}


def test_a_body_that_is_recorded_is_let_go() -> None:
    delivered = Delivered(10)
    delivered.add(b"abc")
    delivered.release()
    delivered.add(b"def")
    assert (delivered.body, delivered.length) == (b"", 6)
