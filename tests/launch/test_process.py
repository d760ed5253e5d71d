"""The agent's process itself: its exit code, its signals, and what is said of a gateway that does not answer."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import certifi
import jwt
import pytest

from lockgate.errors import SecretUnavailable, SetupError
from lockgate.launch.process import Agent, bundle_file, run, supervise


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param("pass", 0, id="well"),
        pytest.param("raise SystemExit(7)", 7, id="its own code"),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, id="killed"),
    ],
)
async def test_its_exit_code_is_ours(script: str, code: int) -> None:
    assert await supervise([sys.executable, "-c", script], dict(os.environ), print) == code


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        pytest.param("no-such-command-anywhere", 127, "command not found", id="not there"),
        pytest.param("/", 126, "Permission denied", id="no program"),
    ],
)
async def test_what_cannot_be_started(command: str, code: int, said: str) -> None:
    lines: list[str] = []
    assert await supervise([command], dict(os.environ), lines.append) == code
    assert said in lines[0]


async def test_signals_to_end_are_passed_on(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"import pathlib, time; pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    running = asyncio.create_task(supervise([sys.executable, "-c", script], dict(os.environ), print))
    while not ready.exists():  # noqa: ASYNC110 - another process's file
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 128 + signal.SIGTERM


def agent(gateway: tuple[str, int], token: str | None) -> Agent:
    async def source() -> str:
        if token is None:
            raise SecretUnavailable("the issuer answers 500")
        return token

    return Agent(
        [sys.executable, "-c", "raise SystemExit(99)"], gateway, source, Path(certifi.where()).read_text(), frozenset()
    )


async def test_nothing_is_started_without_a_token() -> None:
    with pytest.raises(SetupError, match="the issuer answers 500"):
        await run(agent(("127.0.0.1", 1), None), print)


async def test_the_certificates_lie_in_a_directory_of_their_own() -> None:
    with bundle_file("text") as path:
        assert path.read_text() == "text"
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()


async def test_nothing_is_started_without_a_gateway() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = jwt.encode({"exp": int(time.time()) + 600}, "k" * 32, algorithm="HS256")
    with pytest.raises(SetupError, match="cannot be reached: start it, or name it with --gateway"):
        await run(agent(("127.0.0.1", port), token), print)


# Prints whether another process of an ordinary user gets at what it was started with: before, and after.
READ_BY_OTHERS = """
import os, subprocess
from lockgate.launch.process import ctypes, hide
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # what setuid(2) may have taken
for step in (lambda: None, hide):
    step()
    read = subprocess.run(["cat", f"/proc/{os.getpid()}/environ"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    print(b"correct-horse" in read.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_what_it_was_started_with_cannot_be_read_by_the_process() -> None:
    environment = os.environ | {"CRM_TOKEN": "correct-horse"}
    command = [sys.executable, "-c", READ_BY_OTHERS]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True", "False"]
