"""A gateway that holds, those who decide, and the agents that ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from harness.approver import Approver, until
from harness.gateway import Gateway
from harness.issuer import Issuer
from harness.rules import CREDENTIALS, gateway_yaml, targets_yaml
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

    def held(self, subject: str, count: int = 1) -> list[dict[str, Any]]:
        """What is pending of an agent, once there is so much of it."""
        fiona = self.approver("finance", "security")

        def pending() -> list[dict[str, Any]]:
            found = [each for each in fiona.all() if each["requester"]["subject"] == subject]
            return found if len(found) >= count else []

        held: list[dict[str, Any]] = until(pending, f"{count} of {subject} are held")
        return held


MakeHolding = Callable[..., Holding]
Beside = Callable[..., Future[Reply]]


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


def problem(reply: Reply, status: int) -> dict[str, Any]:
    assert reply.status == status, reply
    found: dict[str, Any] = json.loads(reply.body)
    assert found["status"] == status
    return found


def nothing_arrived(seen: Any) -> bool:
    return (seen.connections, seen.raw) == (0, b"")
