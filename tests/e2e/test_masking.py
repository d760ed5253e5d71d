"""What is masked is gone, in every encoding and status; what a target repeats of its credential too (laws 3 and 4)."""

from __future__ import annotations

import gzip
import json

import pytest

from harness.answers import CARD, CRM_TOKEN, EMAIL, SECRET_FORMS, SSN, secret_in_form
from harness.expect import leaks, refused
from harness.gateway import Gateway, MakeGateway, head
from harness.issuer import Issuer
from harness.rules import CRM, PLAIN
from harness.upstream import RecordingUpstream
from lockgate.masking.digests import digest

CLERK = """\
role: clerk
rules:
  - id: hashed
    allow: GET crm|plain /hashed/{what}
    mask: {$..ssn: hash, $..email: hash, $.payment: hash}

  - id: shown
    allow: GET|HEAD crm /shown/{what}
    show: [$.id, "$.contacts[*].name"]

  - id: both
    allow: GET crm /both/{what}
    show: [$.name, $.ssn, $.payment.limit]
    mask: {$.ssn: hash, $..card: drop}

  - id: quiet
    allow: POST crm /quiet/{what}
    redact_request: [$.card.number, query.ssn, headers.x-pin]
"""
REVEALING = ("etag", "content-md5", "digest", "content-digest", "repr-digest")


@pytest.mark.parametrize("form", ["json", "gzip", "br", "zstd", "deflate", "chunked", "until-close"])
def test_masked_in_every_encoding(gateway: Gateway, token: str, form: str) -> None:
    with gateway.tunnel(token) as wire:
        reply = wire.ask(head("GET", f"/v1/{form}", CRM, "Accept-Encoding: gzip, br, zstd, deflate"))
        assert leaks(wire.received) == []
    assert reply.status == 200
    assert "content-encoding" not in reply.headers
    found = json.loads(reply.body)
    assert found["name"] == "Ann Example"
    assert found["ssn"] != SSN
    assert found["email"].endswith(EMAIL[-7:])
    assert found["contacts"][0]["ssn"] != SSN
    assert found["payment"]["card"] != CARD
    assert found["payment"]["limit"] == 500


@pytest.mark.parametrize(
    "form",
    [
        "gzip-two-members",
        "gzip-truncated",
        "gzip-junk",
        "gzip-lie",
        "rot13",
        "double-gzip",
        "bomb",
        "html-200",
        "broken-json",
        "twice-json",
        "206",
        "big",
    ],
)
def test_what_cannot_be_masked_is_refused(gateway: Gateway, token: str, form: str) -> None:
    with gateway.tunnel(token) as wire:
        refused(wire.ask(head("GET", f"/v1/{form}", CRM)), 502)
        assert leaks(wire.received) == []


@pytest.mark.parametrize("form", ["204", "304"])
def test_answers_without_a_body(gateway: Gateway, token: str, form: str) -> None:
    reply = gateway.ask("GET", f"/v1/{form}", token)
    assert (reply.status, reply.body) == (int(form), b"")


@pytest.mark.parametrize("form", ["json", "gzip", "chunked", "digests", "206"])
def test_head_has_no_trace_of_the_body(gateway: Gateway, token: str, form: str) -> None:
    """Its length and digests would be those of the unmasked one."""
    with gateway.tunnel(token) as wire:
        reply = wire.ask(head("HEAD", f"/v1/{form}", CRM), to="HEAD")
    assert reply.body == b""
    assert not set(REVEALING) & reply.headers.keys()
    assert "content-length" not in reply.headers


def test_digests_of_the_unmasked_body_are_gone(gateway: Gateway, token: str) -> None:
    reply = gateway.ask("GET", "/v1/digests", token)
    assert reply.status == 200
    assert not set(REVEALING) & reply.headers.keys()
    assert int(reply.headers["content-length"]) == len(reply.body)


def test_error_pages_are_replaced(gateway: Gateway, token: str) -> None:
    reply = gateway.ask("GET", "/v1/html-500", token)
    assert reply.status == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert b"Oops" not in reply.body
    assert leaks(reply.body) == []


def test_json_errors_are_masked(gateway: Gateway, token: str) -> None:
    reply = gateway.ask("GET", "/v1/json-422", token)
    assert reply.status == 422
    assert json.loads(reply.body)["name"] == "Ann Example"
    assert leaks(reply.body) == []


@pytest.mark.parametrize("path", ["/v1/json", "/open/json"])
def test_a_part_is_not_asked_for_of_what_is_masked_or_scrubbed(
    gateway: Gateway, crm: RecordingUpstream, token: str, path: str
) -> None:
    seen = crm.watch()
    gateway.ask("GET", path, token, "Range: bytes=40-90", 'If-Range: "v1"')
    (request,) = seen.requests
    assert request.header("range") is None


@pytest.mark.parametrize("path", ["/v1/json", "/open/json"])
def test_masks_are_those_of_the_matching_rule(gateway: Gateway, token: str, path: str) -> None:
    reply = gateway.ask("GET", path, token)
    assert bool(leaks(reply.body)) == (path == "/open/json")


@pytest.mark.parametrize("form", SECRET_FORMS)
@pytest.mark.parametrize("prefix", ["v1", "open"])
def test_echo_of_the_credential_is_removed(gateway: Gateway, token: str, form: str, prefix: str) -> None:
    if (prefix, form) == ("open", "unicode-escapes"):
        form = "nested-json"  # wilfully hidden where nothing parses the body: not promised
    with gateway.tunnel(token) as wire:
        reply = wire.ask(head("GET", f"/{prefix}/echo-secret?form={form}", CRM))
        received = wire.received
    assert reply.status == (500 if form == "error" else 200)
    body = reply.body
    if "gzip" in reply.headers.get("content-encoding", ""):
        body = gzip.decompress(body)
    text = received.decode("latin-1") + body.decode() + json.dumps(json.loads(body), ensure_ascii=False)
    assert CRM_TOKEN not in text
    assert secret_in_form(CRM_TOKEN, form) not in text


def test_echo_of_the_whole_request(gateway: Gateway, token: str) -> None:
    reply = gateway.ask("GET", "/open/echo", token, "X-Note: hello")
    found = dict(json.loads(reply.body)["headers"])
    assert found["x-note"] == "hello"
    assert CRM_TOKEN not in reply.body.decode()
    assert token not in reply.body.decode()


@pytest.mark.parametrize("prefix", ["v1", "open"])
def test_cookies_of_the_target_stay_here(gateway: Gateway, token: str, prefix: str) -> None:
    with gateway.tunnel(token) as wire:
        reply = wire.ask(head("GET", f"/{prefix}/set-cookie", CRM))
        assert reply.status == 200
        assert b"upstream-session" not in wire.received


def test_recordings_hold_what_the_agent_got(gateway: Gateway, token: str) -> None:
    path = "/v1/json?recorded=masked"
    reply = gateway.ask("GET", path, token)
    record = gateway.records(1, path=path)[0]
    assert record["flow"].response.raw_content == reply.body
    assert record["injected"] == ["crm-token"]
    assert record["masks"]
    assert leaks(gateway.journal) == []


@pytest.fixture(scope="module")
def office(make_module_gateway: MakeGateway, rule_files: dict[str, str]) -> Gateway:
    """A gateway whose role `clerk` has hashes, shows and redactions."""
    return make_module_gateway({**rule_files, "roles/clerk.yaml": CLERK}).start()


@pytest.fixture
def clerk(issuer: Issuer) -> str:
    return issuer.token("clerk")


def test_equal_values_have_equal_hashes_everywhere(office: Gateway, clerk: str) -> None:
    key = (office.state / "hash.key").read_bytes()
    for path, host in (("/hashed/json", CRM), ("/hashed/gzip", CRM), ("/hashed/json", PLAIN)):
        if host == CRM:
            reply = office.ask("GET", path, clerk)
        else:
            with office.dial() as wire:
                reply = wire.ask(head("GET", f"http://{host}{path}", host, f"Proxy-Authorization: Bearer {clerk}"))
        found = json.loads(reply.body)
        assert leaks(reply.body) == []
        assert found["name"] == "Ann Example"
        assert found["ssn"] == found["contacts"][0]["ssn"] == digest(SSN, key)
        assert found["email"] == found["contacts"][0]["email"] == digest(EMAIL, key)
        assert found["payment"] == digest({"limit": 500.0, "card": CARD}, key)


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        pytest.param("/shown/json", 200, {"id": 42, "contacts": [{"name": "Bob"}]}, id="show"),
        pytest.param("/shown/br", 200, {"id": 42, "contacts": [{"name": "Bob"}]}, id="encoded"),
        pytest.param("/shown/json-422", 422, {"id": 42, "contacts": [{"name": "Bob"}]}, id="an-error"),
        pytest.param("/both/json", 200, {"name": "Ann Example", "ssn": None, "payment": {"limit": 500}}, id="and-mask"),
    ],
)
def test_only_what_is_shown_is_there(
    office: Gateway, clerk: str, path: str, status: int, expected: dict[str, object]
) -> None:
    with office.tunnel(clerk) as wire:
        reply = wire.ask(head("GET", path, CRM))
        assert leaks(wire.received) == []
    if "ssn" in expected:
        expected = {**expected, "ssn": digest(SSN, (office.state / "hash.key").read_bytes())}
    assert (reply.status, json.loads(reply.body)) == (status, expected)
    record = office.records(1, path=path)[0]
    assert record["masks"][f"show clerk/{path.split('/')[1]}"] > 0


@pytest.mark.parametrize("form", ["html-200", "broken-json", "twice-json", "206", "rot13"])
def test_what_a_show_cannot_take_apart_is_refused(office: Gateway, clerk: str, form: str) -> None:
    with office.tunnel(clerk) as wire:
        refused(wire.ask(head("GET", f"/shown/{form}", CRM)), 502)
        assert leaks(wire.received) == []


def test_a_show_binds_error_pages_headers_and_what_is_asked_for(
    office: Gateway, crm: RecordingUpstream, clerk: str
) -> None:
    reply = office.ask("GET", "/shown/html-500", clerk)
    assert (reply.status, reply.headers["content-type"]) == (500, "application/problem+json")
    seen = crm.watch()
    for method in ("GET", "HEAD"):
        reply = office.ask(method, "/shown/digests", clerk, "Range: bytes=4-9", 'If-None-Match: "v1"')
        assert not set(REVEALING) & reply.headers.keys()
        assert method == "GET" or "content-length" not in reply.headers
    assert [(one.header("range"), one.header("if-none-match")) for one in seen.requests] == [(None, None)] * 2


REQUEST_SECRET = "kept-from-5391-the-record"
QUIET = json.dumps({"card": {"number": REQUEST_SECRET}, "amount": 5})


@pytest.mark.parametrize(
    ("method", "path", "fields", "body", "status"),
    [
        pytest.param("POST", "/quiet/json", ["Content-Type: application/json"], QUIET, 200, id="body"),
        pytest.param(
            "POST",
            "/quiet/json",
            ["Content-Type: application/json"],
            QUIET.upper().replace("-", "_"),
            200,
            id="capitals",
        ),
        pytest.param("POST", "/quiet/json", [], QUIET, 415, id="body-of-no-type"),
        pytest.param("POST", "/quiet/json", ["Content-Type: application/json"], QUIET[:-1], 200, id="broken-body"),
        pytest.param("POST", f"/quiet/json?ssn={REQUEST_SECRET}&page=2", [], "", 200, id="query"),
        pytest.param("POST", f"/quiet/json?%53SN%5B%5D={REQUEST_SECRET}", [], "", 200, id="query-spelt-otherwise"),
        pytest.param("POST", "/quiet/json", [f"X-PIN: {REQUEST_SECRET}"], "", 200, id="header"),
        pytest.param("POST", "/quiet/json", [f"Referer: https://x/?ssn={REQUEST_SECRET}"], "", 200, id="referer"),
        pytest.param(
            "PUT",
            f"/quiet/json?ssn={REQUEST_SECRET}",
            ["Content-Type: application/json"],
            QUIET,
            403,
            id="denied",
        ),
        pytest.param("POST", f"/quiet//json?ssn={REQUEST_SECRET}", [], "", 400, id="unreadable-path"),
        pytest.param("POST", f"/quiet/json?a=1;ssn={REQUEST_SECRET}", [], "", 400, id="unreadable-query"),
        pytest.param("POST", "/quiet/json", [f"X_Pin: {REQUEST_SECRET}"], "", 400, id="unreadable-header"),
        pytest.param(
            "POST", f"/quiet/json?ssn={REQUEST_SECRET}", ["Connection: x-pin"], "", 400, id="before-its-target-is-known"
        ),
        pytest.param(
            "POST", "/quiet/json", ["Content-Type: application/json", "Upgrade: h2c"], QUIET, 403, id="body-not-read"
        ),
    ],
)
def test_what_is_redacted_of_a_request_is_nowhere_on_the_disk(
    office: Gateway, clerk: str, method: str, path: str, fields: list[str], body: str, status: int
) -> None:
    count = len(office.records())
    reply = office.ask(method, path, clerk, *fields, body=body.encode())
    assert reply.status == status
    office.records(count + 1)
    assert office.journal
    for file, content in office.traces().items():
        for form in (REQUEST_SECRET, REQUEST_SECRET.upper().replace("-", "_")):
            assert form.encode() not in content, file.relative_to(office.home)


def test_what_was_redacted_is_said(office: Gateway, clerk: str) -> None:
    before = len(office.records())
    fields = ["Content-Type: application/json", f"X-Pin: {REQUEST_SECRET}"]
    office.ask("POST", f"/quiet/json?ssn={REQUEST_SECRET}&said=1", clerk, *fields, body=QUIET.encode())
    office.ask("POST", "/quiet/json?said=1", clerk, body=QUIET.encode())
    office.records(before + 2)
    [one] = office.records(1, path="/quiet/json?ssn=[redacted]&said=1")
    assert json.loads(one["flow"].request.raw_content) == {"card": {"number": "[redacted]"}, "amount": 5}
    assert {"body:$.card.number", "query:ssn", "header:x-pin"} <= set(one["redacted"]["request"])
    [other] = office.records(1, path="/quiet/json?said=1")
    assert other["flow"].request.raw_content == b""
    assert "not declared as JSON" in other["withheld"]["request"]


def test_a_request_by_nobody_is_redacted_too(office: Gateway) -> None:
    count = len(office.records())
    with office.dial() as wire:
        target = f"http://{PLAIN}/quiet/json?ssn={REQUEST_SECRET}"
        assert wire.ask(head("POST", target, PLAIN, f"X-Pin: {REQUEST_SECRET}", body=QUIET.encode())).status == 407
    office.records(count + 1)
    assert all(REQUEST_SECRET.encode() not in content for content in office.traces().values())
