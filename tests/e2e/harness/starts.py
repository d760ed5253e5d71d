"""Starts mitmdump many times over: its imports, which take most of a second, are made once, and each start is a fork.

Run as a program it reads a list of starts as JSON and prints as many exit codes. For starts that are to fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PATIENCE = 30.0  # seconds for one of them to end
STILL_RUNNING = -1


@dataclass(frozen=True)
class Start:
    """What one is started with: arguments, working directory, environment. It prints to `output`."""

    arguments: Sequence[str]
    directory: str
    environment: Mapping[str, str]
    output: str


def run(starts: Sequence[Start], path: Path) -> list[int]:
    """Start each, one after the other, with `path` to import Lockgate from; their exit codes, or STILL_RUNNING."""
    done = subprocess.run(
        [sys.executable, "-P", __file__],  # -P: what lies beside it is not to be imported
        input=json.dumps([asdict(start) for start in starts]),
        env={**os.environ, "PYTHONPATH": str(path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    codes: list[int] = json.loads(done.stdout)
    return codes


def main() -> None:
    from mitmproxy.tools.main import mitmdump

    import lockgate.chain  # noqa: F401 - so that each has it at once

    def start(one: Start) -> int:
        if child := os.fork():
            return wait(child)
        code = 70
        try:
            os.chdir(one.directory)
            os.environ.clear()
            os.environ.update(one.environment)
            output = os.open(one.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.argv = ["mitmdump", *one.arguments]
            code = mitmdump(one.arguments) or 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    json.dump([start(Start(**one)) for one in json.load(sys.stdin)], sys.stdout)


def wait(child: int) -> int:
    """The exit code of a child; one that does not end is killed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return STILL_RUNNING


if __name__ == "__main__":
    main()
