"""Bodies of requests: what a rule did not read as its target would gets nowhere, what passes is what was read."""

from __future__ import annotations

import gzip
import zlib
from urllib.parse import urlencode

import brotli
import pytest
import zstandard

from harness.expect import refused
from harness.gateway import Gateway, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.rules import PLAIN, rules
from harness.upstream import RecordingUpstream
from harness.wire import Reply

JSON, FORM = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
OPEN = "free.example"
ROLE = """\
role: support
rules:
  - {id: transfer, allow: POST plain /transfer, when: body.to == "own"}
  - {id: never, deny: any plain /guarded/**, when: 'has(body.admin) && body.admin == "1"'}
  - {id: guarded, allow: POST plain /guarded/**}
  - {id: upload, allow: POST plain /upload, when: 'body.file.size <= 5 && body.file.type == "text/plain"'}
  - {id: open, allow: POST plain|free /open}
  - {id: masked, allow: GET plain /masked/**, mask: {$..ssn: redact}}
  - {id: listed, allow: GET plain /listed/**, mask: {$..ssn: redact}, query: [page]}
"""


@pytest.fixture(scope="module")
def reading(
    make_module_gateway: MakeGateway, crm: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer
) -> Gateway:
    """A gateway with a target whose rules read bodies, which takes one more type, and one whose rules read none."""
    extra = f"""\
    content_types: [application/merge-patch+json, text/csv]
  free: {{url: "http://{OPEN}", connect: "127.0.0.1:{plain.port}", private: true}}
"""
    files = {**rules(crm.port, plain.port, issuer.jwks, extra=extra), "roles/support.yaml": ROLE}
    return make_module_gateway(files).start()


def ask(
    gateway: Gateway, method: str, path: str, token: str, *fields: str, body: bytes = b"", host: str = PLAIN
) -> Reply:
    """The answer to a request at the port."""
    with gateway.dial() as wire:
        return wire.ask(head(method, f"http://{host}{path}", host, *identity(token), *fields, body=body), to=method)


def part(disposition: str, content: str, *fields: str) -> bytes:
    lines = ["--b", f"Content-Disposition: form-data; {disposition}", *fields, "", content, "--b--", ""]
    return "\r\n".join(lines).encode()


OWN = b"to=own"
PASSING = {
    "form": ("/transfer", [FORM], OWN),
    "form-with-others": ("/transfer", [FORM], b"to=own&note=a+b%26c&tag[]=1&tag[]=2"),
    "multipart": ("/transfer", [MULTIPART], part('name="to"', "own")),
    "json": ("/transfer", [JSON], b'{ "to":"own", "a": 1.10 }\n'),
    "listed-json": ("/transfer", ["Content-Type: application/merge-patch+json"], b'{"to": "own"}'),
    "file": ("/upload", [MULTIPART], part('name="file"; filename="a.txt"', "12345", "Content-Type: text/plain")),
    "listed-where-none-reads": ("/open", ["Content-Type: text/csv"], b"\xff,b"),
    "broken-where-none-reads": ("/open", [JSON], b"{"),
    "guarded": ("/guarded/a", [FORM], b"admin=0"),
}


@pytest.mark.parametrize("case", PASSING.values(), ids=PASSING)
def test_what_passes_is_what_was_read(
    reading: Gateway, plain: RecordingUpstream, token: str, case: tuple[str, list[str], bytes]
) -> None:
    path, fields, body = case
    seen = plain.watch()
    assert ask(reading, "POST", path, token, *fields, body=body).status == 200
    assert [request.body for request in seen.requests] == [body]


ENCODED = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("coding", ENCODED)
def test_an_encoded_form_goes_on_plain(reading: Gateway, plain: RecordingUpstream, token: str, coding: str) -> None:
    seen = plain.watch()
    coded = f"Content-Encoding: {coding}"
    assert ask(reading, "POST", "/transfer", token, FORM, coded, body=ENCODED[coding](OWN)).status == 200
    [request] = seen.requests
    assert (request.body, request.header("content-encoding")) == (OWN, None)


ADMIN = b'{"admin": "1"}'
REFUSED = {
    "deny-by-json": ("/guarded/a", [JSON], ADMIN, 403),
    "deny-by-form": ("/guarded/a", [FORM], b"admin=1", 403),
    "deny-by-multipart": ("/guarded/a", [MULTIPART], part('name="admin"', "1"), 403),
    "deny-escaped-by-text": ("/guarded/a", ["Content-Type: text/plain"], ADMIN, 415),
    "deny-escaped-by-no-type": ("/guarded/a", [], ADMIN, 415),
    "deny-escaped-by-another-json": ("/guarded/a", ["Content-Type: application/vnd.api+json"], ADMIN, 415),
    "deny-escaped-by-octets": ("/guarded/a", ["Content-Type: application/octet-stream"], b"admin=1", 415),
    "deny-escaped-by-two-types": ("/guarded/a", [JSON, FORM], b"admin=1", 415),
    "deny-escaped-by-a-listed-type": ("/guarded/a", ["Content-Type: text/csv"], b"admin=1", 403),
    "deny-escaped-by-charset": ("/guarded/a", [f"{FORM}; charset=utf-7"], b"admin=1", 415),
    "deny-escaped-by-json-charset": ("/guarded/a", [f"{JSON}; charset=utf-16"], ADMIN.decode().encode("utf-16"), 403),
    "deny-escaped-by-semicolon": ("/guarded/a", [FORM], b"a=1;admin=1", 403),
    "deny-escaped-by-letter-case": ("/guarded/a", [JSON], b'{"Admin": "1"}', 403),
    "deny-escaped-by-duplicate": ("/guarded/a", [JSON], b'{"admin": "0", "ADMIN": "1"}', 403),
    "deny-escaped-by-list": ("/guarded/a", [FORM], b"admin[]=1", 403),
    "deny-escaped-by-member": ("/guarded/a", [FORM], b"admin[x]=1", 403),
    "deny-escaped-by-preamble": ("/guarded/a", [MULTIPART], b"x\r\n" + part('name="admin"', "1"), 403),
    "deny-escaped-by-extended-name": ("/guarded/a", [MULTIPART], part("name=\"a\"; name*=utf-8''admin", "1"), 403),
    "charset-field": ("/transfer", [FORM], b"_charset_=utf-7&to=own", 403),
    "number-as-text": ("/upload", [FORM], b"file=1", 403),
    "file-too-large": (
        "/upload",
        [MULTIPART],
        part('name="file"; filename="a.txt"', "123456", "Content-Type: text/plain"),
        403,
    ),
    "method": ("/open", [FORM], b"_method=DELETE", 400),
    "method-in-multipart": ("/open", [MULTIPART], part('name="_METHOD"', "DELETE"), 400),
    "method-in-json": ("/open", [JSON], b'{"_method": "DELETE"}', 400),
    "method-in-gzip": ("/open", [FORM, "Content-Encoding: gzip"], gzip.compress(b"_method=DELETE"), 400),
    "bomb": ("/open", [JSON, "Content-Encoding: gzip"], gzip.compress(b" " * 900_000), 413),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_arrives_nowhere(
    reading: Gateway, plain: RecordingUpstream, token: str, case: tuple[str, list[str], bytes, int]
) -> None:
    path, fields, body, status = case
    seen = plain.watch()
    refused(ask(reading, "POST", path, token, *fields, body=body), status)
    assert (seen.connections, seen.raw) == (0, b"")


def test_where_no_rule_reads_bodies_any_type_passes_but_not_another_method(
    reading: Gateway, plain: RecordingUpstream, token: str
) -> None:
    octets = "Content-Type: application/octet-stream"
    assert ask(reading, "POST", "/open", token, octets, body=b"\0\xff", host=OPEN).status == 200
    seen = plain.watch()
    for fields, body in (([FORM], b"_method=PUT"), ([], b"_method=PUT"), ([JSON], b'{"\\u005fmethod": "PUT"}')):
        refused(ask(reading, "POST", "/open", token, *fields, body=body, host=OPEN), 400)
    assert (seen.connections, seen.raw) == (0, b"")


def test_what_a_client_makes_of_a_form_is_read(reading: Gateway, plain: RecordingUpstream, token: str) -> None:
    seen = plain.watch()
    with reading.client(token) as client:
        asked: list[dict[str, object]] = [
            {"data": {"to": "own", "note": "\u00e9 & b"}},
            {"files": {"to": (None, "own")}},
            {"json": {"to": "own"}},
        ]
        for arguments in asked:
            assert client.post(f"http://{PLAIN}/transfer", **arguments).status_code == 200  # type: ignore[arg-type]
        file = {"file": ("a b.txt", b"12345", "text/plain")}
        assert client.post(f"http://{PLAIN}/upload", files=file).status_code == 200
    assert len(seen.requests) == 4
    assert seen.requests[0].body == urlencode({"to": "own", "note": "\u00e9 & b"}).encode()


RESHAPED = {
    "fields": "/masked/a?fields=name:ssn",
    "alias": "/masked/a?page=1&$select=ssn%20as%20s",
    "sparse": "/masked/a?fields[customer]=ssn",
    "capitals": "/masked/a?Fields=ssn",
    "escaped": "/masked/a?%66ields=ssn",
    "callback": "/masked/a?callback=f",
    "query-language": "/masked/a?jq=.ssn",
    "not-listed": "/listed/a?limit=1",
    "listed-in-other-letters": "/listed/a?PAGE=1",
}


@pytest.mark.parametrize("path", RESHAPED.values(), ids=RESHAPED)
def test_parameters_that_may_take_a_value_off_its_mask_arrive_nowhere(
    reading: Gateway, plain: RecordingUpstream, token: str, path: str
) -> None:
    seen = plain.watch()
    refused(ask(reading, "GET", path, token), 403)
    assert (seen.connections, seen.raw) == (0, b"")


def test_other_parameters_do(reading: Gateway, plain: RecordingUpstream, token: str) -> None:
    for path in ("/masked/json?page=2&q=fields", "/listed/json?page=2", "/listed/json"):
        assert ask(reading, "GET", path, token).status == 200
