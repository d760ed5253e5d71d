"""What a gateway has recorded, decided again: explained, held against other rules, and made into the least rules."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import Gateway, MakeGateway, head
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CRM
from harness.upstream import Connection, RecordingUpstream, Seen
from lockgate.cli.main import main

CLERK = """\
role: clerk
rules:
  - id: orders
    allow: GET|POST crm /v1/orders/{id}
    when: request.headers["x-team"] == "red" && principal.claims.team == "red"
    mask: {$..ssn: redact}
  - id: refunds
    allow: POST crm /v1/refunds
    when: body.amount <= 500 && body.card.number != ""
    redact_request: [$.card.number]
  - id: quiet
    allow: POST crm /quiet/{what}
    when: body.amount <= 500 && request.query.n == "1"
    record: digest
  - id: asked
    hold: DELETE crm /v1/**
  - id: no
    deny: any crm /v1/**/export
"""
DOCUMENT = b'{"id": 1, "ssn": "078-05-1120"}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(DOCUMENT),
    DOCUMENT,
)
TEAM = "X-Team: red"
JSON = "Content-Type: application/json"
REQUESTS = [
    *(head("GET", f"/v1/orders/{number}?token=s3cret", CRM, TEAM) for number in range(6)),
    head("POST", "/v1/orders/7", CRM, TEAM, JSON, body=b'{"password": "x"}'),
    head("POST", "/v1/refunds", CRM, JSON, body=b'{"amount": 300, "card": {"number": "4111111111111111"}}'),
    head("POST", "/quiet/a?n=1", CRM, JSON, body=b'{"amount": 300}'),
    head("POST", "/v1/refunds", CRM, JSON, body=b'{"amount": 900, "card": {"number": "1"}}'),
    head("GET", "/v1/orders/1/export", CRM, TEAM),
    head("GET", "/admin/1", CRM),
    head("GET", "/v1/../orders/1", CRM),
]


def answer(connection: Connection, request: Seen) -> None:
    connection.send(ANSWER)


@pytest.fixture(scope="module")
def target(authority: Authority) -> Iterator[RecordingUpstream]:
    found = RecordingUpstream(answer, authority.server_context(CRM))
    yield found
    found.close()


@pytest.fixture(scope="module")
def gateway(
    make_module_gateway: MakeGateway, target: RecordingUpstream, rule_files: dict[str, str], issuer: Issuer
) -> Gateway:
    """One that has been asked all these, and still runs."""
    files = {**rule_files, "roles/clerk.yaml": CLERK}
    files["targets.yaml"] = (
        f"targets: {{crm: {{url: 'https://{CRM}', connect: '127.0.0.1:{target.port}', private: true,"
        " credential: crm-token}}\n"
    )
    del files["roles/support.yaml"]
    gateway = make_module_gateway(files).start()
    token = issuer.token("clerk", team="red", private="nobody reads it")
    for request in REQUESTS:
        with gateway.tunnel(token) as wire:
            wire.ask(request)
    assert len(requests(gateway.records(len(REQUESTS)))) == len(REQUESTS)
    return gateway


def requests(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if "event" not in record]


@pytest.fixture
def lockgate(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Runs a command line; the exit code, and the JSON that it prints."""

    def run(*arguments: object) -> tuple[int, Any]:
        code = main([str(argument) for argument in arguments])
        out = capsys.readouterr().out
        return code, json.loads(out) if "--json" in arguments else out

    return run


def test_every_record_comes_out_as_it_did(gateway: Gateway, lockgate: Callable[..., tuple[int, Any]]) -> None:
    seen = set()
    for record in requests(gateway.records(len(REQUESTS))):
        code, found = lockgate("explain", record["request_id"], "--recordings", gateway.recordings, "--json")
        assert (code, found["differences"]) == (0, [])
        assert found["verdict"] == (record["decision"] or {"verdict": "unreadable"})["verdict"]
        seen.update(found["not_kept"]["as_recorded"])
    assert seen == {"body.amount", "body.card.number", "request.query.n"}


def test_other_rules(gateway: Gateway, lockgate: Callable[..., tuple[int, Any]], tmp_path: Path) -> None:
    new = tmp_path / "rules"
    shutil.copytree(gateway.rules, new)
    code, found = lockgate("whatif", new, gateway.recordings, "--strict", "--json")
    assert (code, found["same"], found["groups"]) == (0, found["requests"], [])
    role = new / "roles" / "clerk.yaml"
    role.write_text(
        CLERK.replace("    mask: {$..ssn: redact}\n", "").replace("<= 500 && body.card", "<= 900 && body.card")
    )
    code, found = lockgate("whatif", new, gateway.recordings, "--json")
    assert (code, found["unmasked"], found["newly_allowed"]) == (1, 7, 0)
    assert found["not_kept"] == {"body.card.number": 2, "body.amount": 1}  # what is denied is recorded as least


def test_the_least_rules(gateway: Gateway, lockgate: Callable[..., tuple[int, Any]], tmp_path: Path) -> None:
    _, found = lockgate("suggest", "--role", "clerk", "--rules", gateway.rules, gateway.recordings, "--json")
    assert {rule["id"]: rule.get("allow") or rule.get("deny") for rule in found["rules"]} == {
        "orders": ["GET crm /v1/orders/*", "POST crm /v1/orders/7"],
        "refunds": ["POST crm /v1/refunds"],
        "quiet": ["POST crm /quiet/a"],
        "no": "any crm /v1/**/export",
    }
    new = tmp_path / "rules"
    shutil.copytree(gateway.rules, new)
    (new / "roles" / "clerk.yaml").write_text(found["file"])
    assert lockgate("check", new)[0] == 0
    code, found = lockgate("whatif", new, gateway.recordings, "--json", "--strict")
    assert (code, found["flips"], found["same"]) == (0, [], found["requests"])
