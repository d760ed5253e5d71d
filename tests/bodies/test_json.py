from __future__ import annotations

import json
import threading
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.bodies.json import (
    MAX_DEPTH,
    MAX_NUMBER,
    Float,
    NegativeZero,
    dumps,
    dumps_line,
    is_json,
    levels,
    parse,
    structure,
)
from lockgate.errors import BodyUnreadable

NUMBER_TEXT = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@st.composite
def documents(draw):
    """A JSON text as `dumps` would write it, with numbers written in every way there is."""
    scalar = st.one_of(
        st.sampled_from(["null", "true", "false"]),
        NUMBER_TEXT,
        TEXT.map(lambda text: json.dumps(text, ensure_ascii=False)),
    )
    tree = st.recursive(
        scalar,
        lambda node: st.one_of(
            st.lists(node, max_size=5).map(lambda parts: "[" + ",".join(parts) + "]"),
            st.dictionaries(TEXT, node, max_size=5).map(
                lambda members: (
                    "{"
                    + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{value}" for key, value in members.items())
                    + "}"
                )
            ),
        ),
        max_leaves=20,
    )
    return draw(tree)


@given(documents())
def test_round_trip_is_byte_exact(text):
    assert dumps(parse(text.encode())) == text.encode()


@given(documents())
def test_parse_agrees_with_the_standard_library(text):
    assert parse(text.encode()) == json.loads(text)


@given(st.binary(max_size=50))
def test_any_bytes_parse_or_are_refused(data):
    try:
        document = parse(data)
    except BodyUnreadable:
        return
    assert parse(dumps(document)) == document


@given(NUMBER_TEXT)
def test_lossless_means_the_same_number(text):
    value = parse(text.encode())
    if isinstance(value, int):
        assert value == Decimal(text)
    elif isinstance(value, Float):
        assert value.text == text
        assert value.lossless == (Decimal(text) == Decimal(repr(float(value))))
    else:
        assert Decimal(repr(value)) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "lossless"),
    [("1.10", True), ("1e2", True), ("0.1e1", True), ("500.00000000000000001", False), ("1e-400", False)],
)
def test_float_keeps_its_text(text, lossless):
    value = parse(text.encode())
    assert isinstance(value, Float)
    assert (value.text, value.lossless) == (text, lossless)
    assert value == float(text)


def test_minus_zero_is_zero_and_stays_minus_zero():
    value = parse(b"-0")
    assert value == 0
    assert isinstance(value, int)
    assert dumps([value]) == b"[-0]"


def test_integers_are_exact():
    assert parse(b"123456789012345678901234567890") == 123456789012345678901234567890


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "Expecting value", id="empty"),
        pytest.param(b" ", "Expecting value", id="space"),
        pytest.param(b"{", "Expecting property name", id="cut-short"),
        pytest.param(b'{"a":1} {"a":2}', "Extra data", id="two-documents"),
        pytest.param(b"[1,]", "at line 1, column 3", id="trailing-comma"),
        pytest.param(b"[1] // x", "Extra data", id="comment"),
        pytest.param(b"{'a':1}", "Expecting property name", id="single-quotes"),
        pytest.param(b'{"a":1,"a":2}', "same key twice", id="duplicate"),
        pytest.param(b'[{"b":{"a":1,"\\u0061":2}}]', "same key twice", id="duplicate-by-escape"),
        pytest.param(b"NaN", "no JSON number", id="nan"),
        pytest.param(b"[Infinity]", "no JSON number", id="infinity"),
        pytest.param(b"[-Infinity]", "no JSON number", id="minus-infinity"),
        pytest.param(b"1e999", "out of range", id="overflow"),
        pytest.param(b"-1e999", "out of range", id="underflow"),
        pytest.param(b"01", "Extra data", id="leading-zero"),
        pytest.param(b"+1", "Expecting value", id="plus"),
        pytest.param(b"1.", "Extra data", id="no-fraction"),
        pytest.param(b".5", "Expecting value", id="no-integer"),
        pytest.param(b"0x10", "Extra data", id="hexadecimal"),
        pytest.param("\u0661".encode(), "Expecting value", id="arabic-digit"),
        pytest.param(b"1" * 2000, "1024 characters", id="long-integer"),
        pytest.param(b"0." + b"1" * 2000, "1024 characters", id="long-fraction"),
        pytest.param(b"\xef\xbb\xbf{}", "BOM", id="bom"),
        pytest.param("{}".encode("utf-16"), "not UTF-8", id="utf-16"),
        pytest.param("{}".encode("utf-16-le"), "Expecting", id="utf-16-without-bom"),
        pytest.param(b'"\xff"', "not UTF-8", id="latin-1"),
        pytest.param(b'"\xc0\xaf"', "not UTF-8", id="overlong"),
        pytest.param(b'"\xed\xa0\x80"', "not UTF-8", id="encoded-surrogate"),
        pytest.param(b'"\\ud800"', "surrogate", id="half-pair"),
        pytest.param(b'{"\\uDFFF":1}', "surrogate", id="half-pair-in-key"),
        pytest.param(b'"a\nb"', "Invalid control character", id="newline-in-string"),
        pytest.param(b'"\\x41"', "Invalid", id="unknown-escape"),
        pytest.param(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "128 deep", id="too-deep"),
        pytest.param(b'{"a":' * 200 + b"1" + b"}" * 200, "128 deep", id="too-deep-objects"),
        pytest.param(b"[" * 500_000, "128 deep", id="far-too-deep"),
        pytest.param("\u00a0{}".encode(), "Expecting value", id="no-break-space"),
        pytest.param(b"null\0", "Extra data", id="nul"),
    ],
)
def test_refused(data, message):
    with pytest.raises(BodyUnreadable, match="strict JSON") as caught:
        parse(data)
    assert message in str(caught.value)
    assert caught.value.__context__ is None  # the parser's own error holds the document


def test_deep_nesting_is_refused_in_a_thread_too():
    outcome = []

    def run() -> None:
        try:
            parse(b'{"a":[' * 200_000)
        except BodyUnreadable as error:
            outcome.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "128 deep" in outcome[0]


def test_the_greatest_depth_is_taken():
    text = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert dumps(parse(text)) == text


def test_a_line_is_one_to_every_reader():
    document = {"a\u2028": ["b\x85\u2029\x0b\x0c\x1c\x1d\x1e\r\n"], "c": "\u00e9\u2027"}
    line = dumps_line(document)
    assert line.decode().splitlines() == [line.decode()]
    assert parse(line) == document
    assert "\u00e9\u2027" in line.decode()


def test_surrogate_pairs_are_characters():
    assert parse(b'"\\ud83d\\ude00 \\\\ud800"') == "\N{GRINNING FACE} \\ud800"


@pytest.mark.parametrize(
    "document",
    [{1: "a"}, [{None: 1}], [{1: Float("1.10")}], (1,), {"a": (1,)}, [object()], b"x", float("nan"), [float("inf")]],
    ids=lambda document: repr(document).partition(" at 0x")[0],
)
def test_dumps_refuses_what_parse_never_gives(document):
    with pytest.raises((TypeError, ValueError)):
        dumps(document)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON", True),
        ("application/json; charset=utf-8", True),
        ('application/json;charset="UTF-8"', True),
        ("application/json;", True),
        ("application/problem+json", True),
        ("application/vnd.api+json; charset=utf-8", True),
        (None, False),
        ("", False),
        ("text/plain", False),
        ("text/json", False),
        ("application/jsonp", False),
        ("application/x-ndjson", False),
        ("application/json-seq", False),
        ("application/json; charset=utf-16", False),
        ("application/json; charset=utf-8; charset=utf-7", False),
        ("application/json; version=1", False),
        ("application/json, text/plain", False),
        ("+json", False),
        ("application/+json", False),
    ],
)
def test_is_json(content_type, expected):
    assert is_json(content_type) is expected


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"a":1,"A":2}', id="letters"),
        pytest.param(b'[[{"x":{"b":1,"B":2}}]]', id="below"),
        pytest.param('{"stra\u00dfe":1,"STRASSE":2}'.encode(), id="sharp-s"),
        pytest.param('{"k":1,"\u212a":2}'.encode(), id="kelvin-sign"),
        pytest.param(b'{"a":1,"\\u0041":2}', id="escaped"),
    ],
)
def test_keys_in_one_letter_case(data):
    with pytest.raises(BodyUnreadable, match="differ in letter case only"):
        parse(data, one_letter_case=True)
    assert parse(data) == json.loads(data)


@pytest.mark.parametrize("data", [b'{"a":{"A":1},"b":[{"B":2}]}', b'[{"a":1},{"A":2}]', b'{"a":1,"b":2}', b"{}", b"1"])
def test_keys_of_different_objects_may_differ_in_letter_case(data):
    assert parse(data, one_letter_case=True) == json.loads(data)


def test_keys_in_one_letter_case_are_still_unique():
    with pytest.raises(BodyUnreadable, match="same key twice"):
        parse(b'{"a":1,"b":2,"a":3}', one_letter_case=True)


def nested(depth, inner="1", width=1):
    return ("[" * depth + inner + "]" * depth + ("," + "[]") * width).join("[]").encode()


@pytest.mark.parametrize("width", [0, 200])
@pytest.mark.parametrize("inner", ["1", '"]"', '"\\"]"', '{"a":"[:"}'])
def test_depth_is_counted_however_wide(inner, width):
    depth = MAX_DEPTH - 1 - inner.startswith("{")
    assert parse(nested(depth, inner, width))
    with pytest.raises(BodyUnreadable, match="128 deep"):
        parse(nested(depth + 1, inner, width))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"1", b"", id="scalar"),
        pytest.param(b'{"a" : [1, {}]}', b"[:[[]]]", id="brackets-and-colons"),
        pytest.param(b'{"{:":"]","}":":"}', b"[::]", id="in-strings"),
        pytest.param(rb'{"a\"":"\"","b":"\\"}', b"[::]", id="escaped-quotes"),
        pytest.param(rb'{"\\\"]":"\u0022:\\\\","\u005c":[]}', b"[::[]]", id="escapes-before-quotes"),
        pytest.param('{"\u201c:\u201d":"\uff5b"}'.encode(), b"[:]", id="beyond-ascii"),
    ],
)
def test_structure_is_what_is_outside_of_strings(data, expected):
    json.loads(data)
    assert structure(data) == expected


def plainly_parsed(data, *, one_letter_case):
    """The reference: every demand on its own, asked of each object and number as the parser comes by."""

    def members(pairs):
        names = [name.casefold() if one_letter_case else name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise ValueError
        return dict(pairs)

    def integer(text):
        if len(text) > MAX_NUMBER:
            raise ValueError
        return NegativeZero() if text == "-0" else int(text)

    def number(text):
        value = float(text)
        if repr(value) != text and (len(text) > MAX_NUMBER or value in (float("inf"), -float("inf"))):
            raise ValueError
        return value if repr(value) == text else Float(text)

    def constant(text):
        raise ValueError(text)

    text = data.decode("utf-8")  # no "utf-8-sig": a BOM is refused as any other character
    document = json.loads(
        text, object_pairs_hook=members, parse_int=integer, parse_float=number, parse_constant=constant
    )
    if sum(1 for _ in levels(document)) > MAX_DEPTH:
        raise ValueError
    json.dumps(document, ensure_ascii=False).encode("utf-8")
    return document


KEY = st.sampled_from(["a", "A", "\\u0041", "b", ":", "{", "\\\\", '\\"', "\u212a", "k", "\\ud800", ""])
HARD_NUMBER = st.sampled_from(
    [
        *("-0", "-0.0", "-0e1", "1e400", "-1e400", "1e-400", "1.10", "1E5", "NaN", "-Infinity", "01", "-"),
        *("9" * 30, "-" + "9" * 30, "9" * MAX_NUMBER, "-" + "9" * MAX_NUMBER, "9" * (MAX_NUMBER + 1), "1" * 4301),
        *("0." + "1" * MAX_NUMBER, "1" * MAX_NUMBER + ".0", "18446744073709551616"),
    ]
)
HARD_TEXT = st.lists(
    st.sampled_from([*'a:{}[]," ', "\\\\", '\\"', "\\ud83d\\ude00", "\\udc00", "-0", "\u00e9"]), max_size=4
)


@st.composite
def hard_documents(draw):
    """Texts that are often JSON, with what it takes to mislead whoever reads them fast."""
    node = st.recursive(
        st.one_of(HARD_NUMBER, NUMBER_TEXT, HARD_TEXT.map(lambda parts: f'"{"".join(parts)}"')),
        lambda node: st.one_of(
            st.lists(node, max_size=3).map(lambda parts: f"[{' , '.join(parts)}]"),
            st.lists(st.tuples(KEY, st.sampled_from([":", " : "]), node), max_size=3).map(
                lambda members: "{" + ",".join(f'"{key}"{colon}{value}' for key, colon, value in members) + "}"
            ),
            st.tuples(st.sampled_from([1, 125, 126, 127, 128, 2000]), node).map(
                lambda deep: "[" * deep[0] + deep[1] + "]" * deep[0]
            ),
        ),
        max_leaves=6,
    )
    return (draw(st.sampled_from(["", "", "", "\ufeff"])) + draw(node)).encode()


def outcome(parser, refusal, data, **options):
    try:
        document = parser(data, **options)
    except refusal:
        return None
    return document, dumps(document), [type(node) for node in nodes(document)]


def nodes(document):
    yield document
    for level in levels(document):
        for node in level:
            yield from node.values() if isinstance(node, dict) else node


@settings(max_examples=300)
@given(hard_documents(), st.booleans())
def test_parse_says_what_the_plain_way_says(data, one_letter_case):
    fast = outcome(parse, BodyUnreadable, data, one_letter_case=one_letter_case)
    assert fast == outcome(plainly_parsed, (ValueError, RecursionError), data, one_letter_case=one_letter_case)
