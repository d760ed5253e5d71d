"""Answers that go on as they come: masked part by part, cut where one cannot be, closed when the rules change."""

from __future__ import annotations

import gzip
import hmac
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.answers import CARD, CRM_TOKEN, EMAIL, SSN, message
from harness.expect import eventually, leaks, refused
from harness.gateway import ROOT, Gateway, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM, PLAIN, rules
from harness.told import Told
from harness.upstream import Connection, RecordingUpstream
from harness.wire import Incomplete, Wire
from lockgate.cli.main import main

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
CAPPED = "capped.example"
LIMIT = 64 * 1024  # bytes: of a record's body, and of answers of the capped target
MIB = 1024 * 1024

ROLE = """\
role: support
rules:
  - id: masked
    allow: GET|HEAD crm|plain|capped /v1/{what}
    mask:
      $..ssn: redact
      $..email: {keep_last: 7}
      $..card: drop

  - id: forms
    allow: GET crm|plain /forms/{what}
    detect: [email, card, iban, jwt, pem, key]

  - id: open
    allow: GET|POST crm|plain|capped /open/{what}
"""


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


@pytest.fixture(scope="module")
def tls_target(authority: Authority, told: Told) -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream(told, authority.server_context(CRM))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def target(told: Told) -> Iterator[RecordingUpstream]:
    upstream = RecordingUpstream(told)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def files(tls_target: RecordingUpstream, target: RecordingUpstream, issuer: Issuer) -> dict[str, str]:
    extra = f"""\
  capped:
    url: http://{CAPPED}
    connect: 127.0.0.1:{target.port}
    private: true
    limits: {{response: 64KiB}}
"""
    usual = rules(tls_target.port, target.port, issuer.jwks, extra=extra)
    recordings = f"{usual['gateway.yaml']}recordings: {{max_body: 64KiB}}\n"
    return {**usual, "gateway.yaml": recordings, "roles/support.yaml": ROLE}


@pytest.fixture(scope="module")
def streaming(make_module_gateway: MakeGateway, files: dict[str, str]) -> Iterator[Gateway]:
    gateway = make_module_gateway(files)
    yield gateway.start()
    gateway.stop()
    assert "crashed" not in gateway.output
    assert "Traceback" not in gateway.output
    assert {path.name: leaks(content) for path, content in gateway.traces().items() if leaks(content)} == {}


class Stream:
    """One request whose answer is told; of what arrives nothing has leaked."""

    def __init__(self, gateway: Gateway, told: Told, wire: Wire, fields: tuple[str, ...] = ()) -> None:
        self.wire = wire
        self.told = told
        self._gateway = gateway
        self._fields = fields

    def ask(
        self, path: str, host: str, *fields: str, method: str = "GET", version: str = "1.1", body: bytes = b""
    ) -> None:
        target = path if host == CRM else f"http://{host}{path}"
        request = head(method, target, host, *self._fields, *fields, body=body)
        self.wire.send(request.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))

    def begin(self, path: str, host: str, kind: str, *fields: str, status: str = "200 OK") -> None:
        """Ask, and see the head before there is a body."""
        self.told.head(kind, *fields, status=status)
        self.ask(path, host)
        self.wire.until(b"\r\n\r\n")

    def passes(self, data: bytes, arrives: bytes | None = None) -> None:
        """What the target sends arrives before it sends anything else."""
        self.told.chunk(data)
        self.wire.until(data if arrives is None else arrives)

    def is_cut(self) -> None:
        """The connection ends before the answer does, and so does that to the target."""
        self.told.see_left()
        with pytest.raises(Incomplete):
            self.wire.reply()
        assert self.told.left.wait(10)
        assert self.wire.closed()

    def record(self, path: str) -> dict[str, Any]:
        return self._gateway.records(1, path=path)[-1]


@pytest.fixture
def stream(streaming: Gateway, told: Told, token: str) -> Iterator[Callable[..., Stream]]:
    """Opens a connection to one of the targets' hosts."""
    opened: list[Wire] = []

    def open_to(host: str, gateway: Gateway = streaming) -> Stream:
        wire = gateway.tunnel(token) if host == CRM else gateway.dial()
        opened.append(wire)
        return Stream(gateway, told, wire, () if host == CRM else tuple(identity(token)))

    yield open_to
    for wire in opened:
        assert leaks(wire.received) == []
        wire.close()


Open = Callable[..., Stream]

DOCUMENT = {"n": 1, "ssn": SSN, "list": [{"email": EMAIL, "card": CARD}]}
UNMASKED = json.dumps(DOCUMENT).encode()
MASKED = b'{"n":1,"ssn":"[redacted]","list":[{"email":"[redacted]%b"}]}' % EMAIL[-7:].encode()


# As they come

FORMS = [
    pytest.param(SSE, b"event: delta\ndata: %b\n\n", id="sse"),
    pytest.param(f"{SSE}; charset=utf-8", b"event: delta\r\ndata: %b\r\n\r\n", id="sse-crlf"),
    pytest.param(SSE, b"event: delta\rdata: %b\r\r", id="sse-cr"),
    pytest.param(NDJSON, b"%b\n", id="ndjson"),
    pytest.param("application/jsonl", b"%b\r\n", id="jsonl-crlf"),
]


@pytest.mark.parametrize("host", [CRM, PLAIN])
@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_events_are_masked_and_arrive_one_by_one(stream: Open, host: str, kind: str, form: bytes) -> None:
    """Each is sent only once the one before has arrived."""
    one = stream(host)
    one.begin("/v1/events", host, kind)
    arrives = (b"event: delta\ndata: %b\n\n" if SSE in kind else b"%b\n") % MASKED
    for _ in range(3):
        one.passes(form % UNMASKED, arrives)
    for part in (form % UNMASKED)[:30], (form % UNMASKED)[30:]:
        one.told.chunk(part)
    one.told.end()
    reply = one.wire.reply()
    assert (reply.status, reply.body) == (200, arrives * 4)
    assert "content-length" not in reply.headers


@pytest.mark.parametrize("host", [CRM, PLAIN])
@pytest.mark.parametrize("kind", [SSE, NDJSON, "text/plain", "application/json", "image/png"])
def test_without_masks_bytes_arrive_as_they_are_sent(stream: Open, host: str, kind: str) -> None:
    one = stream(host)
    one.begin("/open/bytes", host, kind)
    sent = [b": comment\n\n", b'data: {"half', b'": 1}\n\n', b"\xff\x00\r", b"\n"]
    for part in sent:
        one.passes(part)
    one.told.end()
    assert one.wire.reply().body == b"".join(sent)


def test_a_byte_a_chunk_is_no_work_for_each(stream: Open) -> None:
    """What has come goes on as one part, however it was cut."""
    one = stream(CRM)
    one.begin("/open/bytes", CRM, "text/plain")
    one.told.say(b"1\r\nx\r\n" * 20_000)
    one.told.chunk(b"last")
    one.told.end()
    one.wire.until(b"last")
    assert one.wire.received.count(b"\r\n") < 1000
    assert one.wire.reply().body == b"x" * 20_000 + b"last"


def test_a_length_is_kept_where_nothing_is_changed(stream: Open) -> None:
    one = stream(PLAIN)
    one.told.say(
        message("200 OK", [("content-type", "text/plain"), ("content-length", "8"), ("etag", "v1")], length=False)
    )
    one.ask("/open/length", PLAIN)
    one.wire.until(b"\r\n\r\n")
    one.told.say(b"half")
    one.wire.until(b"half")
    one.told.say(b"half")
    one.told.done()
    reply = one.wire.reply()
    assert (reply.body, reply.headers["content-length"], reply.headers["etag"]) == (b"halfhalf", "8", "v1")
    assert one.record("/open/length")["flow"].response.raw_content == b"halfhalf"


def test_an_answer_that_is_there_whole_is_not_streamed(stream: Open) -> None:
    one = stream(CRM)
    body = b"data: %b\n\n" % UNMASKED
    one.told.say(message("200 OK", [("content-type", SSE), ("content-length", str(len(body)))], length=False) + body)
    one.told.done()
    one.ask("/v1/whole", CRM)
    reply = one.wire.reply()
    assert reply.body == b"data: %b\n\n" % MASKED
    assert reply.headers["content-length"] == str(len(reply.body))
    assert "streamed" not in one.record("/v1/whole")


@pytest.mark.parametrize(("path", "version"), [("/v1/old", "1.0"), ("/open/old", "1.0")])
def test_to_a_client_that_knows_no_chunks_an_end_is_never_a_cut(stream: Open, path: str, version: str) -> None:
    one = stream(CRM)
    one.told.head(NDJSON)
    one.ask(path, CRM, version=version)
    one.told.chunk(MASKED + b"\n")
    one.told.end()
    reply = one.wire.reply()
    assert (reply.body, reply.headers["content-length"]) == (MASKED + b"\n", str(len(MASKED) + 1))


@pytest.mark.parametrize("path", ["/v1/coded", "/open/coded"])
def test_what_is_coded_all_the_same_is_read_whole(stream: Open, tls_target: RecordingUpstream, path: str) -> None:
    seen = tls_target.watch()
    one = stream(CRM)
    fields = [("content-type", "application/json"), ("content-encoding", "gzip"), ("connection", "close")]
    body = gzip.compress(
        b'{"ssn": "%b", "token": "%b"}' % (b"-" if "open" in path else SSN.encode(), CRM_TOKEN.encode())
    )
    one.told.say(message("200 OK", fields, length=False))
    one.told.say(body)
    one.told.hang_up(Connection.finish)
    one.ask(path, CRM, "Accept-Encoding: gzip, br")
    found = json.loads(one.wire.reply().body)
    assert found == {"ssn": "-" if "open" in path else "[redacted]", "token": "[redacted]"}
    assert seen.requests[0].header("accept-encoding") == "identity"


def test_what_is_not_looked_into_may_be_coded(stream: Open, target: RecordingUpstream) -> None:
    seen = target.watch()
    one = stream(PLAIN)
    one.told.head("text/plain", "content-encoding: gzip")
    one.ask("/open/coded", PLAIN, "Accept-Encoding: gzip")
    one.wire.until(b"\r\n\r\n")
    one.passes(gzip.compress(b"text"))
    one.told.end()
    assert gzip.decompress(one.wire.reply().body) == b"text"
    assert seen.requests[0].header("accept-encoding") == "gzip"
    assert one.record("/open/coded")["flow"].response.text == "text"


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
)
def test_what_has_no_body_is_not_streamed(stream: Open, method: str, status: str) -> None:
    one = stream(CRM)
    one.told.say(message(status, [("content-type", SSE)], length=False))
    one.told.done()
    one.ask("/v1/none", CRM, method=method)
    assert one.wire.reply(to=method).body == b""
    one.begin("/v1/next", CRM, NDJSON)
    one.passes(b"1\n")
    one.told.end()
    assert one.wire.reply().body == b"1\n"


def test_a_connection_is_used_again(stream: Open, tls_target: RecordingUpstream) -> None:
    seen = tls_target.watch()
    one = stream(CRM)
    for path, kind in (("/v1/a", SSE), ("/open/b", "text/plain"), ("/v1/c", NDJSON), ("/open/d", SSE)):
        one.begin(path, CRM, kind)
        one.passes(b"\n" if path.startswith("/open") or kind == NDJSON else b"data: 1\n\n")
        one.told.end()
        assert one.wire.reply().status == 200
    assert (seen.connections, len(seen.requests)) == (1, 4)


def test_what_stands_behind_an_answer_is_nobodys(stream: Open) -> None:
    one = stream(PLAIN)
    one.begin("/v1/first", PLAIN, NDJSON)
    one.passes(b"1\n")
    planted = message("200 OK", [("content-type", "application/json")], b'{"planted": true}')
    one.told.say(b"0\r\n\r\n" + planted)
    one.told.done()
    assert one.wire.reply().body == b"1\n"
    one.told.head(NDJSON)
    one.told.chunk(b"2\n")
    one.told.end()
    one.ask("/v1/second", PLAIN)
    with suppress(Incomplete):
        assert one.wire.reply().body == b"2\n"
    assert b"planted" not in one.wire.received


# What does not pass

SECRET = SSN.encode()
UNMASKABLE = {
    "not-json": (SSE, b"data: ssn %b\n\n" % SECRET),
    "cut-json": (SSE, b'data: {"ssn": "%b"\n\n' % SECRET),
    "twice": (SSE, b'data: {"ssn": 1, "ssn": "%b"}\n\n' % SECRET),
    "not-utf-8": (SSE, b'data: {"name": "\xff", "ssn": "%b"}\n\n' % SECRET),
    "deep": (SSE, b"data: " + b"[" * 200 + b'"%b"' % SECRET + b"]" * 200 + b"\n\n"),
    "nearly-done": (SSE, b"data: [DONE] %b\n\n" % SECRET),
    "type-with-a-value": (SSE, b"event: %b\ndata: 1\n\n" % SECRET),
    "type-with-a-mail": (SSE, b"event: %b\ndata: 1\n\n" % EMAIL.encode()),
    "line-not-json": (NDJSON, b"ssn %b\n" % SECRET),
    "line-of-two": (NDJSON, b'1 {"ssn": "%b"}\n' % SECRET),
    "line-of-a-tail": (NDJSON, b'{"ssn": "%b"}x\n' % SECRET),
}


@pytest.mark.parametrize("name", UNMASKABLE)
def test_what_cannot_be_masked_ends_it(stream: Open, name: str) -> None:
    kind, event = UNMASKABLE[name]
    good, arrives = (b"data: %b\n\n", b"data: %b\n\n") if kind == SSE else (b"%b\n", b"%b\n")
    path = f"/v1/{name}"
    one = stream(CRM)
    one.begin(path, CRM, kind)
    one.passes(good % UNMASKED, arrives % MASKED)
    one.told.chunk(good % b"2" + event + good % b"3")  # of one part what is before it passes
    one.is_cut()
    record = one.record(path)
    passed = arrives % MASKED + arrives % b"2"
    assert record["flow"].response.raw_content == passed
    assert {**record["streamed"], "why": ""} == {"length": len(passed), "ended": "gateway", "why": ""}
    assert record["masks"] == {"$..ssn": 1, "$..email": 1, "$..card": 1}
    assert record["refusal"]["status"] == 502


def test_an_ordinary_client_sees_that_it_is_not_whole(streaming: Gateway, told: Told, token: str) -> None:
    lines = []
    told.head(SSE)
    told.chunk(b"data: %b\n\n" % UNMASKED)
    with streaming.client(token) as client, client.stream("GET", f"https://{CRM}/v1/ordinary") as response:
        given = response.iter_lines()
        lines += [next(given), next(given)]
        told.chunk(b"data: ssn %b\n\n" % SECRET)
        told.see_left()
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            lines += given
    assert lines == [f"data: {MASKED.decode()}", ""]


@pytest.mark.parametrize(("kind", "start"), [(SSE, b"data: "), (SSE, b":"), (NDJSON, b'"')])
def test_an_event_without_end_ends_it(stream: Open, kind: str, start: bytes) -> None:
    one = stream(CRM)
    one.begin("/v1/endless", CRM, kind)
    one.told.chunk(start + b"9" * MIB)
    one.is_cut()


def test_beside_the_data_nothing_passes_that_may_say_what_is_in_it(stream: Open) -> None:
    one = stream(CRM)
    one.begin("/v1/beside", CRM, SSE)
    comment, fields = b": %b\n" % SECRET, b"id: %b\nssn: %b\nretry: 078051120\n" % (SECRET, SECRET)
    one.passes(comment, b":\n\n")
    one.passes(b"event: message\n" + fields + b"retry: 3000\ndata: 1\n\n", b"event: message\nretry: 3000\ndata: 1\n\n")
    one.told.end()
    one.wire.reply()
    assert b"078051120" not in one.wire.received


@pytest.mark.parametrize("kind", [SSE, NDJSON])
def test_a_header_says_nothing_of_what_is_masked(stream: Open, kind: str) -> None:
    one = stream(CRM)
    one.begin("/v1/headers", CRM, kind, f"x-ssn: {SSN}", f"etag: {SSN}", f"set-cookie: ssn={SSN}")
    one.told.end()
    assert {"x-ssn", "etag", "set-cookie"}.isdisjoint(one.wire.reply().headers)


SPELT = CRM_TOKEN.replace("/", "%2F").encode()


@pytest.mark.parametrize(
    "echo", [CRM_TOKEN.encode(), SPELT, CRM_TOKEN.encode("utf-16-le")], ids=["as-it-is", "escaped", "wide"]
)
@pytest.mark.parametrize("cut", [1, 9, -1])
def test_an_echo_in_two_parts_is_removed(stream: Open, echo: bytes, cut: int) -> None:
    one = stream(CRM)
    one.begin("/open/echo", CRM, "text/plain")
    one.passes(b"sent: " + echo[:cut], b"sent: ")
    one.told.chunk(echo[cut:] + b"!")
    one.wire.until(b"!")
    one.told.end()
    assert one.wire.reply().body == b"sent: [redacted]!"
    assert one.record("/open/echo")["scrubbed"] >= 1


def test_an_echo_in_an_event_is_removed(stream: Open) -> None:
    one = stream(CRM)
    one.begin("/v1/echo", CRM, SSE)
    one.passes(b'data: {"token": "%b"}\n\n' % CRM_TOKEN.encode(), b'data: {"token":"[redacted]"}\n\n')
    one.told.end()
    one.wire.reply()


@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error"])
def test_every_status_is_masked(stream: Open, status: str) -> None:
    one = stream(PLAIN)
    one.begin("/v1/status", PLAIN, SSE, status=status)
    one.passes(b"event: error\ndata: %b\n\n" % UNMASKED, b"event: error\ndata: %b\n\n" % MASKED)
    one.told.end()
    assert one.wire.reply().status == int(status[:3])


def test_trailers_do_not_pass(stream: Open) -> None:
    one = stream(PLAIN)
    one.begin("/v1/trailers", PLAIN, NDJSON)
    one.passes(b"1\n")
    one.told.say(b"0\r\nx-ssn: %b\r\n\r\n" % SECRET)
    one.is_cut()


# Forms in text

CARD_TEXT = "4111 1111 1111 1111"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("host", [CRM, PLAIN])
def test_text_arrives_as_it_comes_without_the_forms(stream: Open, host: str) -> None:
    one = stream(host)
    one.begin("/forms/text", host, "text/plain; charset=utf-8")
    one.passes(f"Ask {EMAIL}.\n".encode(), b"Ask [redacted email].\n")
    one.told.chunk(CARD_TEXT[:9].encode())
    one.passes(f"{CARD_TEXT[9:]}\n".encode(), b"[redacted card]\n")
    for part in (f"key: {PEM[:5]}", PEM[5:40], PEM[40:]):
        one.told.chunk(part.encode())
    one.passes(b"\nNo line ends here: " + b"one, two, " * 40, b"key: [redacted pem]\nNo line ends here: one, ")
    one.told.chunk(EMAIL[:7].encode())
    one.told.chunk(EMAIL[7:].encode())
    one.told.end()
    reply = one.wire.reply()
    assert reply.body.endswith(b"two, [redacted email]")
    record = one.record("/forms/text")
    assert record["flow"].response.raw_content == reply.body
    assert record["masks"] == {"detect email": 2, "detect card": 1, "detect pem": 1}
    assert b"MIIE" not in one.wire.received
    assert b"4111" not in one.wire.received


@pytest.mark.parametrize("start", ["-----BEGIN PRIVATE KEY-----\n", "eyJ"])
def test_a_value_in_text_without_end_ends_it(stream: Open, start: str) -> None:
    one = stream(CRM)
    one.begin("/forms/endless", CRM, "text/plain")
    one.passes(b"before\n")
    one.told.chunk(start.encode())
    one.told.chunk(b"A" * (MIB // 2))
    one.is_cut()
    assert one.record("/forms/endless")["flow"].response.raw_content == b"before\n"


def test_text_by_paths_is_no_text_to_mask(stream: Open) -> None:
    one = stream(CRM)
    one.told.head("text/plain")
    one.told.chunk(b"ssn %b" % SECRET)
    one.told.end()
    one.ask("/v1/text", CRM)
    refused(one.wire.reply(), 502)


# What takes its time

HOSTILE = {
    "many-events": ("/v1/hostile", SSE, b"data:1\n\n" * 8000),
    "many-lines": ("/v1/hostile", NDJSON, b"1\n" * 30_000),
    "many-values": ("/v1/hostile", SSE, b"data: [%b]\n\n" % b",".join([b'{"ssn":"%b"}' % SECRET] * 3000)),
    "slow-values": ("/forms/hostile", NDJSON, b"[%b]\n" % b",".join([b"4111111111111111"] * 3000)),
    "slow-text": ("/forms/hostile", "text/plain", b"4111 1111 1111 1111, " * 3000 + b"\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_stream_does_not_stall_the_others(streaming: Gateway, stream: Open, token: str, name: str) -> None:
    """Each part of it is some 100 ms of work; others are answered meanwhile."""
    path, kind, part = HOSTILE[name]
    one = stream(CRM)
    one.begin(path, CRM, kind)
    for _ in range(4):
        one.told.chunk(part)
    took = []
    with streaming.tunnel(token) as other:
        for _ in range(20):
            began = time.monotonic()
            assert other.ask(head("GET", "/nowhere", CRM)).status == 403
            took.append(time.monotonic() - began)
    one.told.end()
    assert one.wire.reply().status == 200
    assert not any(value in one.wire.received for value in (SECRET, b"4111"))
    assert sorted(took)[10] < 0.1


def test_an_agent_that_leaves_while_a_part_is_masked(stream: Open, streaming: Gateway) -> None:
    path, kind, part = HOSTILE["many-lines"]
    one = stream(PLAIN)
    one.begin(f"{path}-left", PLAIN, kind)
    for _ in range(4):
        one.told.chunk(part)
    one.told.see_left()
    one.wire.close()
    assert one.told.left.wait(10)
    assert one.record(f"{path}-left")["streamed"]["ended"] == "agent"
    assert streaming.running


# How it ends


@pytest.mark.parametrize(("path", "kind"), [("/v1/gone", SSE), ("/open/gone", "text/plain")])
def test_an_agent_that_hangs_up_ends_it(stream: Open, path: str, kind: str) -> None:
    one = stream(CRM)
    one.begin(path, CRM, kind)
    one.passes(b"data: 1\n\n")
    one.told.see_left()
    one.wire.close()
    assert one.told.left.wait(10)
    record = one.record(path)
    assert record["flow"].response.raw_content == b"data: 1\n\n"
    assert {**record["streamed"], "why": ""} == {"length": 9, "ended": "agent", "why": ""}
    assert (record["refusal"], record["sent"]) == (None, True)


@pytest.mark.parametrize(("path", "kind"), [("/v1/broken", SSE), ("/open/broken", "text/plain")])
def test_a_target_that_hangs_up_ends_it(stream: Open, path: str, kind: str) -> None:
    one = stream(CRM)
    one.begin(path, CRM, kind)
    one.passes(b"data: 1\n\n")
    one.told.chunk(b"data: %b" % (UNMASKED[:-5] if "v1" in path else b""))
    one.told.hang_up()
    with pytest.raises(Incomplete):
        one.wire.reply()
    record = one.record(path)
    assert record["flow"].response.raw_content.startswith(b"data: 1\n\n")
    assert record["streamed"]["ended"] == "target"
    assert record["refusal"]["status"] == 502


def test_a_body_that_ends_with_its_connection(stream: Open) -> None:
    """RFC 9112, 6.3: whether it is whole only what is in it says."""
    for rest, whole in ((b"data: %b\n" % UNMASKED, True), (b"data: %b" % UNMASKED[:-5], False)):
        one = stream(PLAIN)
        one.told.say(message("200 OK", [("content-type", SSE)], length=False))
        one.ask("/v1/until-close", PLAIN)
        one.wire.until(b"\r\n\r\n")
        one.told.say(b"data: 1\n\n")
        one.wire.until(b"data: 1\n\n")
        one.told.say(rest)
        one.told.hang_up()
        if whole:
            assert one.wire.reply().body == b"data: 1\n\ndata: %b\n" % MASKED
        else:
            with pytest.raises(Incomplete):
                one.wire.reply()


CUTS = [
    pytest.param(PLAIN, Connection.reset, id="reset"),
    pytest.param(CRM, Connection.reset, id="tls-reset"),
    pytest.param(CRM, Connection.close, id="tls-cut"),
]


@pytest.mark.parametrize(("host", "cut"), CUTS)
@pytest.mark.parametrize("path", ["/v1/cut", "/open/cut"])
def test_a_body_that_ends_with_its_connection_but_is_cut(
    stream: Open, host: str, cut: Callable[[Connection], None], path: str
) -> None:
    """RFC 9112, 8: the connection said that it is not whole."""
    one = stream(host)
    one.told.say(message("200 OK", [("content-type", NDJSON)], length=False))
    one.ask(path, host)
    one.wire.until(b"\r\n\r\n")
    one.told.say(b"1\n")
    one.wire.until(b"1\n")
    one.told.hang_up(cut)
    with pytest.raises(Incomplete):
        one.wire.reply()
    record = one.record(path)
    assert record["streamed"]["ended"] == "target"
    assert record["flow"].response.raw_content == b"1\n"


@pytest.mark.parametrize(("host", "cut"), CUTS)
def test_a_whole_body_that_was_cut_is_refused(stream: Open, host: str, cut: Callable[[Connection], None]) -> None:
    one = stream(host)
    one.told.say(message("200 OK", [("content-type", "application/json")], length=False) + b"[1]")
    one.told.do(lambda _: time.sleep(0.1))  # a reset takes away what was not read
    one.told.hang_up(cut)
    one.ask("/v1/cut-whole", host)
    refused(one.wire.reply(), 502)


def test_tls_that_is_closed_properly_is_whole(stream: Open) -> None:
    one = stream(CRM)
    one.told.say(message("200 OK", [("content-type", NDJSON)], length=False))
    one.ask("/v1/closed", CRM)
    one.wire.until(b"\r\n\r\n")
    one.told.say(b"1\n")
    one.wire.until(b"1\n")
    one.told.hang_up(Connection.finish)
    assert one.wire.reply().body == b"1\n"
    assert one.record("/v1/closed")["streamed"]["ended"] == "complete"


def test_chunks_are_whole_however_the_connection_ends(stream: Open) -> None:
    one = stream(CRM)
    one.begin("/v1/chunks", CRM, NDJSON)
    one.passes(b"1\n")
    one.told.say(b"0\r\n\r\n")
    one.told.hang_up()
    assert one.wire.reply().body == b"1\n"


def test_the_end_of_the_gateway_is_that_of_its_streams(
    make_gateway: MakeGateway, files: dict[str, str], stream: Open
) -> None:
    gateway = make_gateway(files).start()
    opened = [stream(CRM, gateway), stream(PLAIN, gateway)]
    one, other = opened
    one.begin("/v1/end", CRM, SSE)
    one.passes(b"data: 1\n\n")
    one.told.see_left()
    assert gateway.stop() == 0
    with pytest.raises(Incomplete):
        one.wire.reply()
    other.wire.close()
    (record,) = gateway.records(1, path="/v1/end")
    assert record["streamed"] == {"length": 9, "ended": "gateway", "why": "the gateway is stopping"}
    assert record["flow"].response.raw_content == b"data: 1\n\n"
    assert "Traceback" not in gateway.output


def test_a_limit_that_the_rules_give_binds_streams(stream: Open) -> None:
    one = stream(CAPPED)
    one.begin("/open/capped", CAPPED, "text/plain")
    one.passes(b"x" * (LIMIT - 4) + b"last", b"last")
    one.told.chunk(b"z")
    one.is_cut()
    assert one.wire.received.endswith(b"last\r\n")
    assert one.record("/open/capped")["streamed"]["ended"] == "gateway"


def test_what_says_that_it_is_above_the_limit_is_refused(stream: Open) -> None:
    one = stream(CAPPED)
    one.told.say(message("200 OK", [("content-length", str(LIMIT + 1))], length=False))
    one.told.say(b"x" * (LIMIT + 1))
    one.told.see_left()
    one.ask("/open/length", CAPPED)
    refused(one.wire.reply(), 502)


def peak(gateway: Gateway, *, anew: bool = False) -> int:
    """The most memory that the gateway has ever taken, in bytes; since now, from now on, with `anew`."""
    assert gateway.process
    home = Path(f"/proc/{gateway.process.pid}")
    if anew:
        (home / "clear_refs").write_text("5")  # proc(5)
    (line,) = (line for line in (home / "status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_an_answer_of_any_size_takes_bounded_memory(streaming: Gateway, stream: Open) -> None:
    size, piece = 100, b"0123456789abcdef" * (MIB // 16)
    one = stream(CRM)
    one.begin("/open/big", CRM, "application/octet-stream")
    before = peak(streaming, anew=True)
    for _ in range(size):
        one.told.chunk(piece)
    one.told.end()
    tail = b""
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        tail = (tail + one.wire.socket.recv(MIB))[-16:]
    record = one.record("/open/big")
    assert peak(streaming) - before < 30 * MIB
    fields = b"".join(b"%b: %b\n" % field for field in record["flow"].response.headers.fields)
    head = b"HTTP/1.1 200 OK\n" + fields + b"\n"
    key, hashed = (streaming.state / "hash.key").read_bytes(), sha256(piece * size).digest()
    assert record["digests"]["response"]["delivered"] == hmac.digest(key, head + hashed, "sha256").hex()
    assert record["streamed"] == {"length": size * MIB, "ended": "complete"}
    assert record["truncated"] == {"response": size * MIB}
    assert len(record["flow"].response.raw_content) == LIMIT


# When the rules change

LOOKED = re.compile(r"Rules (?:reloaded|not changed)")
Change = Callable[[str], str]

CLOSING: dict[str, tuple[str, Change]] = {
    "no-longer-allowed": ("roles/support.yaml", lambda text: text.replace("/v1/", "/v2/").replace("/open/", "/shut/")),
    "denied": ("guardrails.yaml", lambda _: "rules: [{id: no, deny: any crm}]\n"),
    "held": ("guardrails.yaml", lambda _: "rules: [{id: wait, hold: any crm}]\n"),
    "masked-otherwise": ("guardrails.yaml", lambda _: "rules: [{id: names, mask: {$..name: drop}}]\n"),
    "shown-otherwise": ("guardrails.yaml", lambda _: "rules: [{id: few, show: [$.n]}]\n"),
    "target-changed": (
        "targets.yaml",
        lambda text: text.replace("  credential:", "  cookies: pass\n    credential:"),
    ),
    "issuer-changed": ("gateway.yaml", lambda text: text.replace("leeway: 1s", "leeway: 2s")),
}


@pytest.fixture
def reload(streaming: Gateway, files: dict[str, str]) -> Iterator[Callable[[str, Change], None]]:
    """Changes a file of the rules and waits until that is in force; puts all as it was in the end."""

    added = set()

    def take() -> None:
        before = len(LOOKED.findall(streaming.output))
        assert streaming.process
        streaming.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(LOOKED.findall(streaming.output)) > before, f"a reload:\n{streaming.output}")

    def change(name: str, text: Change) -> None:
        added.add(name)
        streaming.write_rules({name: text(files.get(name, ""))})
        take()

    yield change
    for name in added - files.keys():
        (streaming.rules / name).unlink()
    streaming.write_rules(files)
    take()


@pytest.mark.parametrize("path", ["/v1/reload", "/open/reload"])
@pytest.mark.parametrize("name", CLOSING)
def test_a_change_of_the_rules_that_matters_ends_it(
    stream: Open, reload: Callable[[str, Change], None], name: str, path: str
) -> None:
    """At the next part, of which nothing passes."""
    one = stream(CRM)
    one.begin(path, CRM, SSE)
    one.passes(b"data: 1\n\n")
    reload(*CLOSING[name])
    one.told.chunk(b"data: 2\n\n")
    one.is_cut()
    assert b"data: 2" not in one.wire.received
    record = one.record(path)
    assert record["flow"].response.raw_content == b"data: 1\n\n"
    assert record["streamed"] == {"length": 9, "ended": "gateway", "why": record["refusal"]["detail"]}
    assert "rules have changed" in record["refusal"]["detail"]


def test_a_stream_of_which_nothing_comes_is_ended_too(stream: Open, reload: Callable[[str, Change], None]) -> None:
    one = stream(CRM)
    one.begin("/v1/idle", CRM, SSE)
    one.passes(b"data: 1\n\n")
    reload(*CLOSING["denied"])
    one.is_cut()
    assert one.record("/v1/idle")["streamed"]["ended"] == "gateway"


def test_what_is_revoked_ends_a_stream_of_which_nothing_comes(streaming: Gateway, stream: Open) -> None:
    one = stream(CRM)
    one.begin("/v1/revoked", CRM, SSE)
    one.passes(b"data: 1\n\n")
    assert main(["revoke", "--state", str(streaming.state), "--target", "crm"]) == 0
    try:
        one.is_cut()
        assert one.record("/v1/revoked")["refusal"]["detail"] == "This access has been revoked."
    finally:
        (streaming.state / "revocations.json").write_text('{"version": 1, "revocations": []}')


ON_BODY = "rules: [{id: big, deny: any crm, when: 'has(body.big)'}]\n"


@pytest.mark.parametrize("body", [b'{"big": 1}', b'{"small": 1}'])
def test_a_new_rule_on_the_body_reads_it(stream: Open, reload: Callable[[str, Change], None], body: bytes) -> None:
    """The rules that it was decided by did not."""
    one = stream(CRM)
    one.told.head(SSE)
    one.ask("/open/body", CRM, "Content-Type: application/json", method="POST", body=body)
    one.wire.until(b"\r\n\r\n")
    one.passes(b"data: 1\n\n")
    reload("guardrails.yaml", lambda _: ON_BODY)
    one.told.chunk(b"data: 2\n\n")
    if b"big" in body:
        one.is_cut()
        assert b"data: 2" not in one.wire.received
    else:
        one.wire.until(b"data: 2\n\n")
        one.told.end()
        assert one.wire.reply().status == 200


def test_a_change_of_the_rules_that_does_not_matter_does_not_end_it(
    stream: Open, reload: Callable[[str, Change], None]
) -> None:
    one = stream(CRM)
    one.begin("/v1/goes-on", CRM, SSE)
    for name in ("one", "two"):
        one.passes(b"data: 1\n\n")
        reload(f"roles/{name}.yaml", lambda _, name=name: f"role: {name}\nrules: []\n")
    one.passes(b"data: 2\n\n")
    one.told.end()
    assert one.wire.reply().body == b"data: 1\n\n" * 2 + b"data: 2\n\n"


def test_rules_may_change_while_the_answer_is_awaited(stream: Open, reload: Callable[[str, Change], None]) -> None:
    one = stream(CRM)
    one.ask("/v1/awaited", CRM)
    reload(*CLOSING["denied"])
    one.told.head(SSE)
    one.told.chunk(b"data: 1\n\n")
    one.told.see_left()
    refused(one.wire.reply(), 403)
    record = one.record("/v1/awaited")
    assert (record["flow"].response.status_code, record["refusal"]["status"]) == (403, 403)
    assert "streamed" not in record


# When a stage breaks


@pytest.fixture(scope="module")
def faulty(make_module_gateway: MakeGateway, files: dict[str, str]) -> Iterator[Gateway]:
    gateway = make_module_gateway(files, script=ROOT / "tests" / "e2e" / "faulty_main.py")
    yield gateway.start()
    gateway.stop()
    assert "crashed" not in gateway.output


@pytest.mark.parametrize("fault", ["Mask.skip", "Record.responseheaders.Exception", "Seal.responseheaders.AddonHalt"])
@pytest.mark.parametrize("path", ["/v1/fault", "/open/fault"])
def test_a_fault_before_the_head_is_a_refusal(stream: Open, faulty: Gateway, fault: str, path: str) -> None:
    one = stream(CRM, faulty)
    one.told.head(SSE)
    one.told.chunk(b"data: %b\n\n" % UNMASKED if "v1" in path else b"data: 1\n\n")
    one.told.end()
    one.ask(path, CRM, f"X-Fault: {fault}")
    refused(one.wire.reply(), 502)


@pytest.mark.parametrize("stage", ["Mask", "Record", "Seal"])
@pytest.mark.parametrize("when", ["", ".after"])
def test_a_fault_behind_the_body_is_no_clean_end(stream: Open, faulty: Gateway, stage: str, when: str) -> None:
    one = stream(CRM, faulty)
    one.told.head(SSE)
    one.ask("/v1/fault", CRM, f"X-Fault: {stage}.response.Exception{when}")
    one.wire.until(b"\r\n\r\n")
    one.passes(b"data: 1\n\n")
    one.told.end()
    with pytest.raises(Incomplete):
        one.wire.reply()
