from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mitmproxy.test import tflow

from lockgate.cli.recordings.command import recordings
from lockgate.recordings.dump import flow_state
from lockgate.recordings.recorder import Recorder

Invoke = Callable[..., Result]


def state(request_id: str, verdict: str, status: int, role: str, target: str, **changes: Any) -> dict[str, Any]:
    flow = tflow.tflow(resp=True)
    flow.id = f"flow-{request_id}"
    flow.request.path = f"/v1/{request_id}"
    flow.request.headers["authorization"] = "Bearer abc"
    assert flow.response
    flow.response.status_code = status
    for name, value in changes.pop("request", {}).items():
        setattr(flow.request, name, value)
    considered = {
        "rule": f"{role}/some-rule",
        "source": f"rules/roles/{role}.yaml:4",
        "verdict": verdict,
        "outcome": "unevaluable",
        "detail": "body.amount is missing",
    }
    return flow_state(
        flow,
        {
            "version": 1,
            "request_id": request_id,
            "time": "2023-11-14T22:13:20.000+00:00",
            "principal": {"issuer": "https://idp.example", "subject": "agent-7", "roles": [role], "token_id": "t1"},
            "client": "127.0.0.1:50000",
            "target": target,
            "actions": [["GET", target, f"/v1/{request_id}"]],
            "decision": {
                "verdict": verdict,
                "rule": f"{role}/some-rule",
                "reason": "Because.",
                "considered": [considered],
            },
            "generation": "ab" * 32,
            "masks": {"$..ssn": 2},
            "scrubbed": 0,
            "injected": ["crm-token"],
            "refusal": {"status": 403, "detail": "Denied by rule."} if verdict == "deny" else None,
            "stage": "decide" if verdict == "deny" else None,
            "sent": verdict == "allow",
            "upstream_status": None,
            "timings": {"decide": 0.25},
            **changes,
        },
    )


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`recordings` in the working directory, with four requests."""
    monkeypatch.chdir(tmp_path)
    recorder = Recorder("recordings")
    recorder.start()
    for entry in (
        state("req-1", "allow", 200, "support", "crm"),
        state("req-2", "deny", 403, "support", "crm"),
        state("req-3", "allow", 404, "billing", "ledger"),
        state("req-4", "hold", 409, "billing", "crm"),
    ):
        recorder.finish(entry["id"], entry, "done")
    recorder.close()
    return tmp_path / "recordings"


@pytest.fixture
def invoke() -> Invoke:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(recordings, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def make_state() -> Callable[..., dict[str, Any]]:
    """What is recorded of a request: its id, verdict, status, role, target, and what differs about it."""
    return state
