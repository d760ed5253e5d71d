from __future__ import annotations

import contextlib
import email
import email.policy
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart import parse_form
from werkzeug.formparser import FormDataParser

from lockgate.bodies import content_type
from lockgate.bodies.forms import MAX_FIELDS
from lockgate.bodies.multipart import MAX_HEAD, parse
from lockgate.errors import BodyUnreadable

TYPE = "multipart/form-data; boundary=b"


def read(body: bytes, kind: str = TYPE) -> dict[str, tuple[Any, ...]]:
    return dict(parse(body, content_type.parse(kind)).fields)


def lines(*parts: str) -> bytes:
    return "\r\n".join(parts).encode()


def one(head: str, content: str = "x") -> bytes:
    return lines("--b", head, "", content, "--b--", "")


def field(disposition: str = 'form-data; name="a"', *more: str) -> bytes:
    return one(lines(f"Content-Disposition: {disposition}", *more).decode())


A = 'Content-Disposition: form-data; name="a"'
FILE = 'Content-Disposition: form-data; name="f"; filename="x.txt"'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(field(), {"a": ("x",)}, id="one"),
        pytest.param(field()[:-2], {"a": ("x",)}, id="no-line-end-behind"),
        pytest.param(field("form-data; name=a"), {"a": ("x",)}, id="unquoted"),
        pytest.param(field('Form-Data ; NAME="a"'), {"a": ("x",)}, id="letter-case"),
        pytest.param(field('form-data; name="a[b] c.d"'), {"a[b] c.d": ("x",)}, id="odd-name"),
        pytest.param(field('form-data; name="\u00e9"'), {"\u00e9": ("x",)}, id="utf-8-name"),
        pytest.param(one(A, ""), {"a": ("",)}, id="no-content"),
        pytest.param(one(A, "1\r\n\r\n2\n-"), {"a": ("1\r\n\r\n2\n-",)}, id="lines"),
        pytest.param(one(f"{A}\r\nContent-Type: text/plain; charset=UTF-8"), {"a": ("x",)}, id="typed"),
        pytest.param(one(f"{A}\r\nContent-Length: 1"), {"a": ("x",)}, id="length"),
        pytest.param(lines("--b", A, "", "1", "--b", A, "", "2", "--b--"), {"a": ("1", "2")}, id="twice"),
        pytest.param(
            one(FILE, "12345"),
            {"f": ({"filename": "x.txt", "type": "application/octet-stream", "size": 5},)},
            id="file",
        ),
        pytest.param(
            one(f"{FILE}\r\nContent-Type: image/PNG; x=y"),
            {"f": ({"filename": "x.txt", "type": "image/png", "size": 1},)},
            id="typed-file",
        ),
        pytest.param(
            one('Content-Disposition: form-data; filename="a%b"; name="f"'),
            {"f": ({"filename": "a%b", "type": "application/octet-stream", "size": 1},)},
            id="filename-first",
        ),
    ],
)
def test_parses(body: bytes, expected: dict[str, tuple[Any, ...]]) -> None:
    assert read(body) == expected


def test_a_file_is_any_bytes() -> None:
    body = b"--b\r\n" + FILE.encode() + b"\r\n\r\n\x00\xff--c\r\n--\r\n--b--\r\n"
    assert read(body)["f"][0]["size"] == 9


@pytest.mark.parametrize("boundary", ["b", "----WebKitFormBoundaryAbC", "0_9'()+_,-./:=?", "x" * 70])
def test_boundaries(boundary: str) -> None:
    body = field().replace(b"--b", b"--" + boundary.encode())
    assert read(body, f'multipart/form-data; boundary="{boundary}"') == {"a": ("x",)}


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="b "',
        'multipart/form-data; boundary="b b"',
        'multipart/form-data; boundary="b{"',
        f"multipart/form-data; boundary={'x' * 71}",
        "multipart/form-data; boundary=b; charset=utf-16",
        "multipart/form-data; boundary=b; type=text",
    ],
)
def test_other_boundaries_are_refused(kind: str) -> None:
    with pytest.raises(BodyUnreadable, match="boundary"):
        read(field(), kind)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(b"", "not ended", id="empty"),
        pytest.param(b"x", "before the first", id="no-boundary"),
        pytest.param(b"--b--\r\n", "not ended", id="no-part"),
        pytest.param(b"\r\n" + field(), "before the first", id="line-end-before"),
        pytest.param(b"preamble\r\n" + field(), "before the first", id="preamble"),
        pytest.param(field() + b"x", "behind it", id="epilogue"),
        pytest.param(field() + b"\r\n", "behind it", id="line-end-behind"),
        pytest.param(field() + field(), "line of its own", id="second-body"),
        pytest.param(field()[:-4], "behind it", id="no-end"),
        pytest.param(field().replace(b"\r\n", b"\n"), "behind it", id="lf"),
        pytest.param(field().replace(b"\r\n", b"\r"), "behind it", id="cr"),
        pytest.param(field().replace(b"--b\r", b"--b \r", 1), "line of its own", id="padding"),
        pytest.param(field().replace(b"x\r\n", b"x"), "line of its own", id="boundary-in-a-line"),
        pytest.param(field().replace(b"x", b"--bc"), "line of its own", id="longer-boundary"),
        pytest.param(field().replace(b"x", b"y\n--b\nz"), "line of its own", id="boundary-behind-lf"),
        pytest.param(b"--b\r\n--b--\r\n", "line of its own", id="part-of-nothing"),
        pytest.param(lines("--b", A, "--b--", ""), "blank line", id="no-blank-line"),
        pytest.param(one(f"{A}\r\n folded"), "no field", id="folded"),
        pytest.param(one('Content-Disposition: form-data;\r\n name="a"'), "no field", id="folded-name"),
        pytest.param(one('Content-Disposition : form-data; name="a"'), "no field", id="blank-before-colon"),
        pytest.param(one(f"{A}\r\nnothing"), "no field", id="no-colon"),
        pytest.param(one(f'{A}\nContent-Disposition: form-data; name="b"'), "no field", id="lf-in-head"),
        pytest.param(one(f"{A}\r\n{A}"), "field twice", id="disposition-twice"),
        pytest.param(one(f"{A}\r\ncontent-disposition: x"), "field twice", id="disposition-twice-in-small-letters"),
        pytest.param(one("Content-Type: text/plain"), "one plain name", id="no-disposition"),
        pytest.param(one(f"{A}\r\nX-A: b"), "beside", id="other-field"),
        pytest.param(one(f"{A}\r\nContent-Transfer-Encoding: base64"), "beside", id="transfer-encoding"),
        pytest.param(one(f"{A}\r\nContent-Length: 2"), "length", id="length"),
        pytest.param(one(f"{A}\r\nContent-Length: 01"), "length", id="length-with-zero"),
        pytest.param(one(f"{A}\r\nContent-Type: application/json"), "text/plain", id="json-part"),
        pytest.param(one(f"{A}\r\nContent-Type: text/plain; charset=utf-16"), "text/plain", id="charset"),
        pytest.param(one(f"{A}\r\nContent-Type: x"), "Content-Type", id="broken-type"),
        pytest.param(one(f"{A}\r\nContent-Type: multipart/mixed; boundary=c"), "parts of its own", id="nested"),
        pytest.param(one(f"{FILE}\r\nContent-Type: multipart/mixed"), "parts of its own", id="nested-file"),
        pytest.param(one(f"{FILE}\r\nContent-Type: message/rfc822"), "parts of its own", id="message"),
        pytest.param(field("form-data"), "one plain name", id="no-name"),
        pytest.param(field('attachment; name="a"'), "one plain name", id="attachment"),
        pytest.param(field('form-data; name=""'), "one plain name", id="empty-name"),
        pytest.param(field('form-data; name=" "'), "no name", id="blank-name"),
        pytest.param(field('form-data; name="a"; name="b"'), "one plain name", id="two-names"),
        pytest.param(field('form-data; name="a"; NAME=b'), "one plain name", id="two-names-in-capitals"),
        pytest.param(field("form-data; name=\"a\"; name*=utf-8''b"), "one plain name", id="extended-name"),
        pytest.param(field('form-data; name*0="a"; name*1="b"'), "one plain name", id="continued-name"),
        pytest.param(field("form-data; name=\"a\"; filename*=utf-8''b"), "one plain name", id="extended-filename"),
        pytest.param(field('form-data; name="a"; filename=""'), "one plain name", id="empty-filename"),
        pytest.param(field('form-data; name="a"; filename="x"; filename="y"'), "one plain name", id="two-files"),
        pytest.param(field('form-data; name="a\\"b"'), "one plain name", id="escaped-quote"),
        pytest.param(field('form-data; name="a%22b"'), "one plain name", id="percent-encoded"),
        pytest.param(field('form-data; name="a;b"'), "one plain name", id="semicolon"),
        pytest.param(field('form-data; name="=?utf-8?q?a?="'), "one plain name", id="encoded-word"),
        pytest.param(field("form-data; name='a'"), "one plain name", id="single-quotes"),
        pytest.param(field('form-data; name="a'), "one plain name", id="open-quote"),
        pytest.param(field('form-data; name="a"b'), "one plain name", id="behind-quote"),
        pytest.param(field('form-data; name = "a"'), "one plain name", id="blanks"),
        pytest.param(field('form-data; name="a"; x=y'), "one plain name", id="other-parameter"),
        pytest.param(field('form-data; name="a";'), "one plain name", id="semicolon-at-the-end"),
        pytest.param(field('form-data; name="a\u0085"'), "control character", id="control-in-name"),
        pytest.param(field('form-data; name="_charset_"'), "_charset_", id="charset-field"),
        pytest.param(one(A, "\0"), "control character", id="nul"),
        pytest.param(one(A).replace(b"x", b"\xff"), "UTF-8", id="latin-1"),
        pytest.param(one(A + " " * MAX_HEAD), "head of at most", id="long-head"),
        pytest.param(b"--b\r\n\r\n\r\n--b--\r\n", "blank line", id="empty-part"),
        pytest.param(field()[:-7] * (MAX_FIELDS + 1) + b"--b--", "more than 1000 parts", id="too-many"),
        pytest.param(b"--b" * 100_000, "more than 1000 parts", id="boundaries-only"),
    ],
)
def test_refused(body: bytes, why: str) -> None:
    with pytest.raises(BodyUnreadable, match="no form that is read in one way") as caught:
        read(body)
    assert why in str(caught.value)


def test_a_long_head_is_read_at_once() -> None:
    for disposition in ('form-data; name="' + "%" * 4000, "form-data" + " ;" * 1900, "form-data" + " " * 4000 + "x"):
        with pytest.raises(BodyUnreadable):
            read(field(disposition))


# What others make of a body that is read


def by_werkzeug(body: bytes) -> dict[str, list[str]]:
    parser = FormDataParser(stream_factory=lambda **_: BytesIO())
    _, form, files = parser.parse(BytesIO(body), "multipart/form-data", len(body), {"boundary": "b"})
    named = {name: [each.filename for each in files.getlist(name)] for name in files}
    return {name: form.getlist(name) for name in form} | named


def by_python_multipart(body: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}

    def on_field(field: Any) -> None:
        found.setdefault(field.field_name.decode(), []).append((field.value or b"").decode())

    def on_file(file: Any) -> None:
        found.setdefault(file.field_name.decode(), []).append(file.file_name.decode())
        file.close()

    headers = {"Content-Type": TYPE.encode(), "Content-Length": str(len(body)).encode()}
    parse_form(headers, BytesIO(body), on_field, on_file)
    return found


def by_email(body: bytes) -> dict[str, list[str]]:
    message = email.message_from_bytes(b"Content-Type: " + TYPE.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP)
    found: dict[str, list[str]] = {}
    for part in message.iter_parts():
        disposition = part["content-disposition"]
        value = part.get_filename() or part.get_payload(decode=True).decode()
        found.setdefault(disposition.params["name"], []).append(value)
    return found


HEADS = st.sampled_from(
    [
        A,
        FILE,
        A + "\r\nContent-Type: text/plain",
        'Content-Disposition: form-data; name="b.c"',
        'Content-Disposition: form-data; name="a"; name="b"',
        'Content-Disposition: form-data; filename="x"; name=b',
        "Content-Disposition: form-data; name=\"a\"; filename*=utf-8''z",
        'Content-Disposition: form-data;\r\n name="folded"',
        A + "\r\nContent-Transfer-Encoding: base64",
    ]
)
CONTENTS = st.lists(st.sampled_from(["x", "=", "\r\n", "--", "b", "\n", "--b", "--b--"]), max_size=4).map("".join)
DELIMITERS = st.sampled_from(["--b\r\n", "--b\r\n", "--b\r\n", "--b \r\n", "--b\n", "--bb\r\n", "--b--\r\n"])
PARTS = st.lists(st.tuples(DELIMITERS, HEADS, CONTENTS), max_size=3)


@given(PARTS, st.sampled_from(["--b--", "--b--\r\n", "--b", "--b--\r\nx", ""]))
def test_what_is_read_is_what_lenient_parsers_read(parts: list[tuple[str, str, str]], end: str) -> None:
    body = ("".join(f"{delimiter}{head}\r\n\r\n{content}\r\n" for delimiter, head, content in parts) + end).encode()
    try:
        found = read(body)
    except BodyUnreadable:
        return
    plain = {
        name: [each if isinstance(each, str) else each["filename"] for each in values] for name, values in found.items()
    }
    assert by_werkzeug(body) == plain
    assert by_python_multipart(body) == plain
    assert by_email(body) == plain


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    body = b"--b\r\n" + FILE.encode() + b"\r\n\r\n" + content + b"\r\n--b--\r\n"
    with contextlib.suppress(BodyUnreadable):
        assert read(body)["f"][0]["size"] == len(content)
