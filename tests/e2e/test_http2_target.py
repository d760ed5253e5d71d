"""HTTP/2 to targets that speak it: one connection for many streams, each vetted and each answered on its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import SettingsFrame

from harness.answers import CRM_TOKEN, JSON, answer
from harness.expect import eventually, leaks
from harness.gateway import Gateway, MakeGateway, head
from harness.h2 import tunnel
from harness.h2_target import Call, H2Upstream
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM, LEEWAY, rules
from harness.upstream import Connection, RecordingUpstream, Seen

OLD = "old.example"
KIND = ("content-type", "application/json")


class Answers:
    """What the target does with a request; a test may set it."""

    def __init__(self) -> None:
        self.answer: Callable[[Call], None] = customer

    def __call__(self, call: Call) -> None:
        self.answer(call)


def customer(call: Call) -> None:
    call.head(KIND, ("content-length", str(len(JSON))), end=call.seen.method == "HEAD")
    if call.seen.method != "HEAD":
        call.data(JSON, end=True)


@pytest.fixture(scope="module")
def served() -> Answers:
    return Answers()


@pytest.fixture
def answers(served: Answers) -> Iterator[Answers]:
    yield served
    served.answer = customer


@pytest.fixture(scope="module")
def target(served: Answers, authority: Authority) -> Iterator[H2Upstream]:
    upstream = H2Upstream(served, authority.server_context(CRM))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def old(authority: Authority) -> Iterator[RecordingUpstream]:
    """Is offered HTTP/2, and speaks HTTP/1.1."""
    upstream = RecordingUpstream(answer, authority.server_context(OLD))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def h2_gateway(make_module_gateway: MakeGateway, target: H2Upstream, old: RecordingUpstream, issuer: Issuer) -> Gateway:
    extra = f"  old: {{url: 'https://{OLD}', connect: '127.0.0.1:{old.port}', private: true, http2: true}}\n"
    files = rules(target.port, target.port, issuer.jwks, extra=extra)
    files["targets.yaml"] = files["targets.yaml"].replace("    credential:", "    http2: true\n    credential:")
    files["roles/support.yaml"] += "  - {id: old, allow: GET old /v1/json}\n"
    gateway: Gateway = make_module_gateway(files)
    return gateway.start()


def test_streams_share_a_connection(h2_gateway: Gateway, target: H2Upstream, token: str) -> None:
    watch = target.watch()
    with tunnel(h2_gateway, token) as client:
        asked = [client.request("GET", f"/v1/customer?n={number}") for number in range(30)]
        for stream_id in asked:
            assert client.whole(stream_id).status == 200
            assert leaks(client.streams[stream_id].body) == []
        denied = client.ask("DELETE", "/v1/customer")
    assert denied.status == 403
    assert watch.connections == 1
    assert sorted(seen.target for seen in watch.requests) == sorted(f"/v1/customer?n={number}" for number in range(30))
    assert token.encode() not in watch.plain
    assert dict(watch.requests[0].headers)["authorization"] == f"Bearer {CRM_TOKEN}"


def test_an_agent_with_http_1_reaches_it_too(h2_gateway: Gateway, target: H2Upstream, token: str) -> None:
    watch = target.watch()
    with h2_gateway.tunnel(token) as wire:
        for method in ("GET", "HEAD", "POST", "GET"):
            fields = ["content-type: application/json"] if method == "POST" else []
            reply = wire.ask(
                head(method, "/v1/customer", CRM, *fields, body=b"{}" if method == "POST" else b""), to=method
            )
            assert reply.status == 200
            assert leaks(reply.body) == []
    assert watch.connections == 1
    assert [seen.method for seen in watch.requests] == ["GET", "HEAD", "POST", "GET"]


def test_trailers_of_what_is_no_call_are_dropped(h2_gateway: Gateway, token: str, answers: Answers) -> None:
    def answer(call: Call) -> None:
        call.head(KIND)
        call.data(JSON)
        call.trailers(("x-ssn", "123-45-6789"), ("x-secret", CRM_TOKEN))

    answers.answer = answer
    with tunnel(h2_gateway, token) as client:
        for path in ("/v1/customer", "/open/customer"):
            stream = client.ask("GET", path)
            assert (stream.status, stream.trailers) == (200, {})
    with h2_gateway.tunnel(token) as wire:
        reply = wire.ask(head("GET", "/open/customer", CRM))
        assert (reply.status, reply.body) == (200, JSON)
        assert wire.ask(head("GET", "/v1/customer", CRM)).status == 200


@pytest.mark.parametrize("path", ["/v1/customer", "/open/customer"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda call: call.reset(ErrorCodes.REFUSED_STREAM), id="reset"),
        pytest.param(lambda call: call.head(KIND, ("content-length", "9")) or call.data(b"{}", end=True), id="short"),
        pytest.param(lambda call: call.head(KIND, ("content-length", "9"), end=True), id="nothing"),
        pytest.param(lambda call: call.head(("transfer-encoding", "chunked"), KIND), id="chunked"),
        pytest.param(lambda call: call.head(("x", "a\nb"), KIND), id="lf"),
        pytest.param(lambda call: call.head(("X-Upper", "a"), KIND), id="upper-case"),
        pytest.param(lambda call: call.head((":path", "/x"), KIND), id="request-pseudo"),
        pytest.param(lambda call: call.head(KIND, status=101), id="switching"),
        pytest.param(lambda call: call.head(KIND, status=204) or call.data(b"{}", end=True), id="body-of-204"),
        pytest.param(lambda call: call.head(KIND, status=304) or call.data(b"{}", end=True), id="body-of-304"),
        pytest.param(lambda call: call.connection.send(b"\xff\xff\xff" + bytes(6)), id="frame-too-large"),
    ],
)
def test_what_a_target_may_not_say_is_not_passed_on(
    h2_gateway: Gateway, token: str, answers: Answers, answer: Callable[[Call], None], path: str
) -> None:
    answers.answer = answer
    with tunnel(h2_gateway, token) as client:
        stream = client.ask("GET", path)
        assert stream.status == 502 or stream.reset is not None, stream
        assert b"x-upper" not in stream.body
        answers.answer = customer
        assert client.ask("GET", "/v1/customer").status == 200


@pytest.mark.parametrize("path", ["/v1/customer", "/open/customer"])
@pytest.mark.parametrize(("method", "status"), [("GET", 204), ("GET", 304), ("HEAD", 200)])
def test_a_body_where_there_is_none_is_not_the_next_answer(
    h2_gateway: Gateway, token: str, answers: Answers, method: str, status: int, path: str
) -> None:
    smuggled = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled"
    answers.answer = lambda call: call.head(KIND, status=status) or call.data(smuggled, end=True)
    with h2_gateway.tunnel(token) as wire:
        wire.send(head(method, path, CRM) + head("GET", "/open/next", CRM))
        assert b"smuggled" not in wire.rest(1)


def test_streams_that_wait_end_with_their_connection(
    h2_gateway: Gateway, target: H2Upstream, answers: Answers, token: str
) -> None:
    answers.answer = lambda call: call.connection.reset()
    with tunnel(h2_gateway, token) as client:
        for stream_id in [client.request("GET", f"/v1/customer?n={number}") for number in range(30)]:
            assert client.whole(stream_id).status == 502


def test_a_stream_that_waits_beyond_its_token_reaches_no_target(
    h2_gateway: Gateway, target: H2Upstream, answers: Answers, issuer: Issuer
) -> None:
    """It has passed its door, and its target takes one stream at a time."""
    held: list[Call] = []

    def hold(call: Call) -> None:
        one = SettingsFrame(0)
        one.settings = {SettingCodes.MAX_CONCURRENT_STREAMS: 1}
        call.connection.send(one.serialize())
        held.append(call)

    answers.answer = hold
    watch = target.watch()
    ends = int(time.time()) + 2
    with tunnel(h2_gateway, issuer.token("support", exp=ends - LEEWAY)) as client:
        client.request("GET", "/v1/customer?n=1")
        eventually(lambda: held, "the first is under way")
        late = client.request("GET", "/v1/customer?n=2")
        eventually(lambda: time.time() > ends, "the token ends")
        customer(held[0])
        assert client.whole(late).status == 502
    assert [seen.target for seen in watch.requests] == ["/v1/customer?n=1"]


def test_a_target_may_choose_http_1(h2_gateway: Gateway, old: RecordingUpstream, token: str) -> None:
    watch = old.watch()
    with tunnel(h2_gateway, token, OLD) as client:
        asked = [client.request("GET", "/v1/json", host=OLD) for _ in range(8)]
        assert [client.whole(stream_id).status for stream_id in asked] == [200] * 8
    assert len(watch.requests) == 8


# An agent that does not take what comes

LARGE = 12 * 1024 * 1024  # more than what lies between two sockets


class Endless:
    """Sends as much as is taken, up to half of `LARGE`."""

    def __init__(self, target: H2Upstream) -> None:
        self.sent = 0
        self._target = target
        self._call: Call | None = None

    def __call__(self, call: Call) -> None:
        if call.seen.path != "/open/large":
            customer(call)
            return
        call.head(("content-type", "text/plain"))
        self._call, self._target.go_on = call, self.go_on

    def go_on(self) -> None:
        assert self._call is not None
        while size := min(16384, LARGE // 2 - self.sent, self._call.h2.local_flow_control_window(self._call.stream_id)):
            self.sent += size
            self._call.data(b"x" * size, end=self.sent == LARGE // 2)


def stalled(sent: Callable[[], int]) -> int:
    """How much was sent, once no more is."""
    before = -1
    while before != (now := sent()):
        before = now
        time.sleep(0.4)
    return now


def test_a_slow_agent_holds_up_its_own_answer_only(
    h2_gateway: Gateway, target: H2Upstream, answers: Answers, token: str
) -> None:
    answers.answer = endless = Endless(target)
    with tunnel(h2_gateway, token) as client:
        client.takes = False
        large = client.request("GET", "/open/large")
        eventually(lambda: endless.sent, "the answer begins")
        assert stalled(lambda: endless.sent) < 4 * 1024 * 1024
        client.connection.increment_flow_control_window(1024 * 1024)  # of the connection: not of the large answer
        assert client.ask("GET", "/v1/customer").status == 200
        client.takes = True
        client.connection.increment_flow_control_window(LARGE)
        client.connection.increment_flow_control_window(LARGE, large)
        client.flush()
        client.until(lambda: client.streams[large].ended, 60)
        assert len(client.streams[large].body) == LARGE // 2
    target.go_on = lambda: None


def test_a_slow_agent_holds_up_a_target_with_http_1(
    gateway: Gateway, plain: RecordingUpstream, crm: RecordingUpstream, token: str
) -> None:
    sent = [0]

    def large(connection: Connection, seen: Seen) -> None:
        if seen.path != "/open/large":
            usual(connection, seen)
            return
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-type: text/plain\r\n\r\n" % LARGE)
        while sent[0] < LARGE:
            connection.send(b"x" * 65536)
            sent[0] += 65536

    usual, crm.answer = crm.answer, large
    try:
        with tunnel(gateway, token) as client:
            client.takes = False
            stream_id = client.request("GET", "/open/large")
            eventually(lambda: sent[0], "the answer begins")
            assert stalled(lambda: sent[0]) < 10 * 1024 * 1024
            client.connection.increment_flow_control_window(1024 * 1024)
            assert client.ask("GET", "/v1/json").status == 200
            client.takes = True
            client.connection.increment_flow_control_window(LARGE)
            client.connection.increment_flow_control_window(LARGE, stream_id)
            client.flush()
            client.until(lambda: client.streams[stream_id].ended, 60)
            assert len(client.streams[stream_id].body) == LARGE
    finally:
        crm.answer = usual
