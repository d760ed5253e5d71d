from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mitmproxy.test import tflow

from lockgate.cli.recordings.command import recordings
from lockgate.recordings.dump import flow_state
from lockgate.recordings.files import in_order
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.tnetstring import dumps

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


def listed(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [json.loads(line)["id"] for line in result.stdout.splitlines() if "event" not in line]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param([], ["req-1", "req-2", "req-3", "req-4"], id="all"),
        pytest.param(["--verdict", "deny"], ["req-2"], id="verdict"),
        pytest.param(["--role", "billing"], ["req-3", "req-4"], id="role"),
        pytest.param(["--target", "crm"], ["req-1", "req-2", "req-4"], id="target"),
        pytest.param(["--status", "404"], ["req-3"], id="status"),
        pytest.param(["--status", "4xx", "--role", "billing"], ["req-3", "req-4"], id="status-class-and-role"),
        pytest.param(["--target", "crm", "-n", "2"], ["req-2", "req-4"], id="newest"),
        pytest.param(["-n", "0"], ["req-1", "req-2", "req-3", "req-4"], id="no-limit"),
        pytest.param(["--role", "nobody"], [], id="none"),
    ],
)
def test_list_filters(directory: Path, invoke: Invoke, options: list[str], expected: list[str]) -> None:
    assert listed(invoke("list", "--json", *options)) == expected


def test_list_in_plain_text(directory: Path, invoke: Invoke) -> None:
    lines = invoke("list").stdout.splitlines()
    assert lines[0].split() == ["time", "id", "verdict", "status", "who", "roles", "target", "request"]
    assert lines[1].endswith("event start")
    assert lines[3].split() == [
        "2023-11-14T22:13:20.000Z", "req-2", "deny", "403", "agent-7", "support", "crm", "GET", "/v1/req-2",
    ]  # fmt: skip
    assert "\x1b" not in "".join(lines)


def test_list_on_a_terminal(directory: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm-256color")
    output = CliRunner().invoke(recordings, ["list"], color=True).stdout
    assert "\x1b[31mdeny" in output
    assert "GET /v1/req-2" in output


def test_list_says_what_it_leaves_out(directory: Path, invoke: Invoke) -> None:
    assert invoke("list", "-n", "1").stderr == "1 of 6; -n 0 shows all\n"


def test_list_files_of_anybodys(tmp_path: Path, invoke: Invoke) -> None:
    stock = tmp_path / "stock.mitm"
    flow = tflow.tflow()
    flow.id = "stock"
    flow.metadata["lockgate"] = "not ours"
    stock.write_bytes(dumps(flow.get_state()) + dumps(tflow.ttcpflow().get_state()))
    rows = [json.loads(line) for line in invoke("list", "--json", stock).stdout.splitlines()]
    assert [row["request"] for row in rows] == ["GET http://address/path", "tcp"]
    assert rows[0]["id"] == "stock"
    assert rows[0]["verdict"] is None


def test_list_names_what_is_damaged(directory: Path, invoke: Invoke) -> None:
    [path] = in_order(directory)
    path.write_bytes(path.read_bytes() + b"junk")
    result = invoke("list")
    assert result.exit_code == 1
    assert "req-4" in result.stdout
    assert "nothing can be read from offset" in result.stderr


def test_while_the_gateway_writes(directory: Path, invoke: Invoke) -> None:
    recorder = Recorder(directory)
    recorder.start()
    assert listed(invoke("list", "--json", directory))[-1] == "req-4"
    assert invoke("verify", directory).exit_code == 0
    recorder.close()


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


def test_nothing_an_agent_sends_reaches_the_terminal_raw(tmp_path: Path, invoke: Invoke) -> None:
    evil = "\x1b]0;owned\x07\u202e\x9b31m"
    entry = state(
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


def test_show_limits_bodies(tmp_path: Path, invoke: Invoke) -> None:
    path = tmp_path / "a.mitm"
    path.write_bytes(dumps(state("req-x", "allow", 200, "support", "crm", request={"content": b"y" * 20_000})))
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


def test_verify_says_ok(directory: Path, invoke: Invoke) -> None:
    result = invoke("verify")
    assert result.exit_code == 0
    assert result.stdout.startswith("ok: 6 records in 1 files; head 6:")
    assert json.loads(invoke("verify", "--json").stdout)["ok"] is True


def test_verify_names_the_first_bad_record(directory: Path, invoke: Invoke) -> None:
    [path] = in_order(directory)
    path.write_bytes(path.read_bytes().replace(b"/v1/req-2", b"/v1/req-9", 1))
    result = invoke("verify")
    assert result.exit_code == 1
    assert f"recordings/{path.name}: record 3 (offset " in result.stdout
    assert "flow-req-2): altered: its content does not have the hash that it states" in result.stdout
    fault = json.loads(invoke("verify", "--json").stdout)["fault"]
    assert (fault["kind"], fault["number"], fault["id"]) == ("altered", 3, "flow-req-2")


def test_verify_at_the_end_of_the_chain(directory: Path, invoke: Invoke) -> None:
    for path in in_order(directory):
        path.unlink()
    result = invoke("verify")
    assert result.exit_code == 1
    assert result.stdout == "recordings: at the end: removed: records 1 to 6 are missing at the end\n"


def test_verify_tells_a_torn_tail(directory: Path, invoke: Invoke) -> None:
    [path] = in_order(directory)
    path.write_bytes(path.read_bytes() + b"1234:half")
    result = invoke("verify")
    assert result.exit_code == 0
    assert "the last record is not whole; the next start of the gateway repairs it" in result.stdout
    assert json.loads(invoke("verify", "--json").stdout)["torn"]["file"].endswith(path.name)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(["verify", "nowhere"], 2, id="no-directory"),
        pytest.param(["verify", "file"], 2, id="a-file"),
        pytest.param(["verify", ".", "--head", "x"], 2, id="no-head"),
        pytest.param(["list"], 2, id="no-default-directory"),
        pytest.param(["list", "--verdict", "maybe"], 2, id="no-verdict"),
    ],
)
def test_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke, arguments: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert invoke(*arguments).exit_code == code
