from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from lockgate.recordings.recorder import Recorder

MakeState = Callable[..., dict[str, Any]]
Following = Callable[..., IO[str]]


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    """`lockgate recordings follow`, as it prints."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> IO[str]:
        command = [sys.executable, "-m", "lockgate", "recordings", "follow", "recordings", "--json", *arguments]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout is not None
        return process.stdout

    yield begin
    for process in begun:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stdout is not None
        process.stdout.close()


def run(directory: Path, make_state: MakeState, *ids: str) -> None:
    recorder = Recorder(directory)
    recorder.start()
    for each in ids:
        recorder.finish(f"flow-{each}", make_state(each, "allow", 200, "support", "crm"), "done")
    recorder.close()


def test_it_goes_on_over_new_files(tmp_path: Path, make_state: MakeState, following: Following) -> None:
    directory = tmp_path / "recordings"
    run(directory, make_state, "old-1", "old-2", "old-3")
    out = following("--role", "support", "-n", "2")
    told = [json.loads(out.readline())["id"] for _ in range(2)]
    run(directory, make_state, "new-1", "new-2")
    told += [json.loads(out.readline())["id"] for _ in range(2)]
    run(directory, make_state, "new-3")
    told.append(json.loads(out.readline())["id"])
    assert told == ["old-2", "old-3", "new-1", "new-2", "new-3"]
