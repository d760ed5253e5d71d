"""What a record says beside the messages: the facts conditions read, when it was decided, what went over the wire."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.expect import eventually
from harness.gateway import Gateway, MakeGateway, head
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM
from harness.upstream import Connection, RecordingUpstream, Seen
from lockgate.recordings import trust
from lockgate.recordings.chain import Kind
from lockgate.recordings.checkpoints import read_lines
from lockgate.recordings.files import RecordFile, in_order
from lockgate.recordings.verify import details, verify

CLERK = """\
role: clerk
rules:
  - id: fitting
    allow: POST crm /v1/{what}
    when: |
      body.amount <= 500 && body.card.number != "" && request.query.token != "" && request.headers["x-team"] == "red"
      && principal.claims.team.name == "red" && path.what == "orders"
    redact_request: [$.card.number]
    mask: {$..ssn: redact}

  - id: heads
    allow: POST crm /heads/{what}
    when: body.amount <= 500
    record: headers

  - id: digests
    allow: GET|POST crm /digests/{what}
    when: request.headers["x-team"] == "red" && request.query.n == "1"
    record: digest

  - id: streams
    allow: GET crm /streams/{what}
    query: [q]
    mask: {$..ssn: redact}
    record: digest

  - id: unread
    allow: GET crm /v1/{what}
    mask: {$..ssn: redact}
"""
DOCUMENT = b'{"id": 1, "ssn": "078-05-1120"}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(DOCUMENT),
    DOCUMENT,
)
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"ssn": "078-05-1120"}\n\n'
BODY = b'{"amount": 300, "card": {"number": "4111111111111111"}}'
FIELDS = ("X-Team: red", "Content-Type: application/json", "X-Forwarded-For: 10.0.0.1")


def answer(connection: Connection, request: Seen) -> None:
    if not request.path.endswith("/stream"):
        connection.send(ANSWER)
        return
    connection.send(STREAM)
    for part in (EVENT, EVENT, EVENT, b""):
        connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        time.sleep(0.02)  # what has come whole with its head is not streamed


@pytest.fixture(scope="module")
def target(authority: Authority) -> Iterator[RecordingUpstream]:
    found = RecordingUpstream(answer, authority.server_context(CRM))
    yield found
    found.close()


@pytest.fixture(scope="module")
def clerks(
    make_module_gateway: MakeGateway, target: RecordingUpstream, rule_files: dict[str, str], issuer: Issuer
) -> Gateway:
    files = {**rule_files, "roles/clerk.yaml": CLERK}
    files["targets.yaml"] = (
        f"targets: {{crm: {{url: 'https://{CRM}', connect: '127.0.0.1:{target.port}', private: true,"
        " credential: crm-token}}\n"
    )
    del files["roles/support.yaml"]
    return make_module_gateway(files).start()


@pytest.fixture
def clerk(issuer: Issuer) -> str:
    claims = {"team": {"name": "red", "client_secret": "hunter2"}, "private": "nobody reads it"}
    return issuer.token("clerk", **claims)


def digest(key: bytes, message: bytes) -> str:
    """As recordings/README.md says, of a message as it was on the wire."""
    top, _, body = message.partition(b"\r\n\r\n")
    line, *fields = top.split(b"\r\n")
    text = b"".join(each + b"\n" for each in (line, *fields, b""))
    return hmac.new(key, text + hashlib.sha256(body).digest(), "sha256").hexdigest()


def ask(clerks: Gateway, token: str, message: bytes) -> bytes:
    """The answer as it was on the wire."""
    with clerks.tunnel(token) as wire:
        before = len(wire.received)
        assert wire.ask(message).status == 200
        return wire.received[before:]


def test_digests_of_what_went_over_the_wire(clerks: Gateway, clerk: str, target: RecordingUpstream) -> None:
    key = (clerks.state / "hash.key").read_bytes()
    sent = head("POST", "/v1/orders?token=s3cret", CRM, *FIELDS, body=BODY)
    seen = target.watch()
    delivered = ask(clerks, clerk, sent)
    (record,) = clerks.records(1, path="/v1/orders?token=[redacted]")
    assert record["digests"] == {
        "request": {"received": digest(key, sent), "sent": digest(key, seen.plain)},
        "response": {"received": digest(key, ANSWER), "delivered": digest(key, delivered)},
    }
    assert len({value for ends in record["digests"].values() for value in ends.values()}) == 4


def test_digests_of_what_is_streamed(clerks: Gateway, clerk: str) -> None:
    key = (clerks.state / "hash.key").read_bytes()
    ask(clerks, clerk, head("GET", "/v1/stream", CRM))
    (record,) = clerks.records(1, path="/v1/stream")
    assert record["digests"]["response"]["received"] == digest(key, STREAM + 3 * EVENT)
    assert record["streamed"]["ended"] == "complete"
    response = record["flow"].response
    fields = b"".join(b"\r\n%b: %b" % field for field in response.headers.fields)
    delivered = b"HTTP/1.1 200 OK" + fields + b"\r\n\r\n" + response.raw_content
    assert record["digests"]["response"]["delivered"] == digest(key, delivered)


def test_of_what_was_not_sent_there_is_no_digest(clerks: Gateway, clerk: str, target: RecordingUpstream) -> None:
    seen = target.watch()
    with clerks.tunnel(clerk) as wire:
        assert wire.ask(head("DELETE", "/v1/orders", CRM)).status == 403
    (record,) = clerks.records(1, path="/v1/orders")
    digests = record["digests"]
    assert (digests["request"]["sent"], digests["response"]["received"]) == (None, None)
    assert len(digests["request"]["received"]) == len(digests["response"]["delivered"]) == 64
    assert seen.raw == b""


def test_the_facts_that_a_condition_has_read(clerks: Gateway, clerk: str) -> None:
    before = datetime.now(UTC)
    ask(clerks, clerk, head("POST", "/v1/orders?token=s3cret&n=1", CRM, *FIELDS, body=BODY))
    ask(clerks, clerk, head("POST", "/v1/orders?token=s3cret&n=1", CRM, *FIELDS, body=BODY.replace(b" ", b"")))
    one, other = clerks.records(2, path="/v1/orders?token=[redacted]&n=1")
    (considered,) = one["decision"]["considered"]
    assert considered["rule"] == "clerk/fitting"
    assert considered["facts"] == {
        "body.amount": 300,
        "body.card.number": "[redacted]",
        "path.what": "orders",
        "principal.claims.team.name": "red",
        'request.headers["x-team"]': "red",
        "request.query.token": "[redacted]",
    }
    assert one["principal"]["claims"] == {"team": {"name": "red", "client_secret": "[redacted]"}}
    assert before <= datetime.fromisoformat(one["decided_at"]) <= before + timedelta(seconds=30)
    assert one["fingerprint"] == other["fingerprint"]
    assert len(one["fingerprint"]) == 64
    assert not traces(clerks, b"s3cret", b"hunter2", b"nobody reads it", b"4111111111111111")


def test_a_rule_without_a_condition_has_read_nothing(clerks: Gateway, clerk: str) -> None:
    ask(clerks, clerk, head("GET", "/v1/plain", CRM))
    (record,) = clerks.records(1, path="/v1/plain")
    assert [set(each) for each in record["decision"]["considered"]] == [
        {"rule", "source", "verdict", "outcome", "detail"}
    ]
    assert json.dumps(record["principal"]).count("team") == 1  # some rule may read it


def test_rules_may_keep_bodies_out_of_the_record(clerks: Gateway, clerk: str, target: RecordingUpstream) -> None:
    body = b'{"amount": 300, "note": "canary-1"}'
    seen = target.watch()
    assert DOCUMENT in ask(clerks, clerk, head("POST", "/heads/a?n=1", CRM, *FIELDS, body=body))
    assert body in seen.plain
    (record,) = clerks.records(1, path="/heads/a?n=1")
    flow = record["flow"]
    assert (record["recorded"], flow.request.raw_content, flow.response.raw_content) == ("headers", None, None)
    assert flow.request.headers["x-team"] == "red"
    assert record["decision"]["considered"][0]["facts"] == {}
    assert not traces(clerks, b"canary-1")


def test_rules_may_keep_all_but_digests_out_of_the_record(clerks: Gateway, clerk: str) -> None:
    sent = head(
        "POST", "/digests/a?n=1&q=canary-2", CRM, "X-Team: red", "X-Note: canary-3", FIELDS[1], body=b'["canary-4"]'
    )
    assert DOCUMENT in ask(clerks, clerk, sent)
    (record,) = clerks.records(1, path="/digests/a")
    flow = record["flow"]
    assert record["recorded"] == "digest"
    assert (flow.request.headers.fields, flow.response.headers.fields) == ((), ())
    assert record["digests"]["request"]["received"] == digest((clerks.state / "hash.key").read_bytes(), sent)
    assert not traces(clerks, b"canary-2", b"canary-3", b"canary-4")


def test_of_a_stream_only_digests_may_be_kept(clerks: Gateway, clerk: str) -> None:
    assert b'data: {"ssn":"[redacted]"}' in ask(clerks, clerk, head("GET", "/streams/stream?q=canary-5", CRM))
    (record,) = clerks.records(1, path="/streams/stream")
    assert record["flow"].response.raw_content is None
    assert record["streamed"]["ended"] == "complete"
    assert len(record["digests"]["response"]["delivered"]) == 64
    assert not traces(clerks, b"canary-5")


def test_how_far_it_went_is_signed_and_pushed(
    make_gateway: MakeGateway, rule_files: dict[str, str], token: str
) -> None:
    gateway = make_gateway()
    pushed = gateway.home / "pushed.jsonl"
    told = f"recordings: {{checkpoints: {{every: 2, file: {pushed}}}}}\n"
    gateway.write_rules({"gateway.yaml": rule_files["gateway.yaml"] + told})
    gateway.start()
    for number in range(4):
        gateway.ask("GET", f"/v1/nothing-{number}", token)
    gateway.records(1, path="/v1/nothing-3")
    gateway.stop()
    found = trust.known(gateway.state)
    assert found is not None
    links = read_lines(pushed.read_bytes().splitlines(), found.verifier)
    assert len(links) >= 2
    report = verify(gateway.recordings, verifier=found.verifier, known=[*links, found.reached])
    assert (report.fault, report.signed) == (None, found.reached) == (None, links[-1])
    assert report.head is not None
    assert report.head.number == found.reached.number + 1  # nothing stands behind the last checkpoint
    in_order(gateway.recordings)[-1].unlink()
    shutil.rmtree(gateway.recordings / "journal")
    gateway.start()
    gateway.stop()
    start = next(iter(RecordFile(in_order(gateway.recordings)[0])))
    assert details(start)["rolled_back"]["to"] == found.reached.number
    fault = verify(gateway.recordings, verifier=found.verifier).fault
    assert fault is not None
    assert fault.kind is Kind.REMOVED


def test_files_are_closed_put_away_and_pruned(
    make_gateway: MakeGateway, rule_files: dict[str, str], token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gateway = make_gateway()
    secret = tmp_path / "recordings.key"
    secret.write_text("4f3c2b1a09f8e7d6c5b4a39281706f5e\n")
    secret.chmod(0o600)
    kept = f"recordings: {{rotate: 1KB, encrypt: 'file:{secret}'}}\n"
    gateway.write_rules({"gateway.yaml": rule_files["gateway.yaml"] + kept})
    monkeypatch.setenv("LOCKGATE_RECORDINGS_KEY", "4f3c2b1a09f8e7d6c5b4a39281706f5e")
    gateway.start()
    for number in range(5):
        gateway.ask("GET", f"/v1/nothing-{number}", token)
        gateway.records(1, path=f"/v1/nothing-{number}")
    eventually(lambda: list(gateway.recordings.glob("*.mitm.zst.enc")), gateway.output)
    gateway.stop()
    gateway.write_rules({"gateway.yaml": rule_files["gateway.yaml"] + kept.replace("rotate", "keep: 1s, rotate")})
    time.sleep(1.1)
    gateway.start()
    eventually(lambda: "old files were pruned" in gateway.output, gateway.output)
    gateway.ask("GET", "/v1/nothing-5", token)
    gateway.records(1, path="/v1/nothing-5")
    gateway.stop()
    found = trust.known(gateway.state)
    assert found is not None
    report = verify(gateway.recordings, verifier=found.verifier, known=[found.reached])
    assert report.fault is None
    assert report.pruned is not None
    assert report.first == report.pruned.number + 1
    assert not [path for path, content in gateway.traces().items() if b"4f3c2b1a09f8e7d6c5b4a39281706f5e" in content]
    assert len(list((gateway.recordings / "generations").iterdir())) == 1  # no record names the other one any more


def traces(clerks: Gateway, *canaries: bytes) -> list[bytes]:
    """Those that stand in anything the gateway wrote."""
    written = b"".join(clerks.traces().values())
    return [canary for canary in canaries if canary in written]
