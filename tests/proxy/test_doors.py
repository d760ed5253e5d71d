"""What a door demands, one proof at a time: the stages in front of it would have refused most of these themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy import http, options
from mitmproxy.connection import Server
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.test import tflow

from lockgate.credentials.client_cert import ClientCertificate
from lockgate.credentials.credential import Signature, Signer, Unsigned
from lockgate.credentials.places import Places
from lockgate.exchange import Answer, Dialled, Exchange, Outgoing, Vetted, exchange
from lockgate.model import Decision, Principal, Target, TargetTls, Verdict
from lockgate.proxy import latch
from lockgate.proxy.doors import GatedStream, Shut
from lockgate.refusals import Refusal

TARGET = Target("crm", "https", "api.crm.example", 443)
OTHER = Target("other", "https", "other.example", 443)


@dataclass
class Case:
    """A stream whose request has every proof."""

    stream: GatedStream
    flow: http.HTTPFlow
    found: Exchange
    server: Server


@pytest.fixture
def case() -> Case:
    flow = tflow.tflow(live=True)
    stream = GatedStream(Context(flow.client_conn, options.Options()), 1)
    stream.flow = flow
    found = exchange(flow)
    found.target = TARGET
    found.principal = Principal("issuer", "agent", ("support",), time.time() + 60)
    found.decision = Decision(Verdict.ALLOW, "support/read")
    found.intended = True
    found.on_sending = lambda: None
    found.outgoing = Outgoing.of(flow.request)
    server = Server(address=("api.crm.example", 443), peername=("203.0.113.5", 443), sni="api.crm.example", tls=True)
    server.timestamp_tls_setup = 1.0
    found.session.vetted[server.id] = Vetted(Dialled(TARGET), frozenset({"203.0.113.5"}))
    return Case(stream, flow, found, server)


MUTUAL = replace(TARGET, tls=TargetTls(client_cert="crm-mtls"))


def certificate() -> ClientCertificate:
    return ClientCertificate("crm-mtls", [], ec.generate_private_key(ec.SECP256R1()))


def mutual(case: Case, shown: ClientCertificate | None) -> ClientCertificate:
    """The target wants a certificate, which the exchange has; the connection has `shown`."""
    case.found.target, case.found.certificate = MUTUAL, certificate()
    case.found.session.vetted[case.server.id] = Vetted(Dialled(MUTUAL, shown), frozenset({"203.0.113.5"}))
    return case.found.certificate


def head(case: Case) -> RequestHeaders:
    return RequestHeaders(1, case.flow.request, True)


def test_with_every_proof_the_frozen_request_goes_out_once(case: Case) -> None:
    sends = case.stream._to_target(head(case), case.server)
    assert case.found.sent
    assert sends[0].event.request is not case.flow.request
    assert sends[0].event.request.path == case.flow.request.path
    with pytest.raises(Shut):
        case.stream._to_target(head(case), case.server)


def test_the_connection_has_the_certificate_of_the_request(case: Case) -> None:
    wanted = mutual(case, None)
    case.found.session.vetted[case.server.id] = Vetted(Dialled(MUTUAL, wanted), frozenset({"203.0.113.5"}))
    case.stream._to_target(head(case), case.server)
    assert case.found.sent


def test_the_name_is_the_one_of_the_targets_entry(case: Case) -> None:
    target = case.found.target = replace(TARGET, tls=TargetTls(server_name="crm.internal"))
    case.found.session.vetted[case.server.id] = Vetted(Dialled(target), frozenset({"203.0.113.5"}))
    with pytest.raises(Shut, match="another name"):
        case.stream._to_target(head(case), case.server)
    case.server.sni = "crm.internal"
    case.stream._to_target(head(case), case.server)
    assert case.found.sent


def test_a_signature_is_of_what_was_frozen(case: Case) -> None:
    signed: list[object] = []

    class Signs(Signer):
        def sign(self, request: Unsigned, now: float) -> Signature:
            signed.append(request)
            return Signature(self, "0123456789abcdef", [("X-Signature", f"t={now:.0f} 0123456789abcdef")])

    case.found.credential = Signs("crm", Places(frozenset({"x-signature"})), ("correct-horse",))
    case.found.target = target = replace(TARGET, credential="crm")
    case.found.session.vetted[case.server.id] = Vetted(Dialled(target), frozenset({"203.0.113.5"}))
    (send, *_) = case.stream._to_target(head(case), case.server)
    assert signed == [case.found.outgoing]
    assert send.event.request.headers["x-signature"].endswith(" 0123456789abcdef")
    assert "x-signature" not in case.flow.request.headers
    assert case.found.credential.scrub(b"0123456789abcdef correct-horse")[1] == 2


def test_what_cannot_be_signed_does_not_go_out(case: Case) -> None:
    class Refuses(Signer):
        def sign(self, request: Unsigned, now: float) -> Signature:
            raise ValueError

    case.found.credential = Refuses("crm", Places(), ())
    with pytest.raises(ValueError):
        case.stream._to_target(head(case), case.server)
    assert not case.found.sent


UNPROVEN: dict[str, Callable[[Case], object]] = {
    "replayed": lambda case: setattr(case.flow, "is_replay", "request"),
    "refused": lambda case: setattr(case.found, "refusal", Refusal(403, "No.")),
    "answered": lambda case: setattr(case.flow, "response", http.Response.make(200)),
    "no-target": lambda case: setattr(case.found, "target", None),
    "nobody": lambda case: setattr(case.found, "principal", None),
    "undecided": lambda case: setattr(case.found, "decision", None),
    "denied": lambda case: setattr(case.found, "decision", Decision(Verdict.DENY)),
    "held": lambda case: setattr(case.found, "decision", Decision(Verdict.HOLD)),
    "not-recorded": lambda case: setattr(case.found, "intended", False),
    "cannot-be-noted": lambda case: setattr(case.found, "on_sending", None),
    "expired": lambda case: setattr(case.found, "principal", replace(case.found.principal, expires_at=1.0)),
    "no-credential": lambda case: setattr(case.found, "target", replace(TARGET, credential="crm-token")),
    "no-certificate": lambda case: setattr(case.found, "target", MUTUAL),
    "not-frozen": lambda case: setattr(case.found, "outgoing", None),
    "method-changed": lambda case: setattr(case.flow.request, "method", "DELETE"),
    "path-changed": lambda case: setattr(case.flow.request, "path", "/other"),
    "host-changed": lambda case: setattr(case.flow.request, "host", "other.example"),
    "port-changed": lambda case: setattr(case.flow.request, "port", 1),
    "scheme-changed": lambda case: setattr(case.flow.request, "scheme", "https"),
    "header-added": lambda case: case.flow.request.headers.add("x", "y"),
    "body-changed": lambda case: setattr(case.flow.request, "raw_content", b"other"),
    "trailers": lambda case: setattr(case.flow.request, "trailers", http.Headers(x="y")),
}


@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=name) for name, spoil in UNPROVEN.items()])
def test_without_any_one_proof_nothing_goes_out(case: Case, spoil: Callable[[Case], object]) -> None:
    spoil(case)
    with pytest.raises(Shut):
        case.stream._to_target(head(case), case.server)
    assert not case.found.sent


def test_nothing_goes_out_while_the_gateway_stops(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latch, "closed", lambda: True)
    with pytest.raises(Shut):
        case.stream._to_target(head(case), case.server)


WRONG_CONNECTIONS: dict[str, Callable[[Case], object]] = {
    "other-address": lambda case: setattr(case.server, "address", ("other.example", 443)),
    "through-a-proxy": lambda case: setattr(case.server, "via", ("http", ("proxy.example", 1))),
    "no-tls": lambda case: setattr(case.server, "tls", False),
    "tls-not-established": lambda case: setattr(case.server, "timestamp_tls_setup", None),
    "verified-for-another": lambda case: setattr(case.server, "sni", "other.example"),
    "not-vetted": lambda case: case.found.session.vetted.clear(),
    "vetted-for-another": lambda case: case.found.session.vetted.update(
        {case.server.id: Vetted(Dialled(OTHER), frozenset({"203.0.113.5"}))}
    ),
    "with-another-certificate": lambda case: case.found.session.vetted.update(
        {case.server.id: Vetted(Dialled(TARGET, certificate()), frozenset({"203.0.113.5"}))}
    ),
    "without-its-certificate": lambda case: mutual(case, None),
    "with-the-one-before": lambda case: mutual(case, certificate()),
    "another-address-answered": lambda case: setattr(case.server, "peername", ("127.0.0.1", 443)),
    "no-address": lambda case: setattr(case.server, "peername", None),
}


@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=name) for name, spoil in WRONG_CONNECTIONS.items()])
def test_no_other_connection_will_do(case: Case, spoil: Callable[[Case], object]) -> None:
    spoil(case)
    with pytest.raises(Shut):
        case.stream._to_target(head(case), case.server)
    assert not case.found.sent


def test_no_part_of_a_request_goes_before_its_head(case: Case) -> None:
    for event in (RequestData(1, b"x"), RequestEndOfMessage(1), RequestTrailers(1, http.Headers(x="y"))):
        with pytest.raises(Shut):
            case.stream._to_target(event, case.server)


def test_a_body_goes_once_and_as_it_was_frozen(case: Case) -> None:
    sends = case.stream._to_target(head(case), case.server)
    assert [send.event.data for send in sends[1:]] == [case.flow.request.raw_content]
    assert case.stream._to_target(RequestData(1, b"other"), case.server) == ()
    with pytest.raises(Shut):
        case.stream._to_target(RequestTrailers(1, http.Headers(x="y")), case.server)


def test_only_a_frozen_answer_goes_to_the_agent(case: Case) -> None:
    case.flow.response = http.Response.make(200, b"masked")
    for event in (ResponseHeaders(1, case.flow.response), ResponseData(1, b"x"), ResponseEndOfMessage(1)):
        with pytest.raises(Shut):
            case.stream._to_agent(event)
    case.found.answer = Answer.of(case.flow.response)
    sends = case.stream._to_agent(ResponseHeaders(1, case.flow.response))
    assert [send.event.data for send in sends[1:]] == [b"masked"]
    assert case.stream._to_agent(ResponseData(1, b"unmasked")) == ()


def test_an_answer_that_was_changed_since_does_not_go(case: Case) -> None:
    case.flow.response = http.Response.make(200, b"masked")
    case.found.answer = Answer.of(case.flow.response)
    case.flow.response.raw_content = b"unmasked"
    with pytest.raises(Shut):
        case.stream._to_agent(ResponseHeaders(1, case.flow.response))


def test_what_looks_like_continue_but_carries_something_does_not_go(case: Case) -> None:
    interim = http.Response.make(100, b"", {"x-ssn": "078-05-1120"})
    with pytest.raises(Shut):
        case.stream._to_agent(ResponseHeaders(1, interim))


@pytest.mark.parametrize(
    ("method", "principal", "refusal", "status", "tunnel"),
    [
        pytest.param("CONNECT", True, False, 200, True, id="accepted"),
        pytest.param("CONNECT", False, False, 200, False, id="nobody"),
        pytest.param("CONNECT", True, True, 200, False, id="refused"),
        pytest.param("CONNECT", True, False, 407, False, id="not-established"),
        pytest.param("GET", True, False, 200, False, id="no-connect"),
    ],
)
def test_what_is_a_tunnel(case: Case, method: str, principal: bool, refusal: bool, status: int, tunnel: bool) -> None:
    case.flow.request.method = method
    case.flow.response = http.Response.make(status)
    case.found.principal = case.found.principal if principal else None
    case.found.refusal = Refusal(503, "No.") if refusal else None
    assert case.stream._is_tunnel() is tunnel


def test_an_error_says_nothing_of_the_wire(case: Case) -> None:
    error = ResponseProtocolError(1, "unexpected server response: 078-05-1120", ErrorCode.GENERIC_SERVER_ERROR)
    *sends, _ = case.stream._error_to_agent(error)
    assert b"078-05" not in b"".join(getattr(send.event, "data", b"") for send in sends)
    assert sends[0].event.response.status_code == 502
