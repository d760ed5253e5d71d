"""`lockgate run`: an agent's process that knows nothing of the gateway, and gets nowhere but through it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from harness.answers import CRM_TOKEN
from harness.gateway import Gateway
from harness.issuer import Issuer
from harness.upstream import RecordingUpstream

CUSTOMER = "https://api.crm.example/v1/customer"

ASK = f"""
import httpx
answer = httpx.get({CUSTOMER!r})
print(answer.status_code, answer.json()["ssn"])
"""

# One connection, kept and used again for longer than a token lives.
ASK_FOR_LONG = f"""
import time, httpx
seen = set()
with httpx.Client() as client:
    end = time.monotonic() + 6
    while time.monotonic() < end:
        seen.add(client.get({CUSTOMER!r}).status_code)
        time.sleep(0.4)
print(sorted(seen))
"""

SEARCH = """
import os, pathlib
here = pathlib.Path("/proc/self")
print((here / "environ").read_bytes() + (here / "cmdline").read_bytes())
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def token_file(tmp_path: Path, issuer: Issuer) -> Path:
    path = tmp_path / "token"
    path.write_text(issuer.token("support"))
    return path


@pytest.fixture
def run(gateway: Gateway, tmp_path: Path) -> Run:
    """Runs a Python script as an agent's process; `proxy` and the like in our own environment would lead elsewhere."""

    def ran(script: str, *options: str) -> subprocess.CompletedProcess[str]:
        given = ["--gateway", f"http://127.0.0.1:{gateway.port}", "--rules", str(gateway.rules)]
        ca = ["--ca", str(gateway.confdir / "mitmproxy-ca-cert.pem")]
        command = [sys.executable, "-m", "lockgate", "run", *given, *ca, *options, "--", sys.executable, "-c", script]
        environment = os.environ | {"CRM_TOKEN": CRM_TOKEN, "NO_PROXY": "*", "https_proxy": "http://127.0.0.1:1"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return ran


def test_an_agent_that_knows_nothing_reads_what_its_role_may(
    run: Run, token_file: Path, crm: RecordingUpstream
) -> None:
    watch = crm.watch()
    ended = run(ASK, "--token-file", str(token_file))
    assert ended.stdout == "200 [redacted]\n", ended.stderr
    assert len(watch.requests) == 1
    assert "roles support" in ended.stderr
    assert "CRM_TOKEN" in ended.stderr


def test_its_process_has_no_secret_of_anybody(run: Run, token_file: Path) -> None:
    ended = run(SEARCH, "--token-file", str(token_file))
    assert ended.returncode == 0, ended.stderr
    token = token_file.read_text()
    assert "HTTPS_PROXY" in ended.stdout
    assert CRM_TOKEN not in ended.stdout + ended.stderr
    assert token not in ended.stdout + ended.stderr


def test_a_token_that_names_nobody_starts_nothing(
    run: Run, tmp_path: Path, issuer: Issuer, crm: RecordingUpstream
) -> None:
    watch = crm.watch()
    path = tmp_path / "token"
    path.write_text(issuer.strangers_token("support"))
    ended = run(ASK, "--token-file", str(path))
    assert ended.returncode == 2
    assert "does not take the token" in ended.stderr
    assert watch.raw == b""


@contextmanager
def kept_fresh(path: Path, issuer: Issuer, seconds: int) -> Iterator[None]:
    """A file that somebody else keeps a short-lived token in."""
    done = Event()

    def write() -> None:
        while not done.wait(0.2):
            draft = path.with_suffix(".draft")
            draft.write_text(issuer.token("support", exp=int(time.time()) + seconds))
            draft.replace(path)

    path.write_text(issuer.token("support", exp=int(time.time()) + seconds))
    writer = Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def test_an_agent_outlives_its_tokens(run: Run, tmp_path: Path, issuer: Issuer) -> None:
    with kept_fresh(tmp_path / "token", issuer, 2):
        ended = run(ASK_FOR_LONG, "--token-file", str(tmp_path / "token"))
    assert ended.stdout == "[200]\n", ended.stderr
