"""Reading HTTP: one canonical path, one reading of a query, and a refusal for whatever has two."""

from __future__ import annotations

import contextlib
import time
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockgate.actions.http import by_name, canonical_path, lenient_path, parse_query, read
from lockgate.errors import RequestUnreadable
from lockgate.model import Action, Target, Unreadable

CRM = Target("crm", "https", "api.crm.example", 443)


STANDS_IN = "a character that stands for a dot or a separator"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        pytest.param("/", "/", id="root"),
        pytest.param("/v1/customers/7", "/v1/customers/7", id="plain"),
        pytest.param("/v1/", "/v1/", id="trailing-slash"),
        pytest.param("/%61%7e%2D", "/a~-", id="unreserved-decoded"),
        pytest.param("/a%20b%c3%a9", "/a%20b%C3%A9", id="escapes-in-capitals"),
        pytest.param("/a!$&'()*+,=:@b", "/a!$&'()*+,=:@b", id="other-characters-stay"),
        pytest.param("/%21%3a", "/%21%3A", id="reserved-stay-encoded"),
        pytest.param("/a.b/..c/...", "/a.b/..c/...", id="dots-within"),
        pytest.param("/%EF%BD%81/%C3%A9", "/%EF%BD%81/%C3%A9", id="full-width-letter"),
        pytest.param("/100%25", "/100%25", id="encoded-percent"),
        pytest.param("/%25zz", "/%25zz", id="percent-before-letters"),
        pytest.param("/%3D%26%40", "/%3D%26%40", id="encoded-delimiters"),
    ],
)
def test_canonical(raw: str, path: str) -> None:
    assert canonical_path(raw) == path


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param("", "the path does not start with /", id="empty"),
        pytest.param("*", "the path does not start with /", id="asterisk"),
        pytest.param("v1", "the path does not start with /", id="relative"),
        pytest.param("/a/../b", "the path has a dot segment", id="dot-dot"),
        pytest.param("/a/./b", "the path has a dot segment", id="dot"),
        pytest.param("/..", "the path has a dot segment", id="dot-dot-last"),
        pytest.param("/a/%2e%2E/b", "the path has a dot segment", id="encoded-dots"),
        pytest.param("/a/.%2e", "the path has a dot segment", id="half-encoded-dots"),
        pytest.param("/a//b", "the path has an empty segment (//)", id="empty-segment"),
        pytest.param("/%EF%BC%8E%EF%BC%8E/b", f"the path has {STANDS_IN}", id="full-width-dots"),
        pytest.param("/a/%E2%80%A5/b", f"the path has {STANDS_IN}", id="two-dot-leader"),
        pytest.param("/a%EF%BC%8Fb", f"the path has {STANDS_IN}", id="full-width-slash"),
        pytest.param("/a%EF%BC%852Fb", f"the path has {STANDS_IN}", id="full-width-percent"),
        pytest.param("/a" * 257, "the path has more than 256 segments", id="segments"),
        pytest.param("/" + "a" * 8192, "the path is longer than 8192 characters", id="length"),
        pytest.param("//evil.example/a", "the path has an empty segment (//)", id="authority"),
        pytest.param("/a%2Fb", "the path has an encoded separator or NUL (%2F)", id="encoded-slash"),
        pytest.param("/a%5cb", "the path has an encoded separator or NUL (%5C)", id="encoded-backslash"),
        pytest.param("/a%3bx", "the path has an encoded separator or NUL (%3B)", id="encoded-semicolon"),
        pytest.param("/a%3Fx", "the path has an encoded separator or NUL (%3F)", id="encoded-question-mark"),
        pytest.param("/a%23x", "the path has an encoded separator or NUL (%23)", id="encoded-number-sign"),
        pytest.param("/a%00", "the path has an encoded separator or NUL (%00)", id="encoded-nul"),
        pytest.param("/a\\b", "the path has a backslash", id="backslash"),
        pytest.param("/admin;x=1", "the path has a semicolon", id="semicolon"),
        pytest.param("/a\x07", "the path has a control character", id="control"),
        pytest.param("/a\n", "the path has a control character", id="newline"),
        pytest.param("/a%0a", "the path has a control character", id="encoded-newline"),
        pytest.param("/a%C2%85", "the path has a control character", id="encoded-c1"),
        pytest.param("/é", "the path has a character outside ASCII; percent-encode it", id="not-ascii"),
        pytest.param("/a b", "the path has a character that must be percent-encoded", id="space"),
        pytest.param("/a#b", "the path has a character that must be percent-encoded", id="fragment"),
        pytest.param("/a%", "the path has a % without two hex digits", id="lone-percent"),
        pytest.param("/a%2", "the path has a % without two hex digits", id="half-an-escape"),
        pytest.param("/a%zz", "the path has a % without two hex digits", id="no-hex"),
        pytest.param("/a%252e", "the path is percent-encoded twice", id="twice"),
        pytest.param("/a%25%32%65", "the path is percent-encoded twice", id="twice-in-pieces"),
        pytest.param("/a%25%34%31", "the path is percent-encoded twice", id="twice-unreserved"),
        pytest.param("/a%25u002e", "the path is percent-encoded twice", id="twice-as-iis-has-it"),
        pytest.param("/a/..%20", f"the path has {STANDS_IN}", id="dots-and-a-blank"),
        pytest.param("/a/%20.%20./b", f"the path has {STANDS_IN}", id="blanks-between-dots"),
        pytest.param("/a/.%C2%A0/b", f"the path has {STANDS_IN}", id="dot-and-a-no-break-space"),
        pytest.param("/a%E2%88%95b", f"the path has {STANDS_IN}", id="division-slash"),
        pytest.param("/a%C2%A5b", f"the path has {STANDS_IN}", id="yen-sign"),
        pytest.param("/a%ff", "the path is not UTF-8", id="not-utf-8"),
        pytest.param("/a%c0%af", "the path is not UTF-8", id="overlong-slash"),
        pytest.param("/a%c0%ae%c0%ae", "the path is not UTF-8", id="overlong-dots"),
    ],
)
def test_no_canonical_form(raw: str, reason: str) -> None:
    with pytest.raises(RequestUnreadable) as caught:
        canonical_path(raw)
    assert caught.value.reason == reason


PATHS = st.text(alphabet="aB1~.-/%2eEfF05c;\\é !:", max_size=16).map(lambda text: "/" + text)


@given(PATHS)
@example("/%25%32%65")
@example("/%2525")
def test_idempotent(raw: str) -> None:
    try:
        path = canonical_path(raw)
    except RequestUnreadable:
        return
    assert canonical_path(path) == path
    assert not {"", ".", ".."}.intersection(path.split("/")[1:-1])


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        pytest.param("/v1/%7ex%20%c3%a9", "/v1/~x%20%C3%A9", id="nothing-odd"),
        pytest.param("/%3D%26%40=&@", "/%3D%26%40=&@", id="encoded-delimiters-stay"),
        pytest.param("/100%25", "/100%25", id="encoded-percent-stays"),
        pytest.param("/%25zz", "/%25zz", id="percent-before-letters-stays"),
        pytest.param("/a/./b/../c", "/a/c", id="dot-segments"),
        pytest.param("/a/%2e%2E/b", "/b", id="encoded-dots"),
        pytest.param("/a/.%2e", "/", id="half-encoded-dots"),
        pytest.param("/..", "/", id="above-the-root"),
        pytest.param("/../../etc", "/etc", id="far-above-the-root"),
        pytest.param("/a/.", "/a/", id="dot-last"),
        pytest.param("/a/b/..", "/a/", id="dot-dot-last"),
        pytest.param("/a/b/../", "/a/", id="dot-dot-and-a-slash"),
        pytest.param("/...", "/...", id="three-dots"),
        pytest.param("//a///b//", "/a/b/", id="empty-segments"),
        pytest.param("/a//../b", "/b", id="empty-segment-before-dots"),
        pytest.param("/%2f%2fa%2Fb", "/a/b", id="encoded-slashes"),
        pytest.param("/a%5cb\\c", "/a/b/c", id="backslashes"),
        pytest.param("/a/..%2f..%5Cb", "/b", id="encoded-slashes-behind-dots"),
        pytest.param("/admin;x=1/a;y", "/admin/a", id="parameters"),
        pytest.param("/a/..;x/b", "/b", id="parameters-behind-dots"),
        pytest.param("/a/;/b", "/a/b", id="parameters-alone"),
        pytest.param("/a%3bx%2fb", "/a/b", id="encoded-parameters"),
        pytest.param("/a;", "/a", id="empty-parameters"),
        pytest.param("/a%252e%252e/b", "/a../b", id="twice"),
        pytest.param("/a/%252e%25252e/b", "/b", id="three-times"),
        pytest.param("/a/%25%32%65%25%32%65/b", "/b", id="twice-in-pieces"),
        pytest.param("/a%25252525252fb", "/a/b", id="many-times"),
        pytest.param("/a%25%32%66b", "/a/b", id="slash-in-pieces"),
        pytest.param("/é b[1]|{x}", "/%C3%A9%20b%5B1%5D%7C%7Bx%7D", id="not-encoded-at-all"),
        pytest.param("/%25C3%25A9", "/%C3%A9", id="utf-8-twice"),
    ],
)
def test_lenient(raw: str, path: str) -> None:
    assert lenient_path(raw) == path
    assert canonical_path(path) == path


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param("", "the path does not start with /", id="empty"),
        pytest.param("*", "the path does not start with /", id="asterisk"),
        pytest.param("\\a", "the path does not start with /", id="backslash-first"),
        pytest.param("%2Fa", "the path does not start with /", id="encoded-slash-first"),
        pytest.param("/" + "a" * 8192, "the path is longer than 8192 characters", id="length"),
        pytest.param("/a" * 257, "the path has more than 256 segments", id="segments"),
        pytest.param("/a%3Fx", "the path has an encoded separator or NUL (%3F)", id="encoded-question-mark"),
        pytest.param("/a%253Fx", "the path has an encoded separator or NUL (%3F)", id="question-mark-twice"),
        pytest.param("/a#x", "the path has an encoded separator or NUL (%23)", id="fragment"),
        pytest.param("/a%00", "the path has an encoded separator or NUL (%00)", id="nul"),
        pytest.param("/a%2500.txt", "the path has an encoded separator or NUL (%00)", id="nul-twice"),
        pytest.param("/a\n", "the path has a control character", id="newline"),
        pytest.param("/a%250a", "the path has a control character", id="newline-twice"),
        pytest.param("/a%", "the path has a % without two hex digits", id="lone-percent"),
        pytest.param("/%%32e", "the path has a % without two hex digits", id="percent-before-an-escape"),
        pytest.param("/a%ff", "the path is not UTF-8", id="not-utf-8"),
        pytest.param("/\udcff", "the path is not UTF-8", id="not-utf-8-nor-encoded"),
        pytest.param("/a%c0%af", "the path is not UTF-8", id="overlong-slash"),
        pytest.param("/a%EF%BC%8Fb", f"the path has {STANDS_IN}", id="full-width-slash"),
        pytest.param("/\uff0e\uff0e/a", f"the path has {STANDS_IN}", id="full-width-dots"),
    ],
)
def test_no_lenient_form(raw: str, reason: str) -> None:
    with pytest.raises(RequestUnreadable) as caught:
        lenient_path(raw)
    assert caught.value.reason == reason


ODD_PATHS = st.lists(
    st.sampled_from(
        ["/", "a", "B", ".", "..", "%", "%25", "25", "2e", "%2E", "2F", "%2f", "\\", "5c", ";", "%3b", "é"]
    ),
    max_size=14,
).map(lambda pieces: "/" + "".join(pieces))


@given(ODD_PATHS)
@example("/%25%32%35%32%65")
@example("/%2%35%32e")
def test_lenient_paths_are_strict_ones_in_the_end(raw: str) -> None:
    """So no target that reads strict paths alike reads another one, whatever it undoes."""
    try:
        path = lenient_path(raw)
    except RequestUnreadable:
        return
    assert canonical_path(path) == path
    assert lenient_path(path) == path


@given(PATHS)
def test_a_strict_path_is_what_a_lenient_target_gets_too(raw: str) -> None:
    try:
        path = canonical_path(raw)
    except RequestUnreadable:
        return
    assert lenient_path(raw) == path


@pytest.mark.parametrize("raw", ["/" + "%25" * 2700, "/" + "%2" * 4000, "/" + "../" * 2700, "/" + "%25%32" * 1300])
def test_a_long_path_is_read_at_once(raw: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(RequestUnreadable):
        lenient_path(raw)
    assert time.process_time() - begun < 0.05


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("a=1&b=2", {"a": ("1",), "b": ("2",)}, id="two"),
        pytest.param("a=1&a=2&b=&a=1", {"a": ("1", "2", "1"), "b": ("",)}, id="repeated-in-order"),
        pytest.param("a&b=", {"a": ("",), "b": ("",)}, id="no-value"),
        pytest.param("a=b=c", {"a": ("b=c",)}, id="first-equals-divides"),
        pytest.param("=x", {"": ("x",)}, id="no-name"),
        pytest.param("&&a=1&", {"a": ("1",)}, id="empty-pieces"),
        pytest.param("a+b=c+d%20e%2B", {"a b": ("c d e+",)}, id="plus-is-space"),
        pytest.param("a%3Bb=1%3bc=2", {"a;b": ("1;c=2",)}, id="encoded-semicolon-is-data"),
        pytest.param("scope=own&Scope=all", {"scope": ("own",), "Scope": ("all",)}, id="letter-case-kept"),
        pytest.param(
            "method=1&_methods=2&a_method=3", {"method": ("1",), "_methods": ("2",), "a_method": ("3",)}, id="m"
        ),
        pytest.param("&".join(["a"] * 1000), {"a": ("",) * 1000}, id="as-many-as-are-taken"),
        pytest.param("%6cimit=%35", {"limit": ("5",)}, id="encoded-name"),
        pytest.param("q=%C3%A9", {"q": ("é",)}, id="utf-8"),
        pytest.param("q=%2525", {"q": ("%25",)}, id="decoded-once"),
        pytest.param("a[]=1&b={x}|y", {"a[]": ("1",), "b": ("{x}|y",)}, id="other-characters"),
    ],
)
def test_query(raw: str, found: dict[str, tuple[str, ...]]) -> None:
    assert parse_query(raw) == found


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param("a=%", "the query has a % without two hex digits", id="lone-percent"),
        pytest.param("a=%zz", "the query has a % without two hex digits", id="no-hex"),
        pytest.param("a=é", "the query has a character that must be encoded", id="not-ascii"),
        pytest.param("a=1 2", "the query has a character that must be encoded", id="space"),
        pytest.param("a=1#b", "the query has a character that must be encoded", id="fragment"),
        pytest.param("a=\x07", "the query has a character that must be encoded", id="control"),
        pytest.param("a=own&x=1;a=all", "the query has a semicolon; percent-encode it", id="semicolon"),
        pytest.param("a" * 16385, "the query is longer than 16384 characters", id="length"),
        pytest.param("a&" * 1001, "the query has more than 1000 parameters", id="too-many"),
        pytest.param("a=%ff", "the query is not UTF-8", id="not-utf-8"),
        pytest.param("a=%0a", "the query has a control character", id="encoded-newline"),
        pytest.param("%00=1", "the query has a control character", id="nul-in-a-name"),
    ],
)
def test_no_query(raw: str, reason: str) -> None:
    with pytest.raises(RequestUnreadable) as caught:
        parse_query(raw)
    assert caught.value.reason == reason


@pytest.mark.parametrize("name", ["_method", "_METHOD", "+_method", "%5fmethod", ".method", "_method[]", "_method+"])
def test_parameters_that_override_are_refused(name: str) -> None:
    with pytest.raises(RequestUnreadable, match="_method asks for another method"):
        parse_query(f"a=1&{name}=DELETE")


@given(st.text(alphabet="ab=&+%203;[]", max_size=20))
def test_query_as_the_standard_library_reads_it(raw: str) -> None:
    try:
        found = parse_query(raw)
    except RequestUnreadable:
        return
    pairs = parse_qsl(raw, keep_blank_values=True)
    assert {name: tuple(value for other, value in pairs if other == name) for name, _ in pairs} == found


def test_read() -> None:
    headers = [("Content-Type", "application/json"), ("X-A", " 1 "), ("x-a", "2")]
    actions, facts, sent = read("POST", CRM, "/v1/%7Ex?a=%20&b", headers, {"amount": 5})
    assert actions == (Action("POST", "crm", "/v1/~x"),)
    assert (facts.method, facts.host, facts.path) == ("POST", "api.crm.example", "/v1/~x")
    assert facts.query == {"a": (" ",), "b": ("",)}
    assert facts.headers == {"content-type": ("application/json",), "x-a": ("1", "2")}
    assert facts.body == {"amount": 5}
    assert sent == "/v1/~x?a=%20&b"


@pytest.mark.parametrize(("raw", "sent"), [("/a", "/a"), ("/a?", "/a?"), ("/a?b?c", "/a?b?c")])
def test_the_query_is_sent_as_given(raw: str, sent: str) -> None:
    assert read("GET", CRM, raw, [], {})[2] == sent


def test_a_lenient_target_gets_the_path_that_was_decided_on() -> None:
    files = Target("files", "https", "files.example", 443, lenient_paths=True)
    actions, facts, sent = read("GET", files, "/a/..%2fb?c=%2e%2e/", [], {})
    assert (actions[0].resource, facts.path, sent) == ("/b", "/b", "/b?c=%2e%2e/")


def test_methods_that_a_target_lists() -> None:
    dav = Target("dav", "https", "dav.example", 443, methods=frozenset({"PROPFIND"}))
    assert read("PROPFIND", dav, "/a", [], {})[0] == (Action("PROPFIND", "dav", "/a"),)
    for method in ("propfind", "PURGE"):
        with pytest.raises(RequestUnreadable, match=r"none of DELETE, GET, .*, PROPFIND, PUT, QUERY, in capitals"):
            read(method, dav, "/a", [], {})
    with pytest.raises(RequestUnreadable, match="the method is none of"):
        read("PROPFIND", CRM, "/a", [], {})


def test_an_unreadable_body_is_a_fact() -> None:
    unreadable = Unreadable("not JSON")
    assert read("POST", CRM, "/a", [], unreadable)[1].body is unreadable


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "Get", "", "MOVE", "PRI", "GET ", "FOO"])
def test_methods_that_are_never_let_through(method: str) -> None:
    with pytest.raises(
        RequestUnreadable, match=r"^the method is none of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY"
    ):
        read(method, CRM, "/a", [], {})


@pytest.mark.parametrize(
    "name",
    [
        "X-HTTP-Method-Override",
        "x-http-method",
        "X-Method-Override",
        "X-Original-URL",
        "x-rewrite-url",
        "X-Accel-Mapping",
    ],
)
def test_headers_that_override_are_refused(name: str) -> None:
    with pytest.raises(RequestUnreadable, match="asks for another method or path"):
        read("POST", CRM, "/a", [(name, "DELETE")], {})


@pytest.mark.parametrize(
    "name",
    [
        "Destination",
        "X-Amz-Copy-Source",
        "x-amz-rename-source",
        "x-ms-copy-source",
        "X-Goog-Copy-Source",
        "X-Copy-From",
    ],
)
def test_headers_that_name_a_second_resource_are_refused(name: str) -> None:
    with pytest.raises(RequestUnreadable, match="second resource"):
        read("PUT", CRM, "/mine/key", [(name, "/secret/key")], {})


@pytest.mark.parametrize("name", ["X_Tenant", "x-ten_ant", "X_HTTP_Method_Override", "_"])
def test_header_names_with_an_underscore_are_refused(name: str) -> None:
    with pytest.raises(RequestUnreadable, match="underscore, which some targets read as a hyphen"):
        by_name([("x-tenant", "a"), (name, "b")])


def test_header_fields_without_end_are_refused() -> None:
    assert by_name([("A", "1")] * 200) == {"a": ("1",) * 200}
    with pytest.raises(RequestUnreadable, match="more than 200 header fields"):
        by_name([("A", "1")] * 201)


KIB64 = 64 * 1024


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("a&" * (KIB64 // 2), id="many"),
        pytest.param("a&" * 1000 + "b" * KIB64, id="as-many-as-are-taken"),
        pytest.param("&" * KIB64, id="none"),
        pytest.param("a=" + "%41" * (KIB64 // 3), id="escapes"),
        pytest.param("%41" * (KIB64 // 3), id="escapes-in-a-name"),
        pytest.param("a=" + "%" * KIB64, id="broken-escapes"),
        pytest.param("+" * KIB64 + "_metho", id="blanks"),
    ],
)
def test_a_long_query_is_read_at_once(query: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(RequestUnreadable):
        parse_query(query)
    assert time.process_time() - begun < 0.05


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("a", "1")] * 60_000, id="many"),
        pytest.param([("a", "1" * 300)] * 200, id="as-many-as-are-taken"),
        pytest.param([("a", " " * KIB64)], id="blanks"),
    ],
)
def test_long_headers_are_read_at_once(headers: list[tuple[str, str]]) -> None:
    begun = time.process_time()
    with contextlib.suppress(RequestUnreadable):
        by_name(headers)
    assert time.process_time() - begun < 0.05
