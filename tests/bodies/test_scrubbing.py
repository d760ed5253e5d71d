from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.bodies.echoes import Echo, base64, echoes
from lockgate.bodies.scrubbing import Scrubbing, Withholding
from lockgate.errors import MaskingFailed

SECRET = "s3cr/t+<k&y>='\"\\?~"
TEXTS = st.sampled_from([SECRET, "abcabcab", "aaaaaaaa", "%25%25%2", "\\u005c\\u", "&amp;&#3", "plain-text-1"])


def spellings(text: str) -> list[bytes]:
    """Some of what stands for a text."""
    plain = text.encode()
    return [
        plain,
        plain.hex().encode(),
        text.encode("utf-16-le"),
        text.encode("utf-32-be"),
        "".join(f"%{ord(one):02x}" for one in text).encode(),
        "".join(f"\\u{ord(one):04X}" if number % 2 else one for number, one in enumerate(text)).encode(),
        "".join(f"&#{ord(one):04};" for one in text).encode(),
        b64encode(plain),
        b64encode(b"x" + plain),
        b64encode(b"xy" + plain + b"z"),
        b64encode(b"user:" + plain).replace(b"=", b"%3D").replace(b"+", b"\\u002b"),
    ]


def scrubbed(found: Sequence[Echo], *parts: bytes) -> tuple[bytes, int]:
    scrubbing = Scrubbing(found)
    pieces = [piece for part in parts for piece in scrubbing.feed(part)]
    return b"".join([*pieces, *scrubbing.end()]), scrubbing.count


def redacted(found: Sequence[Echo], data: bytes) -> tuple[bytes, int]:
    total = 0
    for echo in found:
        data, count = echo.redact(data)
        total += count
    return data, total


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A text, and a body with echoes, and beginnings of echoes."""
    text = draw(TEXTS)
    whole = st.sampled_from(spellings(text))
    cut = whole.flatmap(lambda form: st.integers(0, len(form)).map(lambda end: form[:end]))
    noise = st.binary(max_size=3) | st.sampled_from([b"%", b"\\", b"&", b"&#0", b"%2", b"\\u00"])
    return text, b"".join(draw(st.lists(whole | cut | noise, max_size=6)))


@given(bodies(), st.data())
def test_however_it_is_cut(body: tuple[str, bytes], data: st.DataObject) -> None:
    text, whole = body
    found = (base64(f"user:{text}", 0), *echoes(text))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert scrubbed(found, *parts) == redacted(found, whole)


@given(bodies())
def test_byte_by_byte(body: tuple[str, bytes]) -> None:
    text, whole = body
    found = (base64(f"user:{text}", 0), *echoes(text))
    assert scrubbed(found, *(bytes([byte]) for byte in whole)) == redacted(found, whole)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"a" * 11, b"a" * 5], id="one-behind-another"),
        pytest.param([b"a" * 8, b"%61" * 8], id="first-plain-then-escaped"),
        pytest.param([b"%61" * 8, b"a" * 8], id="first-escaped-then-plain"),
    ],
)
def test_an_echo_that_looks_like_its_own_beginning(parts: list[bytes]) -> None:
    assert scrubbed(echoes("a" * 8), *parts) == (b"[redacted]" * 2, 2)


@pytest.mark.parametrize("form", spellings(SECRET))
def test_an_echo_is_removed_wherever_it_is_cut(form: bytes) -> None:
    found = (base64(f"user:{SECRET}", 0), *echoes(SECRET))
    for cut in range(len(form)):
        left, count = scrubbed(found, b"<" + form[:cut], form[cut:] + b">")
        assert (left, count) == redacted(found, b"<" + form + b">")
        assert count >= 1


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"delta": "some text"}\n\n',
        b'{"a": "\\u00e4 \\n", "b": "x&y 100%"}\n',
        b"event: done\r\n\r\n",
        b"\x89PNG\r\n\x1a\n",
    ],
)
def test_what_cannot_be_a_beginning_is_not_held_back(event: bytes) -> None:
    scrubbing = Scrubbing(echoes(SECRET))
    for _ in range(3):
        assert b"".join(scrubbing.feed(event)) == event


@pytest.mark.parametrize("part", [b"&#" + b"0" * 5000, b"s3cr" * 2000, b"%" * 5000, b"\\" * 5000, bytes(5000)])
def test_what_is_held_back_is_bounded(part: bytes) -> None:
    scrubbing = Scrubbing(echoes(SECRET))
    given = sum(len(piece) for _ in range(4) for piece in scrubbing.feed(part))
    assert 4 * len(part) - given < 32 * len(SECRET) + 100


def test_it_shows_nothing_of_what_it_holds() -> None:
    scrubbing = Scrubbing(echoes("correct-horse"))
    list(scrubbing.feed(b"correct-"))
    assert "correct" not in repr(scrubbing)


@pytest.mark.parametrize("cut", [0, 3, 12, 200])
def test_nothing_passes_from_where_a_secret_stands(cut: int) -> None:
    withholding = Withholding(echoes("plain-text-1"))
    body = b"before " + b"plain-text-1" + b" behind"
    passed = b""

    def feed() -> None:
        nonlocal passed
        for part in (body[:cut], body[cut:]):
            for piece in withholding.feed(part):
                passed += piece
        for piece in withholding.end():
            passed += piece

    with pytest.raises(MaskingFailed):
        feed()
    assert b"before ".startswith(passed)


def test_what_has_no_secret_passes_as_it_is() -> None:
    withholding = Withholding(echoes("plain-text-1"))
    assert b"".join([*withholding.feed(b"plain-"), *withholding.feed(b"text"), *withholding.end()]) == b"plain-text"
