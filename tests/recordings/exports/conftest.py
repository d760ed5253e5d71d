from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.test import tflow

from lockgate.recordings.chain import START, Link, seal
from lockgate.recordings.dump import flow_state
from lockgate.recordings.files import Record

JSON = "application/json"


def projection(request_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "version": 2,
        "request_id": request_id,
        "time": "2023-11-14T22:13:20.000+00:00",
        "principal": {
            "issuer": "https://idp.example",
            "subject": "agent-7",
            "roles": ["support"],
            "token_id": "t1",
            "claims": {"team": "red"},
        },
        "client": "127.0.0.1:50000",
        "target": "crm",
        "actions": [["POST", "crm", "/v1/orders"]],
        "decision": {
            "verdict": "allow",
            "rule": "support/some-rule",
            "reason": None,
            "considered": [
                {
                    "rule": "support/some-rule",
                    "source": "rules/roles/support.yaml:4",
                    "verdict": "allow",
                    "outcome": "matched",
                    "detail": "",
                    "facts": {"body.amount": 4711},
                }
            ],
        },
        "decided_at": "2023-11-14T22:13:20.000000+00:00",
        "generation": "ab" * 32,
        "masks": {"$..ssn": 2},
        "scrubbed": 0,
        "injected": ["crm-token"],
        "refusal": None,
        "stage": None,
        "sent": True,
        "upstream_status": 200,
        "timings": {"decide": 0.25},
        "fingerprint": "cd" * 32,
        **changes,
    }


def state_of(request_id: str = "req-1", *, said: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """`parts` are `method`, `path`, `headers`, `body`, `status`, `answer`, `answer_headers`, `redactions`."""
    flow = tflow.tflow(resp=True)
    flow.id = f"flow-{request_id}"
    flow.request.host, flow.request.port, flow.request.scheme = "api.crm.example", 443, "https"
    flow.request.method = parts.get("method", "POST")
    flow.request.data.path = parts.get("path", b"/v1/orders?n=1")
    body = parts.get("body", b'{"amount": 4711, "note": "hello"}')
    flow.request.headers.clear()
    for name, value in parts.get("headers", ((b"content-type", JSON.encode()), (b"x-team", b"red"))):
        flow.request.headers.add(name, value)
    flow.request.data.content = body
    assert flow.response
    flow.response.status_code = parts.get("status", 200)
    flow.response.headers.clear()
    for name, value in parts.get("answer_headers", ((b"content-type", JSON.encode()),)):
        flow.response.headers.add(name, value)
    flow.response.data.content = parts.get("answer", b'{"id": 1, "amount": 4711}')
    return flow_state(flow, projection(request_id, **(said or {})), redactions=parts.get("redactions", ()))


@pytest.fixture
def make_state() -> Callable[..., dict[str, Any]]:
    """What is recorded of a request to `crm`."""
    return state_of


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A record with its place in a chain."""

    def make(*arguments: Any, previous: Link = START, **parts: Any) -> Record:
        raw, _ = seal(state_of(*arguments, **parts), previous)
        return Record(Path("some.mitm"), 0, raw)

    return make


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Six requests in two files, as the gateway writes them."""
    place = tmp_path / "recordings"
    place.mkdir()
    link, number = START, 0
    for file in ("2023-11-14T221320Z-0001.mitm", "2023-11-14T231320Z-0002.mitm"):
        data = b""
        for _ in range(3):
            number += 1
            raw, link = seal(state_of(f"req-{number}", path=b"/v1/orders/%d" % number), link)
            data += raw
        (place / file).write_bytes(data)
    return place
