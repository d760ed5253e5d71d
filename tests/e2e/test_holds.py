"""Hold, approve, resume: each through a real gateway, with a target that records every byte it got."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from harness.answers import answer
from harness.approver import Approver, until
from harness.gateway import Gateway, MakeGateway, free_port
from harness.issuer import Issuer
from harness.pki import Authority
from harness.rules import CREDENTIALS, CRM, gateway_yaml, targets_yaml
from harness.upstream import RecordingUpstream
from harness.wire import Reply

JSON_TYPE = "Content-Type: application/json"

ROLE = """\
role: support
rules:
  - id: read
    allow: GET crm /v1/{what}
    mask: {$..ssn: redact, $..email: redact, $.payment: drop}
  - id: small
    allow: POST crm /open/{what}
    when: body.amount <= 500
  - id: big
    hold: POST crm /open/{what}
    when: body.amount > 500
    approvers: [finance]
    max_grant: 1h
    reason: Refunds above 500 need finance.
  - id: twice
    hold: PUT crm /open/{what}
    approvers: [finance]
    quorum: 2
    require_reason: true
  - id: short
    hold: PATCH crm /open/{what}
    approvers: [finance]
    timeout: 2s
  - id: no-delete
    deny: DELETE crm
"""
GUARDRAILS = """\
rules:
  - id: exports
    hold: POST crm /open/export
    approvers: [security]
    reason: Exports need security.
"""


def approvals(port: int, more: str = "") -> str:
    return f"approvals: {{listen: '127.0.0.1:{port}', wait: 20s, timeout: 5m, requester: $.act.sub{more}}}\n"


@pytest.fixture(scope="module")
def target(authority: Authority) -> Iterator[RecordingUpstream]:
    found = RecordingUpstream(answer, authority.server_context(CRM))
    yield found
    found.close()


@dataclass
class Holding:
    """A gateway that holds, and where it is decided."""

    gateway: Gateway
    port: int
    issuer: Issuer
    target: RecordingUpstream

    def approver(self, *roles: str, subject: str = "fiona", **claims: Any) -> Approver:
        return Approver(self.port, self.issuer, *roles, subject=subject, **claims)

    def agent(self, subject: str, **claims: Any) -> str:
        return self.issuer.token("support", sub=subject, **claims)

    def send(
        self, token: str, path: str = "/open/json", amount: int = 900, *fields: str, method: str = "POST"
    ) -> Reply:
        body = json.dumps({"amount": amount}).encode()
        return self.gateway.ask(method, path, token, JSON_TYPE, *fields, body=body)


MakeHolding = Callable[..., Holding]


def files_of(target: RecordingUpstream, issuer: Issuer, port: int, **different: str) -> dict[str, str]:
    return {
        "gateway.yaml": gateway_yaml() + approvals(port),
        "jwks.json": issuer.jwks,
        "credentials.yaml": CREDENTIALS,
        "targets.yaml": targets_yaml(target.port, target.port),
        "roles/support.yaml": ROLE,
        "guardrails.yaml": GUARDRAILS,
        **different,
    }


@pytest.fixture(scope="module")
def holding(make_module_gateway: MakeGateway, target: RecordingUpstream, issuer: Issuer) -> Holding:
    port = free_port()
    return Holding(make_module_gateway(files_of(target, issuer, port)).start(), port, issuer, target)


@pytest.fixture
def own(make_gateway: MakeGateway, target: RecordingUpstream, issuer: Issuer) -> MakeHolding:
    """Makes one of the test's own; `more` goes into `approvals`, files by their path."""

    def make(more: str = "", files: dict[str, str] | None = None, **arguments: Any) -> Holding:
        port = free_port()
        gateway_file = gateway_yaml() + approvals(port, more)
        different = {"gateway.yaml": gateway_file, **(files or {})}
        made = make_gateway(files_of(target, issuer, port, **different), **arguments)
        return Holding(made.start(), port, issuer, target)

    return make


@pytest.fixture
def beside() -> Iterator[Callable[..., Future[Reply]]]:
    """Runs something that waits, such as a request that is held."""
    with ThreadPoolExecutor(64) as pool:
        yield pool.submit


def problem(reply: Reply, status: int) -> dict[str, Any]:
    assert reply.status == status, reply
    found: dict[str, Any] = json.loads(reply.body)
    assert found["status"] == status
    return found


def nothing_arrived(seen: Any) -> bool:
    return (seen.connections, seen.raw) == (0, b"")


def test_it_waits_goes_on_once_approved_and_the_record_says_by_whom(
    holding: Holding, beside: Callable[..., Future[Reply]]
) -> None:
    seen, fiona = holding.target.watch(), holding.approver()
    sent = beside(holding.send, holding.agent("waits"))
    (held,) = fiona.waiting(1)
    time.sleep(0.3)
    assert nothing_arrived(seen)
    assert not sent.done()
    fiona.approve(held["id"], reason="Ticket 7")
    reply = sent.result()
    assert reply.status == 200
    (request,) = seen.requests
    assert request.body == b'{"amount": 900}'


def test_other_requests_of_the_same_agent_run_on(holding: Holding, beside: Callable[..., Future[Reply]]) -> None:
    token = holding.agent("busy")
    sent = beside(holding.send, token)
    fiona = holding.approver()
    (held,) = fiona.waiting(1)
    assert holding.gateway.ask("GET", "/v1/json", token).status == 200
    fiona.deny(held["id"], reason="No ticket.")
    told = problem(sent.result(), 403)
    assert "No ticket." in told["detail"]
    assert told["approval_id"] == held["id"]
    again = problem(holding.send(token), 403)  # at once, without asking anybody
    assert again["approval_id"] == held["id"]
    assert fiona.all() == []
