"""Secrets and masked values, in every place that a value can stand: none of them is in anything the gateway wrote."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.answers import CRM_TOKEN
from harness.expect import eventually
from harness.gateway import Gateway, MakeGateway, head
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM
from harness.upstream import Connection, RecordingUpstream, Seen

ROLE = """\
role: clerk
rules:
  - id: all
    allow: GET|POST crm /v1/{what}
    mask: {$..ssn: redact, $..card: {keep_last: 2}, $..note: drop, $..id_hash: hash}
    detect: [email]
    redact_request: [$.pin, query.case, headers.x-case]
    query: [case, access_token, q, next]

  - id: held
    hold: POST crm /held/{what}
    when: body.amount > 5
    redact_request: [$.pin]

  - id: heads
    allow: POST crm /heads/{what}
    record: headers
"""


def canary(number: int) -> str:
    """Told from everything else in whatever spelling: no two are alike in any four characters."""
    return f"cAn{number:02d}Zq{number * 7919 % 10007:05d}xW{number:02d}y"


class Canaries:
    """Gives out canaries, each noted with the place where it is put."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def at(self, place: str) -> str:
        found = canary(len(self.places))
        self.places[found] = place
        return found


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def target(authority: Authority, canaries: Canaries) -> Iterator[RecordingUpstream]:
    document = {
        "id": 7,
        "ssn": canaries.at("masked, at the top"),
        "people": [{"ssn": canaries.at("masked, in a list"), "card": canaries.at("kept in part") + "99"}],
        "note": {"deep": canaries.at("dropped")},
        "id_hash": canaries.at("hashed"),
        "text": f"write to {canaries.at('detected')}@mail.example",
        "token": canaries.at("a secret's name in an answer"),
    }
    cookie, header = canaries.at("set-cookie"), canaries.at("a secret's header in an answer")

    def answer(connection: Connection, request: Seen) -> None:
        body = json.dumps({**document, "echo": request.header("authorization")}).encode()
        fields = f"set-cookie: sid={cookie}\r\nx-session-token: {header}\r\n".encode()
        if request.path.endswith("zipped"):
            body, fields = gzip.compress(body), fields + b"content-encoding: gzip\r\n"
        if request.path.endswith("text"):
            body, kind = f"password={canaries.at('a form in an answer')}".encode(), b"text/plain"
        else:
            kind = b"application/json"
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n"
        connection.send(head % (kind, fields, len(body)) + body)

    found = RecordingUpstream(answer, authority.server_context(CRM))
    yield found
    found.close()


@pytest.fixture(scope="module")
def gateway(
    make_module_gateway: MakeGateway, target: RecordingUpstream, rule_files: dict[str, str], issuer: Issuer
) -> Gateway:
    files = {**rule_files, "roles/clerk.yaml": ROLE}
    files["targets.yaml"] = (
        f"targets: {{crm: {{url: 'https://{CRM}', connect: '127.0.0.1:{target.port}', private: true,"
        " credential: crm-token, content_types: [text/plain, application/xml]}}\n"
    )
    files["gateway.yaml"] += "recordings: {rotate: 64KB}\n"
    del files["roles/support.yaml"]
    return make_module_gateway(files).start()


def requests(canaries: Canaries) -> Iterator[bytes]:
    def put(place: str) -> str:
        return canaries.at(place)

    def post(path: str, body: bytes, *fields: str) -> bytes:
        return head("POST", path, CRM, *fields, body=body)

    as_json = "Content-Type: application/json"
    yield head("GET", f"/v1/a?access_token={put('query')}&q=1", CRM, f"X-Api-Key: {put('header')}")
    yield head("GET", f"/v1/b?case={put('redacted query')}", CRM, f"X-Case: {put('redacted header')}")
    yield head("GET", "/v1/c", CRM, f"Cookie: sid={put('cookie')}", f"X-Note: Bearer {put('a bearer in any header')}xx")
    yield head("GET", "/v1/d", CRM, f"Referer: https://u:{put('userinfo')}@a.example/?token={put('referer')}")
    nested = json.dumps({"password": put("JSON in JSON")})
    document = {
        "clientSecret": put("camel case"),
        "deep": [{"refresh_token": put("in a list")}],
        "pin": put("redacted field"),
        "PIN": 1,
        "inner": nested,
    }
    del document["PIN"]
    yield post("/v1/e", json.dumps(document).encode(), as_json)
    yield post(
        "/v1/f", gzip.compress(json.dumps({"password": put("gzip")}).encode()), as_json, "Content-Encoding: gzip"
    )
    form = f"password={put('form')}&next={quote('https://a.example/?code=' + put('a URL in a form'))}"
    yield post("/v1/g", form.encode(), "Content-Type: application/x-www-form-urlencoded")
    part = f'--b\r\nContent-Disposition: form-data; name="secret"\r\n\r\n{put("multipart")}\r\n--b--\r\n'
    yield post("/v1/h", part.encode(), "Content-Type: multipart/form-data; boundary=b")
    yield post("/v1/i", f"<a><password>{put('XML')}</password></a>".encode(), "Content-Type: application/xml")
    yield post("/v1/j", f"password: {put('YAML')}\n".encode(), "Content-Type: text/plain")
    yield post("/heads/k", f'{{"x": "{put("a body that is not recorded")}"}}'.encode(), as_json)
    yield post(
        "/held/l", f'{{"amount": 7, "pin": "{put("held")}", "api_key": "{put("held, built in")}"}}'.encode(), as_json
    )
    yield post("/denied/m", f'{{"pin": "{put("denied")}"}}'.encode(), as_json, f"X-Case: {put('denied header')}")
    yield head("GET", "/v1/zipped", CRM)
    yield head("GET", "/v1/text", CRM)


def test_no_canary_is_in_anything_it_wrote(gateway: Gateway, canaries: Canaries, issuer: Issuer) -> None:
    inside = canaries.at("a claim that nothing reads")
    token = issuer.token("clerk", private=inside)
    statuses = []
    for message in requests(canaries):
        with gateway.tunnel(token) as wire:
            statuses.append(wire.ask(message).status)
    assert statuses.count(200) >= 11, statuses
    gateway.records(1, path="/v1/text")
    gateway.stop()
    gateway.start()  # closed files are compressed
    eventually(lambda: list(gateway.recordings.glob("*.zst")), gateway.output)
    time.sleep(0.1)
    gateway.stop()
    secrets = {**canaries.places, CRM_TOKEN: "the credential", token.rpartition(".")[2]: "the token's signature"}
    traces = gateway.traces()
    assert any(b"/heads/k" in content for content in traces.values())  # what is searched is what was written
    found = [
        f"{place} ({spelling}) in {path.relative_to(gateway.home)}"
        for path, content in traces.items()
        for where in unfolded(path, content)
        for secret, place in secrets.items()
        for spelling, text in spellings(secret).items()
        if text in where
    ]
    assert found == []


def spellings(secret: str) -> dict[str, bytes]:
    """How it may stand in a file. Of base64 the middle, which is the same at each of three offsets."""
    data = secret.encode()
    found = {"plain": data, "hex": data.hex().encode(), "HEX": data.hex().upper().encode()}
    found["percent"] = "".join(f"%{byte:02x}" for byte in data).encode()
    found["json"] = "".join(f"\\u{byte:04x}" for byte in data).encode()
    found["reversed"] = data[::-1]
    for offset in range(3):
        found[f"base64+{offset}"] = base64.b64encode(b"x" * offset + data)[4:-4]
    return found


def unfolded(path: Path, content: bytes) -> Iterator[bytes]:
    """The content, and what is compressed within it."""
    yield content
    for match in re.finditer(rb"\x1f\x8b\x08", content):
        try:
            yield zlib.decompressobj(wbits=31).decompress(content[match.start() :])
        except zlib.error:
            continue


def test_the_search_finds_what_is_there() -> None:
    secret = canary(3)
    data = b"xx" + base64.b64encode(b"Bearer " + secret.encode()) + gzip.compress(b"a" + secret.encode())
    found = {
        spelling for where in unfolded(Path("x"), data) for spelling, text in spellings(secret).items() if text in where
    }
    assert "plain" in found
    assert any(spelling.startswith("base64") for spelling in found)
