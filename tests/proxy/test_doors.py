"""What a door demands, one proof at a time: the stages in front of it would have refused most of these themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mitmproxy import http, options
from mitmproxy.connection import Server
from mitmproxy.proxy import commands
from mitmproxy.proxy.commands import RequestWakeup
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.events import Wakeup
from mitmproxy.proxy.layers.http import (
    ErrorCode,
    HttpResponseHook,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)
from mitmproxy.test import tflow

from lockgate.bodies.pipeline import Job, Passed, Pipeline
from lockgate.credentials.client_cert import ClientCertificate
from lockgate.credentials.credential import Signature, Signer, Unsigned
from lockgate.credentials.places import Places
from lockgate.errors import MaskingFailed, Refused
from lockgate.exchange import Answer, Dialled, Exchange, Outgoing, Vetted, exchange
from lockgate.model import Decision, Limits, Principal, Target, TargetTls, Verdict
from lockgate.proxy import doors, latch, pace
from lockgate.proxy.doors import GatedStream, Shut
from lockgate.proxy.pace import Elsewhere
from lockgate.recordings.delivered import Delivered
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
    found.unrevoked = lambda _: None
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
    "not-asked-whether-revoked": lambda case: setattr(case.found, "unrevoked", None),
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


def test_what_is_revoked_since_it_was_decided_does_not_go_out(case: Case) -> None:
    def revoked(_: Exchange) -> None:
        raise Refused(Refusal(403, "Revoked."))

    case.found.unrevoked = revoked
    with pytest.raises(Refused):
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
    "http2-that-was-not-offered": lambda case: setattr(case.server, "alpn", b"h2"),
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


@pytest.mark.parametrize(("http2", "grpc"), [(True, False), (False, True)])
def test_http_2_goes_to_a_target_that_speaks_it(case: Case, http2: bool, grpc: bool) -> None:
    case.found.target = target = replace(TARGET, http2=http2, grpc=grpc)
    case.found.session.vetted[case.server.id] = Vetted(Dialled(target), frozenset({"203.0.113.5"}))
    case.server.alpn = b"h2"
    case.stream._to_target(head(case), case.server)
    assert case.found.sent


def test_a_grpc_call_goes_over_http_2_only(case: Case) -> None:
    case.found.target = target = replace(TARGET, grpc=True)
    case.found.session.vetted[case.server.id] = Vetted(Dialled(target), frozenset({"203.0.113.5"}))
    with pytest.raises(Refused) as refused:
        case.stream._to_target(head(case), case.server)
    assert refused.value.refusal.status == 502
    assert not case.found.sent


def test_only_frozen_trailers_go_to_the_agent(case: Case) -> None:
    case.flow.response = http.Response.make(200, b"masked")
    case.flow.response.trailers = http.Headers([(b"grpc-status", b"0")])
    case.found.answer = Answer.of(case.flow.response)
    trailers = ResponseTrailers(1, http.Headers([(b"grpc-status", b"0")]))
    with pytest.raises(Shut):
        case.stream._to_agent(trailers)  # before the head
    head, _ = case.stream._to_agent(ResponseHeaders(1, case.flow.response))
    assert not head.event.end_stream
    (sent,) = case.stream._to_agent(trailers)
    assert sent.event.trailers.fields == ((b"grpc-status", b"0"),)
    for other in ([(b"grpc-status", b"1")], [(b"grpc-status", b"0"), (b"x", b"secret")], []):
        with pytest.raises(Shut):
            case.stream._to_agent(ResponseTrailers(1, http.Headers(other)))


def test_trailers_that_nobody_has_scrubbed_are_dropped(case: Case) -> None:
    case.stream.server_state = case.stream.state_consume_response_body
    case.flow.response = http.Response.make(200)
    list(case.stream._handle_event(ResponseTrailers(1, http.Headers(x="secret"))))
    assert not case.flow.response.trailers
    case.found.trailing = lambda trailers: http.Headers(x=trailers["x"].upper())
    list(case.stream._handle_event(ResponseTrailers(1, http.Headers(x="secret"))))
    assert case.flow.response.trailers["x"] == "SECRET"


def test_what_is_for_the_agent_alone_is_on_what_is_sent(case: Case) -> None:
    case.found.own, case.found.handed = True, b"the token"
    case.flow.response = http.Response.make(200, b"[redacted]")
    case.found.answer = Answer.of(case.flow.response)
    [first, *sends] = case.stream._to_agent(ResponseHeaders(1, case.flow.response))
    assert first.event.response.headers["content-length"] == "9"
    assert [send.event.data for send in sends] == [b"the token"]
    assert case.flow.response.raw_content == b"[redacted]"


@pytest.mark.parametrize("spoil", [{"own": False}, {"refusal": Refusal(503, "no")}])
def test_what_is_for_the_agent_alone_is_not_in_a_refusal(case: Case, spoil: dict[str, Any]) -> None:
    for name, value in ({"own": True, "handed": b"the token"} | spoil).items():
        setattr(case.found, name, value)
    case.flow.response = http.Response.make(503, b"refused")
    case.found.answer = Answer.of(case.flow.response)
    _, *sends = case.stream._to_agent(ResponseHeaders(1, case.flow.response))
    assert [send.event.data for send in sends] == [b"refused"]


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


def test_what_was_answered_goes_to_nobody_who_was_revoked_meanwhile(case: Case) -> None:
    def revoked(_: Exchange) -> None:
        raise Refused(Refusal(403, "Revoked."))

    case.flow.response = http.Response.make(200, b"masked")
    case.found.answer, case.found.sent, case.found.unrevoked = Answer.of(case.flow.response), True, revoked
    with pytest.raises(Refused):
        case.stream._to_agent(ResponseHeaders(1, case.flow.response))


# An answer that is streamed


def allow(found: Exchange) -> None:
    """The rules have not changed."""


class Upper:
    """In upper case; what has a `!` in it cannot be masked."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        head, fault, _ = data.partition(b"!")
        yield head.upper()
        if fault:
            raise MaskingFailed("no")

    def end(self) -> Iterator[bytes]:
        yield b"."


@pytest.fixture
def streamed(case: Case) -> Case:
    """One whose answer has every proof that streaming it takes."""
    case.flow.response = http.Response.make(200, b"", {"transfer-encoding": "chunked"})
    case.flow.response.raw_content = None
    case.flow.response.stream = True
    case.found.answer = Answer.of(case.flow.response)
    case.found.pipeline = Pipeline(Upper())
    case.found.delivered = Delivered(1000)
    case.found.recheck = allow
    case.found.sent = True
    return case


def opened(case: Case) -> list[Any]:
    """What is sent of the head."""
    [command] = case.stream.start_response_stream()
    return list(case.stream._door(command))


def passed(case: Case, data: bytes) -> list[bytes]:
    return [send.event.data for send in case.stream._to_agent(ResponseData(1, data))]


def test_a_part_goes_through_the_pipeline(streamed: Case) -> None:
    head_sent, look = opened(streamed)
    assert isinstance(look, RequestWakeup)
    assert head_sent.event.response is not streamed.flow.response
    assert not head_sent.event.end_stream
    assert streamed.found.streaming
    assert passed(streamed, b"part") == [b"PART"]
    assert passed(streamed, b"") == []  # an empty chunk would be the last
    *tail, hook = streamed.stream._door(HttpResponseHook(streamed.flow))
    assert [send.event.data for send in tail] == [b"."]
    assert isinstance(hook, HttpResponseHook)
    assert streamed.found.delivered is not None
    assert streamed.found.delivered.body == b"PART."
    assert streamed.found.delivered.entry() == {"length": 5, "ended": "complete"}


def test_what_is_before_a_fault_passes(streamed: Case) -> None:
    opened(streamed)
    commands = iter(streamed.stream._to_agent(ResponseData(1, b"part!secret")))
    assert next(commands).event.data == b"PART"
    with pytest.raises(MaskingFailed):
        next(commands)
    with pytest.raises(MaskingFailed):
        passed(streamed, b"more")


class Works:
    """Everything in upper case, as work that may be done elsewhere."""

    def feed(self, data: bytes) -> Iterator[Passed]:
        job = Job(partial(bytes.upper, data))
        yield job
        yield job.result()

    def end(self) -> Iterator[Passed]:
        return iter(())


@pytest.mark.parametrize("change", [None, "rules"])
async def test_work_is_done_elsewhere_and_what_it_is_for_asked_anew(streamed: Case, change: str | None) -> None:
    async def elsewhere(job: Job[Any]) -> None:
        job.done(b"DONE")

    streamed.found.pipeline, streamed.found.elsewhere = Pipeline(Works()), elsewhere
    opened(streamed)
    commands = iter(streamed.stream._to_agent(ResponseData(1, b"part")))
    asked = next(commands)
    assert isinstance(asked, Elsewhere)
    assert asked.blocking
    await asked.work()
    if change:
        streamed.found.recheck = revoked
        with pytest.raises(Refused):
            next(commands)
    else:
        assert [send.event.data for send in commands] == [b"DONE"]


def look(case: Case) -> list[Any]:
    return list(case.stream._handle_event(Wakeup(RequestWakeup(1.0))))


def test_a_stream_is_looked_at_again_and_again(streamed: Case) -> None:
    opened(streamed)
    list(streamed.stream.start_response_stream())
    [again] = look(streamed)
    assert isinstance(again, RequestWakeup)


@pytest.mark.parametrize("reason", ["rules", "silence", "stopping"])
def test_a_stream_of_which_nothing_comes_is_ended(streamed: Case, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    opened(streamed)
    if reason == "rules":
        streamed.found.recheck = revoked
    elif reason == "silence":
        streamed.stream._last_part -= doors.SILENCE
    else:
        monkeypatch.setattr(latch, "closed", closed)
    kinds = [type(getattr(command, "event", command)).__name__ for command in look(streamed)]
    assert kinds == ["ResponseProtocolError", "CloseConnection", "HttpErrorHook", "DropStream"]
    assert streamed.found.delivered is not None
    assert streamed.found.delivered.entry()["ended"] == "gateway"
    assert look(streamed) == []


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        pytest.param({}, ErrorCode.GENERIC_SERVER_ERROR, id="until-close"),
        pytest.param({"content-length": "4"}, None, id="length"),
        pytest.param({"transfer-encoding": "chunked"}, None, id="chunks"),
    ],
)
@pytest.mark.parametrize("broken", [True, False])
def test_a_body_that_its_connection_cut(
    streamed: Case, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], fault: ErrorCode | None, broken: bool
) -> None:
    monkeypatch.setattr(pace, "broke_off", lambda _: broken)
    response = http.Response.make(200)
    response.headers = http.Headers([(name.encode(), value.encode()) for name, value in fields.items()])
    assert streamed.stream._fault_of_target(ResponseHeaders(1, response)) is None
    assert streamed.stream._fault_of_target(ResponseEndOfMessage(1)) is (fault if broken else None)


@pytest.mark.parametrize(
    ("method", "status", "fault"),
    [
        pytest.param("HEAD", 200, ErrorCode.GENERIC_SERVER_ERROR, id="head"),
        pytest.param("GET", 204, ErrorCode.GENERIC_SERVER_ERROR, id="204"),
        pytest.param("GET", 304, ErrorCode.GENERIC_SERVER_ERROR, id="304"),
        pytest.param("GET", 200, None, id="200"),
    ],
)
def test_a_body_where_there_is_none(streamed: Case, method: str, status: int, fault: ErrorCode | None) -> None:
    streamed.flow.request.method = method
    assert streamed.stream._fault_of_target(ResponseHeaders(1, http.Response.make(status))) is None
    assert streamed.stream._fault_of_target(ResponseData(1, b"")) is None
    assert streamed.stream._fault_of_target(ResponseData(1, b"a")) is fault


UNSTREAMABLE: dict[str, Callable[[Case], object]] = {
    "not-masked": lambda case: setattr(case.found, "pipeline", None),
    "not-recorded": lambda case: setattr(case.found, "delivered", None),
    "not-frozen": lambda case: setattr(case.found, "answer", None),
    "changed": lambda case: case.flow.response.headers.update({"x": "y"}),
    "with-a-body": lambda case: (
        setattr(case.flow.response, "raw_content", b"unmasked"),
        setattr(case.found, "answer", Answer.of(case.flow.response)),
    ),
    "no-recheck": lambda case: setattr(case.found, "recheck", None),
    "refused": lambda case: setattr(case.found, "refusal", Refusal(502, "No.")),
}


@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=name) for name, spoil in UNSTREAMABLE.items()])
def test_what_has_not_every_proof_is_not_streamed(streamed: Case, spoil: Callable[[Case], object]) -> None:
    spoil(streamed)
    with pytest.raises(Shut):
        opened(streamed)
    assert not streamed.found.streaming


def closed() -> bool:
    return True


def revoked(found: Exchange) -> None:
    raise Refused(Refusal(403, "Revoked."))


MOMENTS: dict[str, Callable[[Case], object]] = {
    "head": opened,
    "part": lambda case: passed(case, b"part"),
    "end": lambda case: list(case.stream._door(HttpResponseHook(case.flow))),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("reason", ["stopping", "rules"])
def test_each_part_is_asked_for_anew(streamed: Case, monkeypatch: pytest.MonkeyPatch, moment: str, reason: str) -> None:
    if moment != "head":
        opened(streamed)
    if reason == "rules":
        streamed.found.recheck = revoked
    else:
        monkeypatch.setattr(latch, "closed", closed)
    with pytest.raises((Shut, Refused)):
        MOMENTS[moment](streamed)
    assert streamed.found.delivered is not None
    assert streamed.found.delivered.length == 0


@pytest.mark.parametrize("state", [{"masked": False}, {"masked": True, "refusal": Refusal(502, "No.")}])
def test_what_a_stage_refused_has_no_clean_end(streamed: Case, state: dict[str, object]) -> None:
    opened(streamed)
    for name, value in state.items():
        setattr(streamed.found, name, value)
    with pytest.raises(Shut):
        streamed.stream._to_agent(ResponseEndOfMessage(1))


def test_a_stream_that_is_masked_ends(streamed: Case) -> None:
    opened(streamed)
    streamed.found.masked = True
    [end] = streamed.stream._to_agent(ResponseEndOfMessage(1))
    assert isinstance(end.event, ResponseEndOfMessage)


@pytest.mark.parametrize(
    "event", [ResponseEndOfMessage(1), ResponseProtocolError(1, "gone", ErrorCode.GENERIC_SERVER_ERROR)]
)
def test_what_is_over_by_then_is_not_streamed(streamed: Case, event: Any) -> None:
    streamed.stream._paused_event_queue.extend([ResponseData(1, b"part"), event])
    assert list(streamed.stream.start_response_stream()) == []
    assert streamed.stream.server_state == streamed.stream.state_consume_response_body
    assert not streamed.found.streaming


@pytest.mark.parametrize(
    ("limits", "size", "fault"),
    [
        pytest.param(Limits(response=10), 1000, None, id="not-given"),
        pytest.param(Limits(streamed=10), 10, None, id="at-the-limit"),
        pytest.param(Limits(streamed=10), 11, ErrorCode.RESPONSE_TOO_LARGE, id="above"),
    ],
)
def test_a_stream_has_the_limit_that_the_rules_give(
    streamed: Case, limits: Limits, size: int, fault: ErrorCode | None
) -> None:
    streamed.found.target = replace(TARGET, limits=limits)
    opened(streamed)
    assert streamed.stream._fault_of_target(ResponseData(1, b"x" * size)) is fault


def test_a_fault_cuts_before_anything_else_is_done(streamed: Case) -> None:
    """The hook takes its time, in which the target sends on."""
    opened(streamed)
    commands = list(streamed.stream._shut(MaskingFailed("no")))
    kinds = [type(getattr(command, "event", command)).__name__ for command in commands]
    assert kinds == ["ResponseProtocolError", "CloseConnection", "HttpErrorHook", "DropStream"]
    assert commands[0].event.code is ErrorCode.KILL
    assert streamed.found.delivered is not None
    assert streamed.found.delivered.entry() == {"length": 0, "ended": "gateway", "why": "no"}


@pytest.mark.parametrize(
    ("fault", "status"), [(Refused(Refusal(403, "Revoked.")), 403), (MaskingFailed("no"), 502), (KeyError("x"), 502)]
)
def test_a_head_that_did_not_go_out_is_no_answer(streamed: Case, fault: Exception, status: int) -> None:
    list(streamed.stream.start_response_stream())
    head_sent, *_ = streamed.stream._shut(fault)
    assert head_sent.event.response.status_code == status
    assert streamed.found.answer is None


@pytest.mark.parametrize(
    ("event", "ended"),
    [
        pytest.param(RequestProtocolError(1, "gone", ErrorCode.CLIENT_DISCONNECTED), "agent", id="agent"),
        pytest.param(ResponseProtocolError(1, "gone", ErrorCode.GENERIC_SERVER_ERROR), "target", id="target"),
        pytest.param(ResponseProtocolError(1, "large", ErrorCode.RESPONSE_TOO_LARGE), "gateway", id="gateway"),
    ],
)
def test_who_ends_it_is_noted(streamed: Case, event: Any, ended: str) -> None:
    opened(streamed)
    list(streamed.stream.handle_protocol_error(event))
    assert streamed.found.delivered is not None
    assert streamed.found.delivered.entry()["ended"] == ended


def test_a_websocket_is_opened_over_http_1(case: Case) -> None:
    case.found.target = target = replace(TARGET, http2=True)
    case.found.session.vetted[case.server.id] = Vetted(Dialled(target), frozenset({"203.0.113.5"}))
    case.server.alpn = b"h2"
    case.found.websocket = True
    with pytest.raises(Shut, match=r"HTTP/1\.1"):
        case.stream._to_target(head(case), case.server)
    assert not case.found.sent


def test_what_speaks_something_else_by_now_is_closed(case: Case) -> None:
    """A refusal is what becomes of a 101: the connection to the target is not HTTP any more."""
    case.stream._switched = case.stream._answered = True
    case.flow.server_conn = case.server
    case.found.refusal = Refusal(502, "No.")
    case.flow.response = http.Response.make(502)
    closed = [each.connection for each in case.stream.flow_done() if isinstance(each, commands.CloseConnection)]
    assert closed == [case.server]
    assert case.stream._websocket is None
