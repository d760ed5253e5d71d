"""Flows, states and recorders for the tests of recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.test import tflow

from lockgate.recordings.dump import flow_state
from lockgate.recordings.recorder import Recorder

PROJECTION = {
    "version": 1,
    "request_id": "req-1",
    "time": "2023-11-14T22:13:20.500+00:00",
    "principal": {"issuer": "https://idp.example", "subject": "agent-7", "roles": ["support"], "token_id": None},
    "client": "127.0.0.1:50000",
    "target": "crm",
    "actions": [["GET", "crm", "/v1/customers/1"]],
    "decision": {
        "verdict": "allow",
        "rule": "support/read-customers",
        "reason": None,
        "considered": [
            {
                "rule": "support/read-customers",
                "source": "rules/roles/support.yaml:4",
                "verdict": "allow",
                "outcome": "matched",
                "detail": "",
            }
        ],
    },
    "generation": "ab" * 32,
    "masks": {"$..ssn": 2},
    "scrubbed": 0,
    "injected": ["crm-token"],
    "refusal": None,
    "stage": None,
    "sent": True,
    "upstream_status": 200,
    "timings": {"decide": 0.25},
}


@pytest.fixture
def projection() -> dict[str, Any]:
    """What the Record stage hands over, complete."""
    return {**PROJECTION}


@pytest.fixture
def make_state() -> Callable[..., dict[str, Any]]:
    """Scrubbed states of HTTP flows; keyword arguments replace members of the projection."""

    def make(flow_id: str, *, response: bool = True, body: bytes = b"content", **members: Any) -> dict[str, Any]:
        flow = tflow.tflow(resp=response)
        flow.id = flow_id
        flow.request.content = body
        return flow_state(flow, {**PROJECTION, "request_id": flow_id, **members})

    return make


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def recorder(directory: Path) -> Iterator[Recorder]:
    """A started recorder that tries again often; closed in the end, if the test has not."""
    recorder = Recorder(directory, retry=0.02)
    recorder.start()
    yield recorder
    recorder.close()


@pytest.fixture
def recorded(directory: Path, make_state: Callable[..., dict[str, Any]]) -> Path:
    """A directory that two runs of three requests each have written to: ten records in two files."""
    for run in ("a", "b"):
        recorder = Recorder(directory)
        recorder.start()
        for number in range(3):
            recorder.finish(f"{run}{number}", make_state(f"{run}{number}"), "done")
        recorder.close()
    return directory
