"""What every test of the gateway expects in the same words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from harness.answers import CRM_TOKEN, UNMASKED
from harness.wire import Reply


def leaks(data: bytes) -> list[str]:
    """What of the target's unmasked values and of its credential is in `data`."""
    return [secret for secret in (*UNMASKED, CRM_TOKEN) if secret.encode() in data]


def refused(reply: Reply, *statuses: int) -> dict[str, Any]:
    """Assert that a reply is a refusal of the gateway's own; its problem document (RFC 9457)."""
    assert reply.status in statuses, reply
    assert reply.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(reply.body)
    assert problem["status"] == reply.status
    assert problem["title"]
    assert problem["detail"]
    # What is not even HTTP has no id.
    assert problem.get("request_id") or reply.status == 400
    assert leaks(reply.body) == []
    return problem


def eventually(condition: Callable[[], object], what: str, timeout: float = 10.0) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} seconds: {what}"
        time.sleep(0.02)
