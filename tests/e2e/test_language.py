"""The rule language through a whole proxy: what is denied or held arrives nowhere, what is allowed as decided."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from harness.answers import CRM_TOKEN, EMAIL, SSN, answer
from harness.expect import leaks, refused
from harness.gateway import Gateway, MakeGateway, head
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM, gateway_yaml
from harness.upstream import RecordingUpstream

EU = "eu.crm.example"
JSON_TYPE = "Content-Type: application/json"

ROLE = """\
role: support
extends: [reader]
rules:
  - id: notes
    allow: POST crm /notes/{id}
    when: body.kind in lists.kinds
    unless: path.id in lists.locked

  - id: bounded
    allow: POST crm /batch
    when: size(body.items) <= 2 && body.items.all(i, i.price < 10)
    types: {body.items: list}

  - id: over
    allow: POST crm /over
    expires: 2020-01-01

  - id: temporary
    deny: POST crm /open/json
    expires: 2020-01-01

  - id: open
    allow: POST crm /open/{what}

  - id: no-admin
    deny: any crm /open/admin/**

  - id: refunds
    hold: POST crm /refunds
    approvers: [finance]
    quorum: 2
    timeout: 15m

  - id: customer
    allow: GET crm /customers/{id}
    mask: {$.name: redact}

  - id: forms
    allow: GET crm /forms/{what}
    detect: [email, card]

  - id: everything-else
    allow: GET crm /customers/**
"""
READER = """\
role: reader
rules:
  - id: seen
    allow: GET crm /v1/json
    mask: {$..ssn: redact, $..email: drop, $.payment: drop}
"""


@pytest.fixture(scope="module")
def upstream(authority: Authority) -> Iterator[RecordingUpstream]:
    found = RecordingUpstream(answer, authority.server_context(CRM, EU))
    yield found
    found.close()


@pytest.fixture(scope="module")
def own(make_module_gateway: MakeGateway, upstream: RecordingUpstream, issuer: Issuer) -> Gateway:
    files = {
        "gateway.yaml": gateway_yaml() + "lists: {kinds: [call, mail], locked: [top secret]}\n",
        "jwks.json": issuer.jwks,
        "credentials.yaml": f'credentials:\n  crm-token: {{bearer: "env:CRM_TOKEN", hosts: [{CRM}, {EU}]}}\n',
        "targets.yaml": (
            f"targets:\n  crm: {{urls: ['https://{CRM}', 'https://{EU}'], connect: '127.0.0.1:{upstream.port}',"
            " private: true, credential: crm-token}\n"
        ),
        "roles/support.yaml": ROLE,
        "roles/reader.yaml": READER,
    }
    return make_module_gateway(files).start()


@pytest.mark.parametrize("host", [CRM, EU])
def test_every_host_of_a_target_is_the_target(own: Gateway, upstream: RecordingUpstream, token: str, host: str) -> None:
    seen = upstream.watch()
    reply = own.ask("GET", "/v1/json", token, host=host)
    assert reply.status == 200
    assert leaks(reply.body) == []
    (request,) = seen.requests
    assert request.header("host") == host
    assert request.header("authorization") == f"Bearer {CRM_TOKEN}"


def test_a_connection_to_one_host_carries_nothing_for_another(
    own: Gateway, upstream: RecordingUpstream, token: str
) -> None:
    seen = upstream.watch()
    with own.tunnel(token, CRM) as wire:
        refused(wire.ask(head("GET", "/v1/json", EU)), 400)
    assert (seen.connections, seen.raw) == (0, b"")


NOTE = b'{"kind": "call"}'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/notes/7", b'{"kind": "visit"}', id="not-in-the-list"),
        pytest.param("/notes/7", b'{"kind": 1}', id="of-another-type-than-the-list"),
        pytest.param("/notes/7", b"{}", id="missing"),
        pytest.param("/notes/top%20secret", NOTE, id="excepted-by-unless"),
        pytest.param("/notes/TOP%20SECRET", NOTE, id="excepted-in-another-spelling"),
        pytest.param("/batch", b'{"items": [{"price": 1}, {"price": 1}, {"price": 1}]}', id="longer-than-its-bound"),
        pytest.param("/batch", b'{"items": [{"price": 1}, {"price": "1"}]}', id="element-of-another-type"),
        pytest.param("/batch", b'{"items": {"price": 1}}', id="declared-as-a-list"),
        pytest.param("/over", b"{}", id="allowed-until-it-expired"),
        pytest.param("/open/admin", b"{}", id="a-folder-without-its-slash"),
        pytest.param("/open/ADM%C4%B0N", b"{}", id="a-letter-case-of-other-languages"),
        pytest.param("/open/%EF%BC%8E%EF%BC%8E", b"{}", id="full-width-dots"),
    ],
)
def test_what_is_not_allowed_arrives_nowhere(
    own: Gateway, upstream: RecordingUpstream, token: str, path: str, body: bytes
) -> None:
    seen = upstream.watch()
    refused(own.ask("POST", path, token, JSON_TYPE, body=body), 400, 403)
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/notes/7", NOTE, id="in-the-list-and-not-excepted"),
        pytest.param("/batch", b'{"items": [{"price": 1}, {"price": 9.5}]}', id="within-its-bound"),
        pytest.param("/open/json", b"{}", id="a-deny-that-has-expired"),
    ],
)
def test_what_is_allowed_arrives(own: Gateway, upstream: RecordingUpstream, token: str, path: str, body: bytes) -> None:
    seen = upstream.watch()
    assert own.ask("POST", path, token, JSON_TYPE, body=body).status == 200
    (request,) = seen.requests
    assert (request.target, request.body) == (path, body)


def test_a_hold_arrives_nowhere_and_says_why(own: Gateway, upstream: RecordingUpstream, token: str) -> None:
    seen = upstream.watch()
    problem = refused(own.ask("POST", "/refunds", token, JSON_TYPE, body=b'{"amount": 5}'), 503)
    assert "Nobody can be asked" in problem["detail"]
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.parametrize("path", ["/customers/7", "/Customers/7", "/customers/7/", "/customers/7/%6E"])
def test_a_mask_holds_for_other_spellings_of_its_path(own: Gateway, token: str, path: str) -> None:
    reply = own.ask("GET", path, token)
    if path == "/Customers/7":  # no allow is about it
        refused(reply, 403)
    else:
        name = json.loads(reply.body)["name"]
        assert (name == "[redacted]") is (path != "/customers/7/%6E")


@pytest.mark.parametrize(
    ("what", "status", "kept"),
    [
        pytest.param("json", 200, f'"ssn":"{SSN}","email":"[redacted email]"', id="document"),
        pytest.param("html-500", 500, f"{SSN} [redacted email]", id="text"),
    ],
)
def test_forms_are_found_in_documents_and_text(own: Gateway, token: str, what: str, status: int, kept: str) -> None:
    """What is no e-mail address and no card is left: nothing else was asked for."""
    reply = own.ask("GET", f"/forms/{what}", token)
    assert reply.status == status
    assert kept.encode() in reply.body
    assert EMAIL.encode() not in reply.body
    (record,) = own.records(1, path=f"/forms/{what}")
    assert EMAIL.encode() not in record["flow"].response.raw_content
    assert record["masks"]["detect email"] > 0
