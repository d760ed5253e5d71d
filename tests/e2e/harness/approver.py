"""A person who decides, by the approvals API: over HTTP, as any client of it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from harness.issuer import Issuer

AUDIENCE = "lockgate-approvals"
PATIENCE = 15.0  # seconds for something to be held


class Approver:
    """One person with a token of their own."""

    def __init__(self, port: int, issuer: Issuer, *roles: str, subject: str = "fiona", **claims: Any) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.token = issuer.token(*(roles or ("finance",)), aud=AUDIENCE, sub=subject, **claims)

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **arguments.pop("headers", {})}
        with httpx.Client(trust_env=False, timeout=30.0) as client:
            return client.request(method, self.base + path, headers=headers, **arguments)

    def all(self, state: str = "pending") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", f"/api/approvals?state={state}").json()["approvals"]
        return found

    def one(self, approval_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/api/approvals/{approval_id}").json()
        return found

    def waiting(self, count: int = 1, **fitting: Any) -> list[dict[str, Any]]:
        """What is pending, once there are so many of it that fit."""
        end = time.monotonic() + PATIENCE
        while True:
            found = [each for each in self.all() if fitting.items() <= each.items()]
            if len(found) >= count:
                return found
            assert time.monotonic() < end, f"{len(found)} of {count} are held after {PATIENCE} seconds"
            time.sleep(0.02)

    def say(self, approval_id: str, decision: str, **said: Any) -> httpx.Response:
        """Decide, having looked at it first."""
        digest = said.pop("digest", None) or self.one(approval_id)["digest"]
        body = {"decision": decision, "digest": digest, **said}
        return self.ask("POST", f"/api/approvals/{approval_id}", json=body)

    def approve(self, approval_id: str, **said: Any) -> dict[str, Any]:
        reply = self.say(approval_id, "approve", **said)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def deny(self, approval_id: str, **said: Any) -> dict[str, Any]:
        reply = self.say(approval_id, "deny", **said)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found


def until(holds: Callable[[], Any], what: str, within: float = PATIENCE) -> Any:
    """Return what `holds` gives once it is true."""
    end = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {within} seconds: {what}"
        time.sleep(0.02)
    return found
