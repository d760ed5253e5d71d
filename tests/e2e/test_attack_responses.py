"""A hostile target, or an agent using an honest one against the gateway: nothing passes, the record stays whole."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
import time
import urllib.parse
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import answers
from harness.answers import CRM_TOKEN, JSON, JSON_TYPE, SSN, message
from harness.expect import eventually, leaks, refused
from harness.gateway import Gateway, MakeGateway, head
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM, rules
from harness.upstream import Answer, Connection, RecordingUpstream, Seen
from harness.wire import Incomplete
from lockgate.recordings.verify import verify

MIB = 1024 * 1024
FLOOD = 96 * MIB  # bytes of a head or a chunk's head that never ends
ROOM = 64 * MIB  # bytes that a gateway may take for it


@pytest.fixture(scope="module")
def all_routes() -> dict[str, Answer]:
    return {}


@pytest.fixture
def routes(all_routes: dict[str, Answer]) -> dict[str, Answer]:
    """What the target of this module answers, by the last part of the path; the usual answers beside it."""
    all_routes.clear()
    return all_routes


@pytest.fixture(scope="module")
def hostile(authority: Authority, all_routes: dict[str, Answer]) -> Iterator[RecordingUpstream]:
    def route(connection: Connection, seen: Seen) -> None:
        all_routes.get(seen.path.rpartition("/")[2], answers.answer)(connection, seen)

    upstream = RecordingUpstream(route, authority.server_context(CRM))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def facing(
    make_module_gateway: MakeGateway, hostile: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer
) -> Iterator[Gateway]:
    """A gateway whose target `crm` is the hostile one."""
    gateway = make_module_gateway(rules(hostile.port, plain.port, issuer.jwks)).start()
    yield gateway
    gateway.stop()
    assert "crashed" not in gateway.output


@pytest.fixture
def facing_alone(
    make_gateway: MakeGateway, hostile: RecordingUpstream, plain: RecordingUpstream, issuer: Issuer
) -> Gateway:
    """The same for one test alone, which stops it or looks at all that it has left."""
    return make_gateway(rules(hostile.port, plain.port, issuer.jwks)).start()


def sends(data: bytes) -> Answer:
    return lambda connection, _: connection.send(data)


def text(body: bytes, kind: str = "text/plain") -> Answer:
    return sends(message("200 OK", [("content-type", kind)], body))


def test_a_status_that_is_none_is_refused(facing: Gateway, routes: dict[str, Answer], token: str) -> None:
    """One too large for 64 bits would be a record that stock mitmproxy cannot read, and hide all behind it."""
    routes["odd"] = sends(message(f"{2**64} OK", [JSON_TYPE], b"{}"))
    refused(facing.ask("GET", "/v1/odd", token), 502)
    assert facing.ask("GET", "/v1/json", token).status == 200
    facing.records(1, path="/v1/json")


QUOTED = urllib.parse.quote(CRM_TOKEN, safe="")
SPELLINGS: dict[str, bytes] = {
    "percent-tilde": QUOTED.replace("~", "%7E").encode(),  # Java, PHP
    "percent-mixed-case": QUOTED.replace("%2F", "%2f").encode(),
    "percent-some": CRM_TOKEN.replace("+", "%2B").encode(),
    "percent-all": "".join(f"%{ord(one):02X}" for one in CRM_TOKEN).encode(),
    "json-plus": CRM_TOKEN.replace("+", "\\u002B").encode(),  # System.Text.Json
    "json-equals": CRM_TOKEN.replace("=", "\\u003d").encode(),  # Gson
    "json-all": "".join(f"\\u{ord(one):04x}" for one in CRM_TOKEN).encode(),
    "html-plus": CRM_TOKEN.replace("+", "&#43;").encode(),  # html/template
    "utf-16": CRM_TOKEN.encode("utf-16"),
    "utf-16-be": CRM_TOKEN.encode("utf-16-be"),
    "utf-32-le": CRM_TOKEN.encode("utf-32-le"),
    "hex": CRM_TOKEN.encode().hex().encode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_credential_in_any_common_spelling_is_removed(
    facing: Gateway, routes: dict[str, Answer], token: str, spelling: str
) -> None:
    form = SPELLINGS[spelling]
    routes["odd"] = text(b"you sent " + form + b" to us")
    reply = facing.ask("GET", "/open/odd", token)
    assert form not in reply.body


def test_ranges_do_not_cut_the_credential_in_two(facing: Gateway, routes: dict[str, Answer], token: str) -> None:
    body = b'{"auth": "Bearer ' + CRM_TOKEN.encode() + b'"}'

    def route(connection: Connection, seen: Seen) -> None:
        asked = seen.header("range")
        if asked is None:
            connection.send(message("200 OK", [JSON_TYPE], body))
            return
        first, last = (int(one) for one in asked.removeprefix("bytes=").split("-"))
        fields = [JSON_TYPE, ("content-range", f"bytes {first}-{last}/{len(body)}")]
        connection.send(message("206 Partial Content", fields, body[first : last + 1]))

    routes["odd"] = route
    middle = body.index(CRM_TOKEN.encode()) + len(CRM_TOKEN) // 2
    parts = [
        facing.ask("GET", "/open/odd", token, f"Range: bytes={first}-{last}").body
        for first, last in ((0, middle - 1), (middle, len(body) - 1))
    ]
    assert CRM_TOKEN.encode() not in b"".join(parts)
    assert CRM_TOKEN[: len(CRM_TOKEN) // 2].encode() not in parts[0]


DIGEST = b64encode(hashlib.sha256(JSON).digest()).decode()


@pytest.mark.parametrize(
    "name",
    ["x-amz-checksum-sha256", "x-goog-hash", "x-checksum-sha256", "x-ms-blob-content-md5", "x-content-digest", "etag"],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_digests_of_the_unmasked_body_are_gone_by_any_name(
    facing: Gateway, routes: dict[str, Answer], token: str, name: str, method: str
) -> None:
    """Of a short masked value a digest is as good as the value."""
    routes["odd"] = lambda connection, seen: connection.send(
        message("200 OK", [JSON_TYPE, (name, DIGEST)], JSON, to=seen.method)
    )
    with facing.tunnel(token) as wire:
        assert wire.ask(head(method, "/v1/odd", CRM), to=method).status == 200
        assert DIGEST.encode() not in wire.received


@pytest.mark.parametrize("field", ["If-None-Match", "If-Match"])
def test_digests_of_a_masked_document_cannot_be_guessed(
    facing: Gateway, hostile: RecordingUpstream, token: str, field: str
) -> None:
    """304 or 412 would say whether a guess is right."""
    seen = hostile.watch()
    facing.ask("GET", "/v1/json", token, f'{field}: "guess"')
    assert seen.requests[0].header(field.lower()) is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_masked_value_in_a_header_does_not_pass(
    facing: Gateway, routes: dict[str, Answer], token: str, method: str
) -> None:
    name = f"odd-{method}"
    fields = [JSON_TYPE, ("x-ssn", SSN), ("link", f"</v1/{SSN}>; rel=self"), ("location", f"/v1/{SSN}")]
    routes[name] = lambda connection, seen: connection.send(message("200 OK", fields, JSON, to=seen.method))
    with facing.tunnel(token) as wire:
        wire.ask(head(method, f"/v1/{name}", CRM), to=method)
        assert leaks(wire.received) == []
    (record,) = facing.records(1, path=f"/v1/{name}")
    assert leaks(repr(record["flow"].get_state()).encode()) == []


def test_a_connection_that_the_target_closes_is_not_used_again(
    facing: Gateway, hostile: RecordingUpstream, routes: dict[str, Answer], token: str
) -> None:
    """RFC 9112, 9.6: after `Connection: close` nothing sent on it is answered."""

    def route(connection: Connection, _: Seen) -> None:
        connection.send(message("200 OK", [JSON_TYPE, ("connection", "close")], b"{}"))
        while connection.receive():  # lingers, as a server does that wants its answer to arrive
            pass
        connection.close()

    routes["odd"] = route
    before = len(hostile.connections)
    with facing.tunnel(token) as wire:
        assert wire.ask(head("GET", "/open/odd", CRM)).status == 200
        assert wire.ask(head("GET", "/open/json", CRM)).status == 200
    assert [len(one.requests) for one in hostile.connections[before:]] == [1, 1]


def test_a_body_behind_the_answer_to_head_is_nobodys_answer(
    facing: Gateway, routes: dict[str, Answer], token: str
) -> None:
    """It comes late and looks like an answer: the next request, whose rule masks nothing, must not get it."""
    done: list[bool] = []

    def route(connection: Connection, _: Seen) -> None:
        connection.send(message("200 OK", [JSON_TYPE], b"", length=False))
        eventually(lambda: connection.receive() or done, "the next request")
        connection.send(message("200 OK", [JSON_TYPE], JSON))

    routes["odd"] = route
    with facing.tunnel(token) as wire:
        assert wire.ask(head("HEAD", "/v1/odd", CRM), to="HEAD").status == 200
        try:
            wire.ask(head("GET", "/open/204", CRM))
        except Incomplete:
            pass
        finally:
            done.append(True)
        assert leaks(wire.received) == []


def resident(gateway: Gateway) -> int:
    assert gateway.process
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def flood(send: Callable[[bytes], None], piece: bytes) -> None:
    try:
        for _ in range(FLOOD // len(piece)):
            send(piece)
    except OSError:
        return  # cut off: as it should be


FLOODS = {
    "head": (b"HTTP/1.1 200 OK\r\n", b"x-f: " + b"a" * 65000 + b"\r\n"),
    "header": (b"HTTP/1.1 200 OK\r\nx-f: ", b"a" * 65000),
    "chunk-extension": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;", b"a" * 65000),
    "trailers": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x-f: " + b"a" * 65000 + b"\r\n"),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_target_cannot_fill_the_memory(facing: Gateway, routes: dict[str, Answer], token: str, kind: str) -> None:
    start, piece = FLOODS[kind]

    def route(connection: Connection, _: Seen) -> None:
        connection.send(start)
        flood(connection.send, piece)
        connection.close()

    routes["odd"] = route
    before = resident(facing)
    refused(facing.ask("GET", "/v1/odd", token), 502)
    assert resident(facing) - before < ROOM


def test_an_unidentified_client_cannot_fill_the_memory(facing: Gateway) -> None:
    before = resident(facing)
    with facing.dial() as wire:
        wire.send(f"CONNECT {CRM}:443 HTTP/1.1\r\n".encode())
        flood(wire.socket.sendall, b"x-f: " + b"a" * 65000 + b"\r\n")
        assert resident(facing) - before < ROOM


def test_an_unidentified_client_cannot_fill_the_disk(facing_alone: Gateway) -> None:
    fields = [f"x-{number}: {'a' * 60000}" for number in range(16)]
    for _ in range(10):
        with facing_alone.dial() as wire:
            wire.send(head("GET", f"http://{CRM}/v1/json", CRM, *fields))
            wire.reply_or_end()
    facing_alone.stop()
    assert sum(path.stat().st_size for path in facing_alone.dumps()) < MIB


def test_an_agent_cannot_fill_the_memory_behind_a_request(facing: Gateway, token: str) -> None:
    before = resident(facing)
    with facing.tunnel(token) as wire:
        wire.send(head("GET", "/v1/slow?seconds=3", CRM))
        flood(wire.socket.sendall, b"a" * 65000)
        assert resident(facing) - before < ROOM


@pytest.mark.parametrize("path", ["/open/odd", "/v1/odd"])
def test_a_large_body_does_not_stall_the_others(
    facing: Gateway, routes: dict[str, Answer], token: str, path: str
) -> None:
    """What is scrubbed for the record is scrubbed off the loop."""
    fields = b",".join(b'"password%d":[%d]' % (number, number) for number in range(300_000))
    routes["odd"] = text(b"{" + fields + b"}", "application/json")
    slowest = 0.0
    asker = threading.Thread(target=facing.ask, args=("GET", path, token))
    with facing.tunnel(token) as other:
        asker.start()
        while asker.is_alive():
            started = time.monotonic()
            assert other.ask(head("GET", "/nowhere", CRM)).status == 403
            slowest = max(slowest, time.monotonic() - started)
    asker.join()
    assert slowest < 1.0


def test_records_and_chain_are_whole_after_all_routes(facing_alone: Gateway, token: str) -> None:
    for name in answers.ROUTES:
        with facing_alone.tunnel(token) as wire:
            wire.send(head("GET", f"/v1/{name}?seconds=0", CRM))
            assert wire.reply_or_end() is not None
    facing_alone.stop()
    assert verify(facing_alone.recordings).fault is None
    # What the agent was told stands in the record, whatever went wrong and wherever.
    records = [one for one in facing_alone.records() if one.get("target") == "crm"]
    assert len(records) == len(answers.ROUTES)
    assert [one["flow"].request.path for one in records if one["flow"].response is None] == []


def test_a_deleted_directory_is_noticed_and_made_anew(
    facing_alone: Gateway, hostile: RecordingUpstream, token: str
) -> None:
    assert facing_alone.ask("GET", "/v1/json", token).status == 200
    shutil.rmtree(facing_alone.recordings)
    seen = hostile.watch()
    refused(facing_alone.ask("GET", "/v1/json", token), 503)
    assert seen.requests == []
    eventually(lambda: facing_alone.ask("GET", "/v1/json", token).status == 200, "it records again")


def test_a_file_that_may_not_grow_refuses(make_gateway: MakeGateway, crm: RecordingUpstream, token: str) -> None:
    gateway = make_gateway()
    gateway.start()
    assert gateway.process
    limit = str(max(path.stat().st_size for path in gateway.dumps()) + 20_000)
    subprocess.run(["prlimit", "--pid", str(gateway.process.pid), f"--fsize={limit}:"], check=True)
    seen = crm.watch()
    statuses = [gateway.ask("GET", "/v1/json", token).status for _ in range(30)]
    assert statuses.count(200) == len(seen.requests)
    assert set(statuses) == {200, 503}
    subprocess.run(["prlimit", "--pid", str(gateway.process.pid), "--fsize=unlimited:"], check=True)
    eventually(lambda: gateway.ask("GET", "/v1/json", token).status == 200, "it records again")
    gateway.stop()
    assert verify(gateway.recordings).fault is None
