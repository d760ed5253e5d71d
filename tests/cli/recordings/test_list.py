from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mitmproxy.test import tflow

from lockgate.cli.recordings.command import recordings
from lockgate.recordings.files import in_order
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.tnetstring import dumps

Invoke = Callable[..., Result]


def listed(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return [row["id"] for row in rows if row["event"] is None]


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
    assert invoke("list", "-n", "1").stderr == "the newest 1 of more; -n 0 shows all\n"
    assert invoke("list", "-n", "1", "--role", "support").stderr == "the newest 1 of 2; -n 0 shows all\n"


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
