from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.recordings import redact
from lockgate.recordings.redact import FIELDS, QUERY_FIELDS, STEMS, SUFFIXES, Found, Names

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZ2VudCJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        pytest.param("Authorization", True, id="authorization"),
        pytest.param("PROXY-AUTHORIZATION", True, id="upper-case"),
        pytest.param("Cookie", True, id="cookie"),
        pytest.param("Set-Cookie", True, id="set-cookie"),
        pytest.param("X-Api-Key", True, id="x-api-key"),
        pytest.param("api-key", True, id="api-key"),
        pytest.param("X-Amz-Security-Token", True, id="aws-token"),
        pytest.param("PRIVATE-TOKEN", True, id="family-token"),
        pytest.param("X-Vault-Token", True, id="family-vault"),
        pytest.param("Cf-Access-Jwt-Assertion", True, id="family-assertion"),
        pytest.param("X-Session-Id", True, id="family-session"),
        pytest.param("X-" + "Long-" * 20 + "Token", True, id="family-token-of-a-long-name"),
        pytest.param("X-" + "Long-" * 20 + "Name", False, id="a-long-name"),
        pytest.param("Content-Type", False, id="content-type"),
        pytest.param("WWW-Authenticate", False, id="a-challenge-is-no-secret"),
        pytest.param("Idempotency-Key", False, id="idempotency-key"),
        pytest.param("X-Request-Id", False, id="request-id"),
    ],
)
def test_header_names(name: str, secret: bool) -> None:
    [(kept, value)] = redact.headers([(name.encode(), b"abc")])
    assert kept == name.encode()
    assert value == (b"[redacted]" if secret else b"abc")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"Bearer abcdefghijkl", b"[redacted]", id="credentials-under-any-name"),
        pytest.param(b"https://a/?token=abc&x=1", b"https://a/?token=[redacted]&x=1", id="a-url"),
        pytest.param(b"https://a/cb#access_token=abc", b"https://a/cb#access_token=[redacted]", id="a-fragment"),
        pytest.param(b"https://u:p@a/", b"https://[redacted]@a/", id="userinfo"),
        pytest.param(f"x {JWT} y".encode(), b"x [redacted] y", id="a-jwt"),
        pytest.param(f"a_{JWT}".encode(), b"[redacted]", id="a-jwt-behind-something"),
        pytest.param(b"aaaaaaaaaaaa.eyebrows.example", b"aaaaaaaaaaaa.eyebrows.example", id="no-jwt"),
        pytest.param(b"text/html; charset=utf-8", b"text/html; charset=utf-8", id="nothing"),
    ],
)
def test_header_values(value: bytes, expected: bytes) -> None:
    assert redact.headers([(b"x-any", value)]) == ((b"x-any", expected),)


def test_a_challenge_is_kept_whole() -> None:
    challenge = (b"WWW-Authenticate", b"Bearer realm=lockgate")
    assert redact.headers([challenge]) == (challenge,)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(b"/a", b"/a", id="no-query"),
        pytest.param(b"/a?", b"/a?", id="empty-query"),
        pytest.param(b"/a?x=1&token=abc&y", b"/a?x=1&token=[redacted]&y", id="token"),
        pytest.param(b"/a?Access_Token=abc", b"/a?Access_Token=[redacted]", id="letter-case"),
        pytest.param(b"/a?access-token=a&accessToken=b", b"/a?access-token=[redacted]&accessToken=[redacted]", id="sp"),
        pytest.param(b"/a?pass%77ord=abc", b"/a?pass%77ord=[redacted]", id="percent-encoded-name"),
        pytest.param(b"/a?user[password]=abc", b"/a?user[password]=[redacted]", id="nested-name"),
        pytest.param(b"/a?code=abc&key=def&sid=g", b"/a?code=[redacted]&key=[redacted]&sid=[redacted]", id="oauth"),
        pytest.param(b"/a?X-Amz-Signature=abc&X-Amz-Date=d", b"/a?X-Amz-Signature=[redacted]&X-Amz-Date=d", id="aws"),
        pytest.param(b"/a?sig=a;b#c", b"/a?sig=[redacted]", id="odd-characters"),
        pytest.param(b"/a?u=https%3A%2F%2Fb%3Ftoken%3Dabc", b"/a?u=https%3A%2F%2Fb%3Ftoken%3D[redacted]", id="inner"),
        pytest.param(b"/a;jsessionid=abc/b", b"/a;jsessionid=[redacted]", id="matrix-parameter"),
        pytest.param(b"/keys/token:revoke", b"/keys/token:revoke", id="a-custom-method-is-no-field"),
        pytest.param(f"/a/{JWT}".encode(), b"/a/[redacted]", id="jwt-in-path"),
        pytest.param(b"/a?page_token=abc&max_tokens=5", b"/a?page_token=abc&max_tokens=5", id="cursors-are-no-secrets"),
    ],
)
def test_targets(path: bytes, expected: bytes) -> None:
    assert redact.target(path) == expected


def test_authority() -> None:
    assert redact.authority(b"user:pass@host:443") == b"[redacted]@host:443"
    assert redact.authority(b"host:443") == b"host:443"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'{"password": "x", "a": 1}', b'{"password": "[redacted]", "a": 1}', id="json"),
        pytest.param(b'{"PassWord":"x"}', b'{"PassWord":"[redacted]"}', id="json-letter-case"),
        pytest.param(b'{"clientSecret":"x"}', b'{"clientSecret":"[redacted]"}', id="json-camel-case"),
        pytest.param(rb'{"password":"a\"b\\","c":1}', b'{"password":"[redacted]","c":1}', id="json-escapes-in-value"),
        pytest.param(rb'{"pass\u0077ord":"x"}', rb'{"pass\u0077ord":"[redacted]"}', id="json-escapes-in-name"),
        pytest.param(b'{"token":123,"a":2}', b'{"token":"[redacted]","a":2}', id="json-number"),
        pytest.param(b'{"token":null,"secret":true}', b'{"token":null,"secret":true}', id="json-null-says-nothing"),
        pytest.param(
            b'{"credentials":{"u":"}\\"","v":[{"w":1}]},"a":1}', b'{"credentials":"[redacted]","a":1}', id="json-object"
        ),
        pytest.param(b'{"secrets":["a","b]"],"a":1}', b'{"secrets":"[redacted]","a":1}', id="json-array"),
        pytest.param(b'{"a":{"api_key"\n :\t"x"}}', b'{"a":{"api_key"\n :\t"[redacted]"}}', id="json-white-space"),
        pytest.param(b'{"password":"x', b'{"password":"[redacted]', id="cut-off-in-the-string"),
        pytest.param(b'{"password":{"a":"x', b'{"password":"[redacted]"', id="cut-off-in-the-object"),
        pytest.param(b"{password: 'x', b: 1}", b"{password: '[redacted]', b: 1}", id="not-quite-json"),
        pytest.param(
            rb'{"query":"mutation { login(password: \"x\\\"y\", u: 1) }"}',
            rb'{"query":"mutation { login(password: \"[redacted]\", u: 1) }"}',
            id="graphql-in-json",
        ),
        pytest.param(
            rb'{"a":"{\"token\":\"x\",\"b\":1}"}', rb'{"a":"{\"token\":\"[redacted]\",\"b\":1}"}', id="json-in-json"
        ),
        pytest.param(
            rb'{"a":"{\"b\":\"{\\\"token\\\":\\\"x\\\"}\"}"}',
            rb'{"a":"{\"b\":\"{\\\"token\\\":\\\"[redacted]\\\"}\"}"}',
            id="json-in-json-in-json",
        ),
        pytest.param(b"user=a&password=b%20c&d=e", b"user=a&password=[redacted]&d=e", id="form"),
        pytest.param(b"password=x", b"password=[redacted]", id="form-first"),
        pytest.param(b"grant_type=authorization_code&code=x", b"grant_type=authorization_code&code=[redacted]", id="c"),
        pytest.param(b"<a><Password>x</Password></a>", b"<a><Password>[redacted]</Password></a>", id="xml"),
        pytest.param(b"<s:token n='1'>x<", b"<s:token n='1'>[redacted]", id="xml-namespace-cut-off"),
        pytest.param(b'<a password="x y"/>', b'<a password="[redacted]"/>', id="xml-attribute"),
        pytest.param(
            b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nx\r\n--b--',
            b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n[redacted]\r\n--b--',
            id="multipart",
        ),
        pytest.param(b"a: 1\npassword: x, y\nb: 2", b"a: 1\npassword: [redacted]\nb: 2", id="yaml"),
        pytest.param(b"GET /\r\nAuthorization: Basic eA==\r\n", b"GET /\r\nAuthorization: [redacted]\r\n", id="http"),
        pytest.param(b"export AWS_SECRET_ACCESS_KEY=x\n", b"export AWS_SECRET_ACCESS_KEY=[redacted]\n", id="shell"),
        pytest.param(f'{{"a":"{JWT}"}}'.encode(), b'{"a":"[redacted]"}', id="jwt-under-any-name"),
        pytest.param(b'{"a":"Bearer abcdefghijklmnop"}', b'{"a":"Bearer [redacted]"}', id="bearer-under-any-name"),
        pytest.param(b'{"dsn":"postgres://u:p@h/d"}', b'{"dsn":"postgres://[redacted]@h/d"}', id="userinfo"),
        pytest.param(
            b"x -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- y", b"x [redacted] y", id="pem"
        ),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nabc", b"[redacted]", id="pem-cut-off"),
        pytest.param(b'{"code": 404, "key": "a"}', b'{"code": 404, "key": "a"}', id="everyday-words"),
        pytest.param(b'{"progressToken":"a"}', b'{"progressToken":"a"}', id="mcp-progress-token"),
        pytest.param(b"", b"", id="empty"),
        pytest.param(b"\x00\xff password", b"\x00\xff password", id="a-name-without-a-value"),
    ],
)
def test_text(body: bytes, expected: bytes) -> None:
    assert redact.text(body) == expected


def test_a_form_value_runs_to_the_next_ampersand() -> None:
    assert redact.form(b"password=a;b#c d&x=1") == b"password=[redacted]&x=1"


def test_names_of_the_operators_own() -> None:
    names = Names(headers=frozenset({"x-tenant"}), fields=frozenset({"IBAN", "tax_number"}))
    assert redact.text(b'{"iban":"x","taxNumber":"y","a":"z"}', names) == (
        b'{"iban":"[redacted]","taxNumber":"[redacted]","a":"z"}'
    )
    assert redact.headers([(b"X-Tenant", b"x")], names) == ((b"X-Tenant", b"[redacted]"),)


def test_what_was_found_is_named_but_not_shown() -> None:
    found = Found()
    redact.target(b"/a?token=abc", found=found)
    redact.headers([(b"Cookie", b"a=b")], found=found)
    redact.text(b'{"password":"x","password":"y"}', found=found)
    assert found.names == ["query:token", "header:cookie", "field:password"]


def test_what_was_found_is_bounded() -> None:
    found = Found()
    redact.text(b"".join(b'"%03d%stoken":"x",' % (n, b"a" * 200) for n in range(500)), found=found)
    assert len(found.names) == Found.LIMIT
    assert max(map(len, found.names)) <= 64 + len("field:")


def test_every_name_has_a_stem() -> None:
    """Else a body would be taken for one with nothing to redact."""
    for name in (*FIELDS, *QUERY_FIELDS, *SUFFIXES):
        assert any(stem.decode() in name for stem in STEMS), name


keys = st.sampled_from(sorted(FIELDS)) | st.sampled_from(["refresh_token", "newPassword", "STRIPE-API-KEY", "a", "id"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(documents, st.text(min_size=6, alphabet="XYZ#&;\"\\'<}] =\n"), st.sampled_from([None, 2]))
def test_a_document_stays_json_and_loses_the_secret(document: object, secret: str, indent: int | None) -> None:
    marked = "MARK" + secret + "MARK"
    body = json.dumps({"before": document, "password": marked, "after": document}, indent=indent).encode()
    redacted = redact.text(body)
    assert b"MARK" not in redacted
    assert json.loads(redacted)["password"] == "[redacted]"


@given(st.binary(max_size=200), st.integers(0, 60))
def test_cut_anywhere_no_part_of_the_secret_is_left(junk: bytes, end: int) -> None:
    body = b'{"a":1,"password":"MARKMARKMARK","b":2}'[:end] + b""
    assert b"MARK" not in redact.text(body)
    redact.text(body + junk)  # whatever it is, it ends


PIECES = [
    b"a", b'"', b"\\", b"\\'", b"<token>", b"<token", b'"token":{', b'"token":"x",', b"token=", b"x=1&token=2&",
    b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN ", b"[", b"eyJ", b"eyJ.", b"eyJaaaaaaaaaaa.", b"://", b"://a", b"%",
    b"content-disposition: name=x\n", b"name=x ", b"bearer ", b"\n", b"\xff", b"{", b"%41=",
    b"a=%41&", b'"secret":[1],',
]  # fmt: skip


@pytest.mark.timeout(5)
@pytest.mark.parametrize("start", [b"", b'"token":"', b'"token":{', b"token=", b"content-disposition: "])
@pytest.mark.parametrize("piece", PIECES)
def test_hostile_bodies_take_linear_time(start: bytes, piece: bytes) -> None:
    body = start + piece * (100_000 // len(piece))
    assert redact.text(body) is not None
    assert redact.form(body) is not None
    assert redact.headers([(b"x", body)])
