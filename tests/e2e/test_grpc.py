"""gRPC through the gateway: real clients, a target that records every byte, and what its status and trailers become."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import grpc
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame, PushPromiseFrame

from harness.answers import CRM_TOKEN
from harness.expect import eventually, refused
from harness.gateway import Gateway, MakeGateway
from harness.h2 import tunnel
from harness.h2_target import Call, H2Upstream
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM, rules

ROLE = """\
role: support
rules:
  - {id: read, allow: POST crm /bank.Ledger/Get*}
  - {id: add, allow: POST crm /bank.Ledger/Add}
  - {id: no-delete, deny: POST crm /bank.Ledger/Delete, reason: "Nichts wird gelöscht: 100 % nie."}
"""
GRPC = ("content-type", "application/grpc")


class Ledger:
    """What the target does with a call; a test may set it."""

    def __init__(self) -> None:
        self.answer: Callable[[Call], None] = self.echo

    def __call__(self, call: Call) -> None:
        self.answer(call)

    def echo(self, call: Call) -> None:
        call.head(GRPC, ("x-served-by", "one"))
        call.data(call.seen.body)
        call.trailers(("grpc-status", "0"), ("x-cost", "3"))


@pytest.fixture(scope="module")
def served() -> Ledger:
    return Ledger()


@pytest.fixture
def ledger(served: Ledger) -> Iterator[Ledger]:
    yield served
    served.answer = served.echo


@pytest.fixture(scope="module")
def target(served: Ledger, authority: Authority) -> Iterator[H2Upstream]:
    upstream = H2Upstream(served, authority.server_context(CRM))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def grpc_gateway(make_module_gateway: MakeGateway, target: H2Upstream, issuer: Issuer) -> Gateway:
    files = rules(target.port, target.port, issuer.jwks)
    files["targets.yaml"] = f"""\
targets:
  crm: {{url: "https://{CRM}", connect: "127.0.0.1:{target.port}", private: true, credential: crm-token, grpc: true}}
"""
    gateway: Gateway = make_module_gateway({**files, "roles/support.yaml": ROLE})
    return gateway.start()


@pytest.fixture
def channel(grpc_gateway: Gateway, token: str) -> Iterator[grpc.Channel]:
    """A channel as an agent has it, with the gateway as its proxy."""
    proxy = f"http://agent:{token}@127.0.0.1:{grpc_gateway.port}"
    credentials = grpc.ssl_channel_credentials(grpc_gateway.ca.read_bytes())
    with grpc.secure_channel(f"{CRM}:443", credentials, options=[("grpc.http_proxy", proxy)]) as made:
        yield made


def same(data: bytes) -> bytes:
    return data


def unary(channel: grpc.Channel, method: str) -> grpc.UnaryUnaryMultiCallable:
    """A call with opaque messages."""
    return channel.unary_unary(f"/bank.Ledger/{method}", same, same)


def refusal(channel: grpc.Channel, method: str, message: bytes = b"one", **arguments: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        unary(channel, method)(message, timeout=20, **arguments)
    return raised.value


def message(data: bytes) -> bytes:
    """A message with its prefix: whether it is compressed, and its length."""
    return b"\0" + len(data).to_bytes(4) + data


# What passes


def test_a_call_passes_with_its_trailers(
    grpc_gateway: Gateway, channel: grpc.Channel, target: H2Upstream, token: str
) -> None:
    watch = target.watch()
    reply, call = unary(channel, "Get").with_call(b"one", metadata=[("x-tenant", "a"), ("x-forwarded-for", "10.0.0.1")])
    assert reply == b"one"
    assert [tuple(pair) for pair in call.initial_metadata()] == [("x-served-by", "one")]
    assert [tuple(pair) for pair in call.trailing_metadata()] == [("x-cost", "3")]
    (seen,) = watch.requests
    headers = dict(seen.headers)
    assert (seen.method, seen.path, seen.body) == ("POST", "/bank.Ledger/Get", message(b"one"))
    assert (headers["te"], headers["x-tenant"], headers[":authority"]) == ("trailers", "a", CRM)
    assert headers["authorization"] == f"Bearer {CRM_TOKEN}"
    assert "x-forwarded-for" not in headers
    assert token.encode() not in watch.plain
    record = grpc_gateway.records(1, path="/bank.Ledger/Get")[-1]
    assert record["flow"].response.trailers["grpc-status"] == "0"
    assert record["actions"] == [["POST", "crm", "/bank.Ledger/Get"]]


def test_answers_stream_and_requests_are_collected(channel: grpc.Channel, target: H2Upstream, ledger: Ledger) -> None:
    more = Event()

    def answer(call: Call) -> None:
        call.head(GRPC)
        call.data(message(b"first"))
        assert more.wait(10)
        call.data(message(b"second"))
        call.trailers(("grpc-status", "0"))

    ledger.answer = answer
    watch = target.watch()
    replies = channel.stream_stream("/bank.Ledger/GetAll", same, same)(iter([b"a", b"b"]), timeout=20)
    assert next(replies) == b"first"
    more.set()
    assert list(replies) == [b"second"]
    assert replies.code() is grpc.StatusCode.OK
    assert watch.requests[0].body == message(b"a") + message(b"b")


def test_calls_share_a_connection(channel: grpc.Channel, target: H2Upstream) -> None:
    watch = target.watch()
    calls = [unary(channel, "Get").future(b"%d" % number, timeout=20) for number in range(30)]
    assert [call.result() for call in calls] == [b"%d" % number for number in range(30)]
    assert watch.connections == 1


def test_an_answer_without_a_message_keeps_its_status(channel: grpc.Channel, ledger: Ledger) -> None:
    ledger.answer = lambda call: call.head(GRPC, ("grpc-status", "5"), ("grpc-message", "no%20such"), end=True)
    error = refusal(channel, "Get")
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such")


def test_a_target_that_goes_answers_what_it_has_taken(
    channel: grpc.Channel, target: H2Upstream, ledger: Ledger
) -> None:
    def answer(call: Call) -> None:
        call.connection.send(GoAwayFrame(0, last_stream_id=call.stream_id, error_code=0).serialize())
        ledger.echo(call)

    ledger.answer = answer
    watch = target.watch()
    assert unary(channel, "Get")(b"one", timeout=20) == b"one"
    ledger.answer = ledger.echo
    assert unary(channel, "Get")(b"two", timeout=20) == b"two"
    assert watch.connections == 2


# What is refused


@pytest.mark.parametrize(
    ("method", "metadata", "code", "said"),
    [
        pytest.param("Delete", [], "PERMISSION_DENIED", "Nichts wird gelöscht: 100 % nie.", id="denied"),
        pytest.param("Unknown", [], "PERMISSION_DENIED", "No rule allows this POST", id="no-rule"),
        pytest.param("Get/../Add", [], "INVALID_ARGUMENT", "cannot be read", id="unreadable"),
        pytest.param("Get?x=1", [], "INVALID_ARGUMENT", "not /Service/Method", id="query"),
        pytest.param("Get", [("grpc-encoding", "gzip")], "UNIMPLEMENTED", "Compressed", id="compressed"),
        pytest.param("Get", [("x_y", "1")], "INVALID_ARGUMENT", "underscore", id="underscore"),
        pytest.param("Get", [("upgrade", "h2c")], None, "", id="connection-specific"),
        pytest.param(
            "Get", [("proxy-authorization", "Bearer x")], "INVALID_ARGUMENT", "second identity", id="identity"
        ),
    ],
)
def test_a_refused_call_has_a_status_and_reaches_no_target(
    channel: grpc.Channel, target: H2Upstream, method: str, metadata: list[tuple[str, str]], code: str | None, said: str
) -> None:
    watch = target.watch()
    error = refusal(channel, method, metadata=metadata)
    assert code is None or (error.code().name, said in error.details()) == (code, True), error
    assert watch.raw == b""


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([("content-type", "application/json")], id="json"),
        pytest.param([("content-type", "application/grpc-web")], id="grpc-web"),
        pytest.param([GRPC, GRPC], id="two-types"),
        pytest.param([], id="no-type"),
    ],
)
def test_what_is_no_call_reaches_no_target(
    grpc_gateway: Gateway, target: H2Upstream, token: str, fields: list[tuple[str, str]]
) -> None:
    watch = target.watch()
    with tunnel(grpc_gateway, token) as client:
        stream = client.ask("POST", "/bank.Ledger/Get", *fields, body=message(b"one"))
    assert stream.status == 415 or stream.headers.get("grpc-status") == "12"
    assert watch.raw == b""


def test_http_1_reaches_no_grpc_target(grpc_gateway: Gateway, target: H2Upstream, token: str) -> None:
    watch = target.watch()
    refused(grpc_gateway.ask("POST", "/bank.Ledger/Get", token, "content-type: application/grpc", body=b"x"), 415)
    assert watch.raw == b""


def test_the_agents_token_in_a_message_is_refused(channel: grpc.Channel, target: H2Upstream, token: str) -> None:
    watch = target.watch()
    assert refusal(channel, "Get", token.encode()).code() is grpc.StatusCode.PERMISSION_DENIED
    assert watch.raw == b""


# What a target may not


def leaky(part: str) -> Callable[[Call], None]:
    """Answers with the gateway's credential in some part."""

    def answer(call: Call) -> None:
        call.head(GRPC, ("x-echo", CRM_TOKEN if part == "head" else "-"))
        call.data(message(CRM_TOKEN.encode() if part == "message" else b"one"))
        call.trailers(("grpc-status", "0"), ("x-echo", CRM_TOKEN if part == "trailers" else "-"), ("set-cookie", "a=b"))

    return answer


@pytest.mark.parametrize("part", ["head", "message", "trailers"])
def test_a_credential_sent_back_stays_here(grpc_gateway: Gateway, token: str, ledger: Ledger, part: str) -> None:
    ledger.answer = leaky(part)
    with tunnel(grpc_gateway, token) as client:
        stream = client.ask("POST", "/bank.Ledger/Get", GRPC, ("te", "trailers"), body=message(b"one"))
        assert CRM_TOKEN.encode() not in client.wire.received + stream.body
    assert CRM_TOKEN not in repr(stream)
    assert "set-cookie" not in stream.trailers
    status = {**stream.headers, **stream.trailers}["grpc-status"]
    assert status == ("13" if part == "message" else "0")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda call: call.reset(ErrorCodes.INTERNAL_ERROR), id="reset"),
        pytest.param(lambda call: call.connection.reset(), id="connection-reset"),
        pytest.param(lambda call: call.head(GRPC, ("content-length", "9")) or call.data(b"x", end=True), id="short"),
        pytest.param(lambda call: call.head(GRPC, ("content-length", "1")) or call.data(b"xx"), id="long"),
        pytest.param(lambda call: call.head(GRPC, ("content-length", "9"), end=True), id="length-without-body"),
        pytest.param(
            lambda call: call.head(GRPC, ("content-length", "9")) or call.trailers(("grpc-status", "0")), id="trailers"
        ),
        pytest.param(lambda call: call.head(GRPC, ("x", "a\r\nb")), id="crlf"),
        pytest.param(lambda call: call.head(GRPC, ("x", "a\x01b")), id="control"),
        pytest.param(lambda call: call.head(GRPC, ("connection", "close")), id="connection"),
        pytest.param(
            lambda call: call.head(GRPC, ("grpc-encoding", "gzip")) or call.data(message(b"x"), end=True),
            id="compressed",
        ),
        pytest.param(lambda call: call.head(GRPC, status=99), id="status"),
        pytest.param(
            lambda call: call.connection.send(GoAwayFrame(0, last_stream_id=0, error_code=0).serialize()), id="goaway"
        ),
        pytest.param(
            lambda call: call.connection.send(
                PushPromiseFrame(call.stream_id, promised_stream_id=2, flags=["END_HEADERS"]).serialize()
            ),
            id="push",
        ),
    ],
)
def test_a_target_that_fails_gets_no_answer_through(
    channel: grpc.Channel, ledger: Ledger, answer: Callable[[Call], None]
) -> None:
    ledger.answer = answer
    error = refusal(channel, "Get")
    assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE), error
    ledger.answer = ledger.echo
    assert unary(channel, "Get")(b"next", timeout=20) == b"next"


def test_an_interim_answer_is_not_the_answer(channel: grpc.Channel, ledger: Ledger) -> None:
    def answer(call: Call) -> None:
        call.head(("link", "</x>"), status=103)
        ledger.echo(call)

    ledger.answer = answer
    assert unary(channel, "Get")(b"one", timeout=20) == b"one"


def test_a_call_broken_off_ends_at_the_target(channel: grpc.Channel, target: H2Upstream, ledger: Ledger) -> None:
    ledger.answer = lambda call: call.head(GRPC)
    resets, watch = len(target.resets), target.watch()
    call = unary(channel, "Get").future(b"one")
    watch.wait_for(1)
    call.cancel()
    eventually(lambda: len(target.resets) > resets, "the target's stream is reset")
    ledger.answer = ledger.echo
    assert unary(channel, "Get")(b"two", timeout=20) == b"two"
    assert watch.connections == 1
