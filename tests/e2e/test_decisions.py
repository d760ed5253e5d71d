"""The whole way through: allowed requests arrive, are masked and recorded; all others arrive nowhere."""

from __future__ import annotations

import gzip
import json

import pytest

from harness.answers import CRM_TOKEN, CUSTOMER
from harness.expect import leaks, refused
from harness.gateway import Gateway, head, identity
from harness.issuer import ISSUER, SUBJECT, Issuer
from harness.rules import CRM, PLAIN
from harness.upstream import RecordingUpstream

JSON_TYPE = "Content-Type: application/json"


def test_an_allowed_request_arrives_as_decided(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    path = "/v1/json?page=2&sort=name"
    reply = gateway.ask("GET", path, token, "Accept: application/json", "X-Note: hello")
    assert reply.status == 200
    assert json.loads(reply.body)["name"] == CUSTOMER["name"]
    assert leaks(reply.body) == []
    (request,) = seen.requests
    assert (request.method, request.target, request.body) == ("GET", path, b"")
    assert request.header("host") == CRM
    assert request.header("authorization") == f"Bearer {CRM_TOKEN}"
    assert request.header("x-note") == "hello"
    assert request.header("proxy-authorization") is None


def test_its_record_says_who_what_and_why(gateway: Gateway, token: str) -> None:
    path = "/v1/json?record=1"
    gateway.ask("GET", path, token)
    (record,) = gateway.records(1, path=path)
    assert record["principal"]["issuer"] == ISSUER
    assert record["principal"]["subject"] == SUBJECT
    assert record["actions"] == [["GET", "crm", "/v1/json"]]
    assert record["decision"]["verdict"] == "allow"
    assert record["decision"]["rule"] == "support/read"
    assert record["generation"]
    assert record["sent"] is True
    assert record["upstream_status"] == 200
    assert record["flow"].id == record["request_id"]


DENIED: dict[str, tuple[str, str, tuple[str, ...], bytes]] = {
    "no-rule": ("GET", "/nowhere", (), b""),
    "another-depth": ("GET", "/v1/a/b", (), b""),
    "the-bare-prefix": ("GET", "/v1", (), b""),
    "another-method": ("OPTIONS", "/v1/json", (), b""),
    "another-case-of-the-path": ("GET", "/V1/json", (), b""),
    "denied": ("DELETE", "/v1/json", (), b""),
    "condition-missing-field": ("POST", "/refunds", (JSON_TYPE,), b"{}"),
    "condition-another-type": ("POST", "/refunds", (JSON_TYPE,), b'{"amount": "100"}'),
    "condition-null": ("POST", "/refunds", (JSON_TYPE,), b'{"amount": null}'),
    "condition-list": ("POST", "/refunds", (JSON_TYPE,), b'{"amount": [1]}'),
    "condition-no-body": ("POST", "/refunds", (), b""),
    "condition-not-json": ("POST", "/refunds", ("Content-Type: text/plain",), b'{"amount": 1}'),
    "condition-no-type": ("POST", "/refunds", (), b'{"amount": 1}'),
    "condition-broken-json": ("POST", "/refunds", (JSON_TYPE,), b'{"amount": 1'),
    "condition-twice": ("POST", "/refunds", (JSON_TYPE,), b'{"amount": 900, "amount": 1}'),
    "condition-nan": ("POST", "/refunds", (JSON_TYPE,), b'{"amount": NaN}'),
}


@pytest.mark.parametrize(
    ("method", "path", "fields", "body"), [pytest.param(*case, id=name) for name, case in DENIED.items()]
)
def test_what_no_rule_allows_arrives_nowhere(
    gateway: Gateway,
    crm: RecordingUpstream,
    token: str,
    method: str,
    path: str,
    fields: tuple[str, ...],
    body: bytes,
) -> None:
    seen = crm.watch()
    with gateway.tunnel(token) as wire:
        refused(wire.ask(head(method, path, CRM, *fields, body=body), to=method), 400, 403, 415)
    assert (seen.connections, seen.raw) == (0, b"")


def test_a_method_is_sent_as_it_was_decided(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    """Methods are case-sensitive (RFC 9110, 9.1): `get` is not GET, and nobody makes it one."""
    seen = crm.watch()
    refused(gateway.ask("get", "/v1/json", token), 400)
    refused(gateway.ask("delete", "/v1/json", token), 400)
    assert seen.requests == []
    assert gateway.ask("HEAD", "/v1/json", token).status == 200
    assert [request.method for request in seen.requests] == ["HEAD"]


def test_a_refusal_is_recorded(gateway: Gateway, token: str) -> None:
    path = "/nowhere?recorded=1"
    problem = refused(gateway.ask("GET", path, token), 403)
    (record,) = gateway.records(1, path=path)
    assert record["request_id"] == problem["request_id"]
    assert record["sent"] is False
    assert record["refusal"]["status"] == 403


def test_a_denial_gives_the_rules_reason(gateway: Gateway, token: str) -> None:
    problem = refused(gateway.ask("DELETE", "/v1/json", token), 403)
    assert problem["rule"] == "support/no-delete"
    assert problem["detail"] == "Nothing is deleted here."


def test_a_condition_allows(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    reply = gateway.ask("POST", "/refunds", token, JSON_TYPE, body=b'{"amount": 500}')
    assert reply.status == 200
    assert seen.requests[0].body == b'{"amount": 500}'


def test_what_is_held_is_not_sent(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:
    seen = crm.watch()
    reply = gateway.ask("POST", "/refunds", token, JSON_TYPE, body=b'{"amount": 501}')
    refused(reply, 409, 503)
    assert (seen.connections, seen.raw) == (0, b"")


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        pytest.param((), 403, id="no-role"),
        pytest.param(("idle",), 403, id="idle"),
        pytest.param(("no-such-role",), 403, id="unknown-role"),
        pytest.param(("no-such-role", "support"), 200, id="unknown-and-known"),
        pytest.param(("idle", "support"), 200, id="joined"),
        pytest.param(("Support",), 403, id="another-case"),
    ],
)
def test_roles(gateway: Gateway, issuer: Issuer, roles: tuple[str, ...], status: int) -> None:
    assert gateway.ask("GET", "/v1/json", issuer.token(*roles)).status == status


ROLE_CLAIMS: dict[str, object] = {
    "none": None,
    "text": {"roles": "support"},
    "text-of-letters": "support",
    "numbers": {"roles": [1]},
    "nested": {"roles": [["support"]]},
    "mapping": {"roles": {"support": True}},
}


@pytest.mark.parametrize("claim", [pytest.param(claim, id=name) for name, claim in ROLE_CLAIMS.items()])
def test_odd_role_claims_give_no_role(gateway: Gateway, crm: RecordingUpstream, issuer: Issuer, claim: object) -> None:
    seen = crm.watch()
    with gateway.dial() as wire:
        fields = identity(issuer.token(realm_access=claim))
        reply = wire.ask(head("GET", f"http://{PLAIN}/v1/json", PLAIN, *fields))
    assert reply.status in (403, 407)
    assert (seen.connections, seen.raw) == (0, b"")


def test_a_compressed_body_is_read_and_sent_on_plain(gateway: Gateway, crm: RecordingUpstream, token: str) -> None:

    seen = crm.watch()
    body = gzip.compress(b'{"amount": 1}')
    assert gateway.ask("POST", "/refunds", token, JSON_TYPE, "Content-Encoding: gzip", body=body).status == 200
    (request,) = seen.requests
    assert request.body == b'{"amount": 1}'
    assert request.header("content-encoding") is None
    two = gzip.compress(b'{"amount": 1}') + gzip.compress(b'{"amount": 9000}')
    refused(gateway.ask("POST", "/refunds", token, JSON_TYPE, "Content-Encoding: gzip", body=two), 400, 415)
    assert len(seen.requests) == 1
