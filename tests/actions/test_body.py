from __future__ import annotations

import pytest

from lockgate.actions.body import read
from lockgate.bodies import forms
from lockgate.errors import ContentTypeNotAccepted, RequestUnreadable
from lockgate.model import Form, Target, Unreadable

TARGET = Target(
    "crm", "https", "crm.example", 443, content_types=frozenset({"application/merge-patch+json", "text/csv"})
)
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=b"
MERGE_PATCH = "application/merge-patch+json"


def part(disposition: str, content: str = "x") -> bytes:
    return f"--b\r\nContent-Disposition: {disposition}\r\n\r\n{content}\r\n--b--\r\n".encode()


def typed(kind: str | None) -> list[tuple[str, str]]:
    return [("Host", "crm.example")] + ([("Content-Type", kind)] if kind is not None else [])


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        pytest.param(None, b"", {}, id="none"),
        pytest.param("text/odd", b"", {}, id="none-of-a-type-that-is-not-taken"),
        pytest.param(JSON, b'{"a": 1}', {"a": 1}, id="json"),
        pytest.param("Application/JSON; charset=UTF-8", b"[]", [], id="json-as-utf-8"),
        pytest.param(MERGE_PATCH, b'{"a": null}', {"a": None}, id="listed-json"),
        pytest.param(forms.TYPE, b"a=1&a=2&b[]=+", Form({"a": ("1", "2"), "b[]": (" ",)}), id="form"),
        pytest.param(MULTIPART, part('form-data; name="a"'), Form({"a": ("x",)}), id="multipart"),
        pytest.param(JSON, b'{"payment_method": "card", "a": {"_method": 1}}', None, id="other-methods"),
        pytest.param(forms.TYPE, b"payment_method=card&methods=1", None, id="other-methods-in-a-form"),
    ],
)
def test_what_rules_read(kind: str | None, body: bytes, expected: object) -> None:
    found = read(typed(kind), body, TARGET, restricted=True, wanted=True)
    if expected is not None:
        assert found == expected
    assert not isinstance(found, Unreadable)


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        pytest.param(JSON, b'{"a": 1, "a": 2}', "same key twice", id="duplicate"),
        pytest.param(JSON, b'[{"a": 1, "A": 2}]', "letter case", id="duplicate-in-other-letter-case"),
        pytest.param(JSON, '{"k": 1, "\u212a": 2}'.encode(), "letter case", id="kelvin-sign"),
        pytest.param("application/json; charset=utf-16", b"{}", "Content-Type", id="other-charset"),
        pytest.param("application/json; version=1", b"{}", "Content-Type", id="parameter"),
        pytest.param(JSON, "{}".encode("utf-16"), "not UTF-8", id="utf-16"),
        pytest.param("text/csv", b"a,b", "Content-Type", id="listed-but-not-read"),
        pytest.param("text/csv", b'{"a": 1}', "Content-Type", id="json-as-text"),
        pytest.param(forms.TYPE, b"a=1;b=2", "percent-encoded", id="form"),
        pytest.param("multipart/form-data", part('form-data; name="a"'), "boundary", id="multipart"),
    ],
)
def test_what_rules_cannot_read(kind: str, body: bytes, why: str) -> None:
    found = read(typed(kind), body, TARGET, restricted=True, wanted=True)
    assert isinstance(found, Unreadable)
    assert why in found.reason


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/vnd.api+json",
        "application/octet-stream",
        "multipart/mixed; boundary=b",
        "multipart/related; boundary=b",
        "application/xml",
        "text/csv2",
    ],
)
@pytest.mark.parametrize("wanted", [True, False])
def test_types_that_a_target_does_not_take_whose_rules_read_bodies(kind: str | None, wanted: bool) -> None:
    """What a rule would deny by its body is not got past it as another type, read by a rule or not."""
    with pytest.raises(ContentTypeNotAccepted, match="this target takes application/json, "):
        read(typed(kind), b'{"a": 1}', TARGET, restricted=True, wanted=wanted)
    assert read(typed(kind), b'{"a": 1}', TARGET, restricted=False, wanted=False) == {}


def test_which_types_are_taken_is_said() -> None:
    with pytest.raises(ContentTypeNotAccepted) as caught:
        read(typed("a/b"), b"x", TARGET, restricted=True, wanted=True)
    assert str(caught.value) == (
        "this target takes application/json, application/x-www-form-urlencoded, multipart/form-data,"
        " application/merge-patch+json, text/csv only"
    )


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([*typed(JSON), *typed(JSON)], id="twice"),
        pytest.param(typed("application/json, text/plain"), id="list"),
        pytest.param(typed("json"), id="no-type"),
        pytest.param(typed(""), id="empty"),
        pytest.param(typed("application/json\xa0"), id="no-break-space"),
        pytest.param(typed("multipart/form-data; boundary=a; boundary=b"), id="two-boundaries"),
        pytest.param(typed(f"{forms.TYPE}; charset=ibm037"), id="form-in-another-charset"),
        pytest.param(typed(f"{MULTIPART}; charset=utf-16"), id="multipart-in-another-charset"),
    ],
)
def test_types_that_no_target_takes(fields: list[tuple[str, str]], restricted: bool) -> None:
    with pytest.raises(ContentTypeNotAccepted):
        read(fields, b"{}", TARGET, restricted=restricted, wanted=restricted)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(forms.TYPE, b"_method=DELETE", id="form"),
        pytest.param(forms.TYPE, b"a=1&_METHOD=DELETE", id="capitals"),
        pytest.param(forms.TYPE, b"%5fm%45thod=DELETE", id="encoded"),
        pytest.param(forms.TYPE, b"+_method=DELETE", id="blank-before"),
        pytest.param(forms.TYPE, b".method=DELETE", id="dot-to-php"),
        pytest.param(forms.TYPE, b"[method=DELETE", id="bracket-to-php"),
        pytest.param(forms.TYPE, b"_method[]=DELETE", id="list"),
        pytest.param(forms.TYPE, b"a=1;_method=DELETE", id="unreadable-form"),
        pytest.param(forms.TYPE, b"_method=DELETE&b=\xff", id="form-that-is-no-text"),
        pytest.param(MULTIPART, part('form-data; name="_method"', "DELETE"), id="multipart"),
        pytest.param(MULTIPART, part("form-data; name=_METHOD", "DELETE"), id="unquoted"),
        pytest.param(MULTIPART, b"x" + part('form-data; name="_method"'), id="unreadable-multipart"),
        pytest.param(MULTIPART, part("form-data; name*=utf-8''%5Fmethod"), id="extended-name"),
        pytest.param(JSON, b'{"a": 1, "_method": "DELETE"}', id="json"),
        pytest.param(JSON, b'{"_Method": "DELETE"}', id="json-in-capitals"),
        pytest.param(JSON, b'{"\\u005Fm\\u0065thod": "DELETE"}', id="escaped"),
        pytest.param(JSON, b'{"_method": "DELETE", "a": NaN}', id="lenient-json"),
    ],
)
def test_another_method_is_refused_whether_a_rule_reads_the_body_or_not(kind: str, body: bytes, wanted: bool) -> None:
    with pytest.raises(RequestUnreadable, match="_method"):
        read(typed(kind), body, TARGET, restricted=wanted, wanted=wanted)


@pytest.mark.parametrize("kind", [None, "application/vnd.api+json"])
def test_another_method_where_a_lenient_target_looks(kind: str | None) -> None:
    body = b"_method=DELETE" if kind is None else b'{"_method": "DELETE"}'
    with pytest.raises(RequestUnreadable, match="_method"):
        read(typed(kind), body, TARGET, restricted=False, wanted=False)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(JSON, b"{damaged", id="json"),
        pytest.param(JSON, b'{"a": "\\u003cb\\u003e", "payment_method": 1}', id="escapes"),
        pytest.param(JSON, b'["_method"]', id="element"),
        pytest.param(forms.TYPE, b"a=1;b=%zz", id="form"),
        pytest.param(MULTIPART, b"no form", id="multipart"),
        pytest.param("application/octet-stream", b"\0_method=1\xff", id="bytes"),
        pytest.param(None, b"\0\xff", id="bytes-of-no-type"),
        pytest.param("text/plain", b"_method=DELETE", id="text"),
    ],
)
def test_a_body_that_no_rule_reads_passes_as_it_is(kind: str | None, body: bytes) -> None:
    assert read(typed(kind), body, TARGET, restricted=False, wanted=False) == {}
