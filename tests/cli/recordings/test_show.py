from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from mitmproxy.test import tflow

from lockgate.recordings.dump import flow_state
from lockgate.recordings.tnetstring import dumps

Invoke = Callable[..., Result]
MakeState = Callable[..., dict[str, Any]]


def test_show_tells_the_story(directory: Path, invoke: Invoke) -> None:
    result = invoke("show", "req-2")
    assert result.exit_code == 0, result.output
    for line in (
        "id:         req-2",
        "flow:       flow-req-2",
        "time:       2023-11-14T22:13:20.000Z",
        "who:        agent-7",
        "roles:      support",
        "actions:    GET crm /v1/req-2",
        "verdict:    deny",
        "rule:       support/some-rule",
        "reason:     Because.",
        "refused:    403 Denied by rule.",
        "stage:      decide",
        "sent:       no",
        "masked:     $..ssn: 2",
        "injected:   crm-token",
        "redacted:   request: header:authorization",
        "record:     3",
        "considered:",
        "  deny support/some-rule at rules/roles/support.yaml:4: unevaluable (body.amount is missing)",
        "GET /v1/req-2 HTTP/1.1",
        "authorization: [redacted]",
        "content",
        "HTTP/1.1 403 OK",
        "message",
    ):
        assert line in result.stdout.splitlines()


@pytest.mark.parametrize("identifier", ["req-3", "flow-req-3"])
def test_show_takes_either_id(directory: Path, invoke: Invoke, identifier: str) -> None:
    [found] = json.loads(invoke("show", identifier, "--json").stdout)
    assert found["id"] == "req-3"
    assert found["lockgate"]["decision"]["considered"][0]["outcome"] == "unevaluable"


@pytest.mark.parametrize(
    ("identifier", "code", "message"),
    [
        pytest.param("nothing", 1, "no request nothing is recorded here", id="none"),
        pytest.param("req-", 2, "is the beginning of several ids: req-1, req-2, req-3, req-4", id="several"),
    ],
)
def test_show_without_one_request(directory: Path, invoke: Invoke, identifier: str, code: int, message: str) -> None:
    result = invoke("show", identifier)
    assert result.exit_code == code
    assert message in result.stderr


def test_nothing_an_agent_sends_reaches_the_terminal_raw(tmp_path: Path, invoke: Invoke, make_state: MakeState) -> None:
    evil = "\x1b]0;owned\x07\u202e\x9b31m"
    entry = make_state(
        "req-x",
        "deny",
        403,
        "support",
        evil,
        request={"path": f"/{evil}", "content": f"a\n{evil}\n\r\x08".encode()},
        principal={"issuer": evil, "subject": evil, "roles": [evil, "[red]"], "token_id": evil},
        client=evil,
        injected=[evil],
        masks={evil: 1},
    )
    entry["request"]["headers"].append([b"x-evil", evil.encode()])
    entry["error"] = {"msg": evil, "timestamp": 0.0}
    path = tmp_path / "a.mitm"
    path.write_bytes(dumps(entry))
    for result in (invoke("list", path), invoke("show", "req-x", path), invoke("list", "--json", path)):
        assert result.exit_code == 0, result.output
        assert not set(result.output) & {"\x1b", "\x07", "\x9b", "\x08", "\r", "\u202e"}
    assert "x-evil: \\x1b]0;owned\\x07\\u202e\\x9b31m" in invoke("show", "req-x", path).stdout
    assert "[red]" in invoke("list", path).stdout


def test_show_limits_bodies(tmp_path: Path, invoke: Invoke, make_state: MakeState) -> None:
    path = tmp_path / "a.mitm"
    path.write_bytes(dumps(make_state("req-x", "allow", 200, "support", "crm", request={"content": b"y" * 20_000})))
    assert "... 3616 more bytes" in invoke("show", "req-x", path).stdout
    assert "more bytes" not in invoke("show", "req-x", path, "--full").stdout


def test_show_messages(tmp_path: Path, invoke: Invoke) -> None:
    path = tmp_path / "a.mitm"
    flow = tflow.twebsocketflow()
    flow.id = "ws"
    path.write_bytes(dumps(flow_state(flow, {"version": 1})))
    output = invoke("show", "ws", path).stdout
    assert "message from the agent\nhello text" in output
    assert "message to the agent\nit's me" in output
