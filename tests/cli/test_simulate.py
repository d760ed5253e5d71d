"""What is simulated is held against the stages themselves: the same requests and answers go through both."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from lockgate import exchange as exchange_module
from lockgate.actions import head
from lockgate.approvals.recent import RecentDecisions
from lockgate.cli.simulate import (
    HASH_KEY,
    answer,
    loaded,
    require_known,
    simulate,
)
from lockgate.errors import BodyUnreadable, MaskingFailed, Refused
from lockgate.exchange import IDENTITY_HEADERS, Exchange, exchange
from lockgate.history.reading import as_websocket, read_websocket
from lockgate.history.reading import read as simulated_read
from lockgate.identity.presented import Presented
from lockgate.identity.revocations import Revocations
from lockgate.model import Decision, Mask, Show, Target, Verdict
from lockgate.policy.cases import OWN_HOST, Answer, Request, Response, principal, url
from lockgate.policy.generation import Generation
from lockgate.policy.load import load
from lockgate.refusals import Refusal, pending
from lockgate.stages import mask, read
from lockgate.stages.decide import Decide

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WHO = principal(("support",))
JSON = ("content-type", "application/json")
GRPC = ("content-type", "application/grpc")
RULES = {
    "gateway.yaml": "issuers:\n  - dev: true\n",
    "credentials.yaml": (
        "credentials:\n"
        '  crm: {header: {name: X-Key, value: "env:A"}, hosts: [api.crm.example]}\n'
        '  maps: {query: {name: key, value: "env:B"}, hosts: [maps.example]}\n'
    ),
    "targets.yaml": (
        "targets:\n"
        "  crm: {url: 'https://api.crm.example', credential: crm, limits: {request: 64B}}\n"
        "  maps: {url: 'https://maps.example', credential: maps}\n"
        "  wiki: {url: 'https://bücher.example:8443'}\n"
        "  dav: {url: 'https://dav.example', paths: lenient, methods: [PROPFIND]}\n"
        "  ledger: {url: 'https://ledger.example', grpc: true}\n"
    ).replace("bücher", "xn--bcher-kva"),
    "roles/support.yaml": (
        "role: support\nrules:\n"
        "  - id: read\n    allow: GET|HEAD crm|maps|wiki /**\n"
        "  - id: write\n    allow: POST crm /v1/refunds\n    when: body.amount <= 500\n"
        "  - id: big\n    hold: POST crm /v1/refunds\n    when: body.amount > 500\n"
        "  - id: calm\n    hold: PUT crm\n    reason: Ask first.\n"
        "  - id: never\n    deny: DELETE crm\n"
        "  - id: list\n    allow: PROPFIND dav /a/**\n"
        "  - id: call\n    allow: POST ledger /bank.Ledger/Get*\n"
        "  - id: not-now\n    deny: PATCH crm\n    reason: Not today.\n"
        "  - id: chat\n    allow: [ws wiki /chat/**, receive wiki /chat/**, send-binary wiki /chat/**]\n"
        "  - id: say\n    allow: send wiki /chat/**\n    when: body.amount <= 500\n"
    ),
}


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    directory = tmp_path_factory.mktemp("rules")
    for name, text in RULES.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    return load(directory)


def through_the_stages(generation: Generation, request: Request) -> tuple[Exchange, Refusal | None]:
    """The exchange of a request after Read, Decide and Approve, and the refusal of the one that raised it."""
    where = request.url
    name = where.host if ".." in where.host else where.host.encode("idna").decode()  # as clients do
    authority = name if where.port == 443 else f"{name}:{where.port}"
    beside = [("host", authority), ("content-length", str(len(request.body)))][: 2 if request.body else 1]
    given = {name.lower() for name, _ in request.headers}
    fields = [*request.headers, *((name, value) for name, value in beside if name not in given)]
    flow = tflow.tflow(req=http.Request.make("GET", "https://x/", request.body))
    flow.request.headers = http.Headers([(name.encode(), value.encode()) for name, value in fields])
    # Not by their setters, which mend the Host header.
    flow.request.data.host, flow.request.data.port, flow.request.path = where.host, where.port, where.path
    flow.request.data.method = request.method.encode()
    flow.request.data.http_version = b"HTTP/2.0" if name == "ledger.example" else b"HTTP/1.1"
    flow.client_conn.sni = name
    found = exchange(flow)
    found.generation, found.principal, found.presented = generation, WHO, Presented("no.such.token", "")
    found.form, found.session.tunnel = "origin", (where.host, where.port)
    reading = read.Read()
    try:
        reading.requestheaders(flow)
        asyncio.run(reading.request(flow))
        Decide(
            SimpleNamespace(now=lambda: NOW, revocations=Revocations(Path("none")), recent=RecentDecisions())
        ).request(flow)
        if found.decision and found.decision.verdict is Verdict.HOLD:
            return found, pending(found.decision.rule, found.decision.reason)
    except Refused as refused:
        return found, refused.refusal
    return found, None


CRM = "https://api.crm.example"


def asked(method: str, where: str, *headers: tuple[str, str], body: bytes = b"") -> Request:
    return Request(method, url(where), headers, body)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(asked("GET", f"{CRM}/v1/a?q=1&q=2"), id="plain"),
        pytest.param(asked("GET", f"{CRM}/v1/%61", ("X-A", " b "), ("x-a", "c")), id="headers"),
        pytest.param(
            asked("GET", f"{CRM}/v1/a", ("Authorization", "x"), ("Cookie", "a=b"), ("Via", "1"), ("TE", "x")),
            id="taken-off",
        ),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("X-Key", "mine"), ("Connection", "close")), id="credential-header"),
        pytest.param(asked("POST", "https://ledger.example/bank.Ledger/Get", GRPC, ("te", "trailers")), id="call"),
        pytest.param(asked("POST", "https://ledger.example/bank.Ledger/Put", GRPC), id="call-denied"),
        pytest.param(asked("POST", "https://ledger.example/bank.Ledger/Get", JSON), id="no-call"),
        pytest.param(asked("GET", "https://ledger.example/bank.Ledger/Get", GRPC), id="call-by-get"),
        pytest.param(asked("GET", "https://maps.example/v1/a?KEY=1&b=2&key=3"), id="credential-parameter"),
        pytest.param(asked("GET", "https://bücher.example:8443/"), id="international-name"),
        pytest.param(asked("GET", f"{CRM}:443/v1/a", ("Host", "API.crm.example:443")), id="host"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("host", "other.example")), id="other-host"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("host", "api.crm.example"), ("host", "x")), id="two-hosts"),
        pytest.param(asked("GET", "https://crm.example/v1/a"), id="unknown-host"),
        pytest.param(asked("GET", f"{CRM}:8443/v1/a"), id="unknown-port"),
        pytest.param(asked("GET", "https://a..example/v1/a"), id="no-name"),
        pytest.param(asked("get", f"{CRM}/v1/a"), id="method-in-small-letters"),
        pytest.param(asked("COPY", f"{CRM}/v1/a"), id="method"),
        pytest.param(asked("PROPFIND", f"{CRM}/v1/a"), id="method-of-another-target"),
        pytest.param(asked("GET", f"{CRM}/v1/a", JSON, body=b"{}"), id="unexpected-body"),
        pytest.param(asked("PROPFIND", "https://dav.example/a/b;x/..%2fc"), id="method-and-path-of-a-lenient-target"),
        pytest.param(asked("PROPFIND", "https://dav.example/a/../c"), id="lenient-path-elsewhere"),
        pytest.param(asked("PROPFIND", "https://dav.example/a/b", ("Destination", "/c")), id="second-resource"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("x-a", "b" * 16384)), id="long-header"),
        pytest.param(asked("GET", f"{CRM}/v1/../a"), id="dots"),
        pytest.param(asked("GET", f"{CRM}/v1/a;b"), id="semicolon"),
        pytest.param(asked("GET", f"{CRM}/v1/a?_method=PUT"), id="method-parameter"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("x_a", "b")), id="underscore"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("X-HTTP-Method-Override", "PUT")), id="override"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("Upgrade", "h2c")), id="upgrade"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("Connection", "x-a")), id="connection"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("x-a", "\x01")), id="control"),
        pytest.param(asked("GET", f"{CRM}/v1/a", ("Transfer-Encoding", "gzip")), id="transfer-coding"),
        pytest.param(asked("POST", f"{CRM}/v1/refunds", JSON, body=b'{"amount": 3}'), id="allowed-body"),
        pytest.param(asked("POST", f"{CRM}/v1/refunds", JSON, body=b'{"amount": 900}'), id="held-body"),
        pytest.param(asked("POST", f"{CRM}/v1/refunds", JSON, body=b'{"amount": '), id="broken-body"),
        pytest.param(asked("POST", f"{CRM}/v1/refunds", body=b'{"amount": 3}'), id="undeclared-body"),
        pytest.param(asked("POST", f"{CRM}/v1/refunds"), id="no-body"),
        pytest.param(asked("POST", f"{CRM}/v1/refunds", JSON, body=b"1" * 65), id="large-body"),
        pytest.param(
            asked(
                "POST",
                f"{CRM}/v1/refunds",
                JSON,
                ("Content-Encoding", "gzip"),
                body=gzip.compress(b'{"amount": 3}', mtime=0),
            ),
            id="encoded-body",
        ),
        pytest.param(asked("POST", f"{CRM}/v1/refunds", ("Content-Encoding", "x"), body=b"1"), id="unknown-encoding"),
        pytest.param(
            asked("POST", f"{CRM}/v1/refunds", ("Content-Encoding", "gzip"), body=b"1"), id="damaged-encoding"
        ),
        pytest.param(asked("PUT", f"{CRM}/v1/a"), id="held"),
        pytest.param(asked("DELETE", f"{CRM}/v1/a"), id="denied"),
        pytest.param(asked("PATCH", f"{CRM}/v1/a"), id="denied-with-a-reason"),
        pytest.param(asked("OPTIONS", f"{CRM}/v1/a"), id="denied-by-default"),
    ],
)
def test_requests_as_the_stages_read_and_decide_them(generation: Generation, request_: Request) -> None:
    expected, refusal = through_the_stages(generation, request_)
    found = simulate(generation, WHO, request_, NOW)
    assert (found.decision, found.refusal) == (expected.decision, refusal)
    if found.decision is not None:
        action, facts = simulated_read(generation, found.target, WHO.roles, request_)
        assert (found.target, (action,)) == (expected.target, expected.actions)
        assert replace(facts, body=None) == replace(expected.facts, body=None)


def test_a_length_that_is_not_that_of_the_body_is_no_request(generation: Generation) -> None:
    for length in ("x", "1", "+2", "02", "2, 2"):
        request = asked("POST", f"{CRM}/v1/refunds", JSON, ("Content-Length", length), body=b"{}")
        assert "Content-Length" in simulate(generation, WHO, request, NOW).refusal.detail
    request = asked("POST", f"{CRM}/v1/refunds", JSON, ("Content-Length", "2"), body=b"{}")
    assert simulate(generation, WHO, request, NOW).decision is not None


WIKI = "https://bücher.example:8443"
HANDSHAKE = (
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Extensions", "permessage-deflate"),
)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(asked("GET", f"{WIKI}/chat/a?q=1", *HANDSHAKE), id="allowed"),
        pytest.param(asked("GET", f"{WIKI}/v1/a", *HANDSHAKE), id="denied"),
        pytest.param(asked("POST", f"{WIKI}/chat/a", *HANDSHAKE), id="method"),
        pytest.param(asked("GET", f"{WIKI}/chat/a", *HANDSHAKE[:3]), id="no-key"),
        pytest.param(asked("GET", f"{WIKI}/chat/a", *HANDSHAKE, ("HTTP2-Settings", "")), id="h2c"),
    ],
)
def test_what_opens_a_websocket_as_the_stages_read_and_decide_it(generation: Generation, request_: Request) -> None:
    expected, refusal = through_the_stages(generation, request_)
    found = simulate(generation, WHO, request_, NOW)
    assert (found.decision, found.refusal) == (expected.decision, refusal)
    if found.decision is not None:
        assert (found.target, (found.action,)) == (expected.target, expected.actions)
        _, facts = read_websocket(generation, found.target, WHO.roles, as_websocket(request_))
        assert facts == expected.facts


@pytest.mark.parametrize(
    ("method", "body", "verdict"),
    [
        pytest.param("ws", b"", "allow", id="ws"),
        pytest.param("send", b'{"amount": 3}', "allow", id="send"),
        pytest.param("send", b'{"amount": 900}', "deny", id="send-too-much"),
        pytest.param("send", b"amount", "unreadable", id="send-no-json"),
        pytest.param("receive", b"{}", "allow", id="receive"),
        pytest.param("send-binary", b"\xff", "allow", id="binary"),
        pytest.param("receive-binary", b"\xff", "deny", id="denied-binary"),
    ],
)
def test_messages_of_a_websocket(generation: Generation, method: str, body: bytes, verdict: str) -> None:
    found = simulate(generation, WHO, asked(method, f"{WIKI}/chat/a", body=body), NOW)
    assert found.verdict == verdict
    assert found.action is None or found.action.verb == method


def test_what_no_rule_sees_is_named(generation: Generation) -> None:
    headers = (("Authorization", "x"), ("X-A", "1"), ("authorization", "y"), ("Forwarded", "z"))
    found = simulate(generation, WHO, asked("GET", f"{CRM}/v1/a", *headers), NOW)
    assert found.unseen == ("authorization", "forwarded")


def test_the_names_are_those_of_the_stages() -> None:
    assert set(IDENTITY_HEADERS) == head.IDENTITY
    assert exchange_module.OWN_HOST == OWN_HOST


MASKS = Decision(Verdict.ALLOW, masks=(Mask("$.a", "redact"), Mask("$.h", "hash")), shows=(Show(("$.a", "$.h")),))
KEYED = Target("crm", "https", "api.crm.example", 443, credential="crm")
PLAIN = Target("wiki", "https", "wiki.example", 443)


@pytest.mark.parametrize("target", [pytest.param(KEYED, id="keyed"), pytest.param(PLAIN, id="plain")])
@pytest.mark.parametrize(
    "decision", [pytest.param(MASKS, id="masks"), pytest.param(Decision(Verdict.ALLOW), id="bare")]
)
@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(200, (JSON,), b'{"a": 1, "h": 2, "z": 3}'), id="json"),
        pytest.param(Response(404, (JSON,), b'{"a": 1}'), id="error"),
        pytest.param(Response(200, (("Content-Type", "text/html"),), b"<b>"), id="page"),
        pytest.param(Response(500, (("Content-Type", "text/html"),), b"<b>"), id="error-page"),
        pytest.param(Response(200, (), b"{}"), id="undeclared"),
        pytest.param(Response(200, (JSON,), b'{"a": 1, "a": 2}'), id="ambiguous"),
        pytest.param(Response(206, (JSON,), b"{}"), id="part"),
        pytest.param(Response(204, (), b""), id="empty"),
        pytest.param(Response(200, (JSON, ("content-encoding", "gzip")), gzip.compress(b'{"a": 1}')), id="encoded"),
        pytest.param(Response(200, (JSON, ("content-encoding", "gzip")), b"x"), id="damaged"),
    ],
)
def test_answers_as_the_stage_masks_them(target: Target, decision: Decision, response: Response) -> None:
    credential = SimpleNamespace(echoes=()) if target.credential else None
    status = response.status
    found = SimpleNamespace(
        decision=decision, credential=credential, target=target, masks={}, scrubbed=0, upstream_status=status
    )
    stage = mask.Mask(SimpleNamespace(hash_key=HASH_KEY))
    headers = http.Headers([(name.encode(), value.encode()) for name, value in response.headers])
    coding, kind = headers.get("content-encoding"), headers.get("content-type")
    try:
        expected = Answer("raw", asyncio.run(stage._masked(found, response.body, coding, kind)))
    except (BodyUnreadable, MaskingFailed):
        expected = Answer("withheld" if status >= 400 and decision.alters else "refused")
    assert answer(decision, target, response) == expected


def test_rules_with_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException) as caught:
        loaded(tmp_path)
    assert caught.value.message == (
        f"{tmp_path}/gateway.yaml:1:1: the file is missing (and 1 more: lockgate check {tmp_path})"
    )


def test_an_unknown_role_is_an_error_with_a_suggestion(generation: Generation) -> None:
    require_known(generation, ("support",))
    with pytest.raises(click.ClickException) as caught:
        require_known(generation, ("support", "suport"))
    assert caught.value.message == "unknown role suport: did you mean support?"
