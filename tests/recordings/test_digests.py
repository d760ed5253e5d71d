from __future__ import annotations

import hashlib
import hmac

import pytest

from lockgate.recordings.digests import Seen, Wire

KEY = b"k" * 32


def digest(text: bytes, body: bytes) -> str:
    return hmac.new(KEY, text + hashlib.sha256(body).digest(), "sha256").hexdigest()


def test_it_is_of_the_head_and_the_bodys_hash() -> None:
    seen = Seen(b"GET /a HTTP/1.1", ((b"Host", b"a.example"), (b"x", b"")), b"body")
    digests = Wire(request_received=seen).digests(KEY)
    text = b"GET /a HTTP/1.1\nHost: a.example\nx: \n\n"
    assert digests["request"] == {"received": digest(text, b"body"), "sent": None}
    assert digests["response"] == {"received": None, "delivered": None}


def test_a_body_that_came_in_parts_has_the_digest_of_the_whole() -> None:
    parts = hashlib.sha256()
    parts.update(b"bo")
    parts.update(b"dy")
    wire = Wire(response_received=Seen(b"text", (), parts), response_delivered=Seen(b"text", (), b"body"))
    found = wire.digests(KEY)["response"]
    assert found["received"] == found["delivered"] == digest(b"text\n\n", b"body")


def test_what_did_not_come_whole_has_none() -> None:
    assert Wire(request_received=Seen(b"POST / HTTP/1.1", (), None)).digests(KEY)["request"]["received"] is None


@pytest.mark.parametrize(
    "other",
    [
        Seen(b"GET /b HTTP/1.1", ((b"a", b"1"),), b"x"),
        Seen(b"GET /a HTTP/1.1", ((b"a", b"2"),), b"x"),
        Seen(b"GET /a HTTP/1.1", (), b"x"),
        Seen(b"GET /a HTTP/1.1", ((b"a", b"1"),), b"y"),
    ],
    ids=["line", "value", "field", "body"],
)
def test_whatever_differs_shows(other: Seen) -> None:
    one = Seen(b"GET /a HTTP/1.1", ((b"a", b"1"),), b"x")
    found = Wire(request_received=one, request_sent=other).digests(KEY)["request"]
    assert found["received"] != found["sent"]


def test_nothing_of_it_shows_in_logs() -> None:
    assert "s3cret" not in repr(Seen(b"GET / HTTP/1.1", ((b"authorization", b"s3cret"),), b"s3cret"))
