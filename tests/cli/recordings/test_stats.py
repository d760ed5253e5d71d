from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from lockgate.cli.recordings.stats import quantile
from lockgate.recordings.recorder import Recorder

Invoke = Callable[..., Result]
MakeState = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("role", {"billing": (2, 1, 0, 1), "support": (2, 1, 1, 0)}),
        ("target", {"crm": (3, 1, 1, 1), "ledger": (1, 1, 0, 0)}),
        ("rule", {"billing/some-rule": (2, 1, 0, 1), "support/some-rule": (2, 1, 1, 0)}),
        ("subject", {"agent-7": (4, 2, 1, 1)}),
    ],
)
def test_what_became_of_them(
    directory: Path, invoke: Invoke, by: str, expected: dict[str, tuple[int, int, int, int]]
) -> None:
    found = json.loads(invoke("stats", "--by", by, "--json").stdout)
    told = {name: (each["requests"], each["allowed"], each["denied"], each["held"]) for name, each in found.items()}
    assert told == expected


def test_in_plain_text(directory: Path, invoke: Invoke) -> None:
    lines = invoke("stats", "--verdict", "deny").stdout.splitlines()
    assert re.split(" {2,}", lines[0])[:5] == ["role", "requests", "allowed", "denied", "held"]
    assert lines[1].split()[:5] == ["support", "1", "0", "1", "0"]
    assert len(lines) == 2


def test_waits_and_latencies(tmp_path: Path, invoke: Invoke, make_state: MakeState) -> None:
    recorder = Recorder(tmp_path / "recordings")
    recorder.start()
    for number in range(1, 101):
        state = make_state(f"req-{number}", "allow", 200, "support", "crm")
        state["request"] |= {"timestamp_start": 0.0}
        state["response"] |= {"timestamp_end": number / 1000}
        if number > 98:
            state["metadata"]["lockgate"]["approval"] = {"id": "a", "waited": float(number)}
        recorder.finish(f"req-{number}", state, "done")
    recorder.close()
    (told,) = json.loads(invoke("stats", "--json", tmp_path / "recordings").stdout).values()
    assert told["waited"] == {"p50": 99.5, "max": 100.0}
    assert told["milliseconds"] == {"p50": 49.5, "p95": pytest.approx(93.15)}  # without those that waited for persons
    assert told["held"] == 2


def test_nothing_an_agent_sends_reaches_the_terminal_raw(tmp_path: Path, invoke: Invoke, make_state: MakeState) -> None:
    recorder = Recorder(tmp_path / "recordings")
    recorder.start()
    recorder.finish("x", make_state("x", "allow", 200, "\x1b[31m\u202e", "crm"), "done")
    recorder.close()
    printed = invoke("stats", tmp_path / "recordings").stdout
    assert "\x1b" not in printed and "\u202e" not in printed


@pytest.mark.parametrize(("values", "expected"), [([], None), ([3.0], 3.0), ([1.0, 3.0], 2.0)])
def test_a_quantile_of_few(values: list[float], expected: float | None) -> None:
    assert quantile(values, 50) == expected
