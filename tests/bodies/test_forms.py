from __future__ import annotations

from io import BytesIO
from urllib.parse import parse_qs, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.formparser import FormDataParser

from lockgate.bodies.forms import MAX_FIELDS, TYPE, parse
from lockgate.errors import BodyUnreadable
from lockgate.model import Form

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)
NAMES = TEXT.filter(lambda name: bool(name.strip()) and name.strip().lower() != "_charset_")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", {}, id="empty"),
        pytest.param(b"a=1", {"a": ("1",)}, id="one"),
        pytest.param(b"a=", {"a": ("",)}, id="no-value"),
        pytest.param(b"a=1&b=2&a=3", {"a": ("1", "3"), "b": ("2",)}, id="twice"),
        pytest.param(b"a=b=c", {"a": ("b=c",)}, id="equals-in-value"),
        pytest.param(b"a+b=%2B+%3b", {"a b": ("+ ;",)}, id="decoded"),
        pytest.param(b"a[b]=1&%5b=2", {"a[b]": ("1",), "[": ("2",)}, id="brackets-are-names"),
        pytest.param(b"a=%C3%A9", {"a": ("\u00e9",)}, id="utf-8"),
        pytest.param(b"a=1%0D%0A%09", {"a": ("1\r\n\t",)}, id="lines-in-a-value"),
    ],
)
def test_parses(body: bytes, expected: dict[str, tuple[str, ...]]) -> None:
    assert parse(body) == Form(expected)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"a", "no =", id="no-equals"),
        pytest.param(b"a=1&", "no =", id="separator-at-the-end"),
        pytest.param(b"a=1&&b=2", "no =", id="separator-twice"),
        pytest.param(b"=1", "no name", id="no-name"),
        pytest.param(b"+=1", "no name", id="blank-name"),
        pytest.param(b"a=1;b=2", "semicolon", id="semicolon"),
        pytest.param(b"a=1 2", "percent-encoded", id="blank"),
        pytest.param(b"a=1\r\n", "percent-encoded", id="line-end"),
        pytest.param("a=\u00e9".encode(), "percent-encoded", id="not-encoded"),
        pytest.param(b"a=\0", "percent-encoded", id="nul"),
        pytest.param(b"a=%", "two hex digits", id="escape-cut-short"),
        pytest.param(b"a=%zz", "two hex digits", id="broken-escape"),
        pytest.param(b"%u0061=1", "two hex digits", id="iis-escape"),
        pytest.param(b"a=%ff", "UTF-8", id="latin-1"),
        pytest.param(b"%c1%a1=1", "UTF-8", id="overlong"),
        pytest.param(b"a=%ed%a0%80", "UTF-8", id="surrogate"),
        pytest.param(b"a=%00", "control character", id="encoded-nul"),
        pytest.param(b"a%00b=1", "control character", id="nul-in-name"),
        pytest.param(b"a%0a=1", "control character", id="line-end-in-name"),
        pytest.param(b"a%C2%85=1", "control character", id="next-line-in-name"),
        pytest.param(b"_charset_=utf-7&a=1", "_charset_", id="charset"),
        pytest.param(b"+_CHARSET_=utf-7", "_charset_", id="charset-in-capitals"),
        pytest.param(b"&".join([b"a=1"] * (MAX_FIELDS + 1)), "more than 1000", id="too-many"),
        pytest.param(b"\xef\xbb\xbfa=1", "percent-encoded", id="bom"),
    ],
)
def test_refused(body: bytes, why: str) -> None:
    with pytest.raises(BodyUnreadable, match="no form that is read in one way") as caught:
        parse(body)
    assert why in str(caught.value)


def test_as_many_as_there_may_be() -> None:
    assert len(parse(b"&".join(b"a%d=1" % number for number in range(MAX_FIELDS))).fields) == MAX_FIELDS


@given(st.lists(st.tuples(NAMES, TEXT), max_size=5))
def test_what_is_read_is_what_was_written(pairs: list[tuple[str, str]]) -> None:
    found = parse(urlencode(pairs).encode())
    assert [(name, value) for name in found.fields for value in found.fields[name]] == sorted(
        pairs, key=lambda pair: list(dict(pairs)).index(pair[0])
    )


@given(st.lists(st.sampled_from([b"a", b"b", b"=", b"&", b"+", b"%41", b"%", b";", b"[]", b"%00", b"%ff", b" "])))
def test_what_is_read_is_what_lenient_parsers_read(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    try:
        found = parse(body).fields
    except BodyUnreadable:
        return
    lists = {name: list(values) for name, values in found.items()}
    assert parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body)) == lists
    assert werkzeug(body) == lists


def werkzeug(body: bytes) -> dict[str, list[str]]:
    _, form, _ = FormDataParser().parse(BytesIO(body), TYPE, len(body))
    return {name: form.getlist(name) for name in form}


@given(st.lists(st.tuples(NAMES, TEXT), min_size=1, max_size=5))
def test_what_is_written_again_is_read_alike(pairs: list[tuple[str, str]]) -> None:
    found = parse("&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode())
    again = urlencode([(name, value) for name, values in found.fields.items() for value in values])
    assert parse(again.encode()) == found
