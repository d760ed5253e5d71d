from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
from pathlib import Path

import pytest

from lockgate.credentials.sources import exec as source
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource


@pytest.fixture
def script(tmp_path):
    """Makes an executable of some shell lines; the text that names it."""

    def script(lines, *arguments):
        path = tmp_path / "get secret"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o700)
        return shlex.join([str(path), *arguments])

    return script


@pytest.fixture
def read(secrets):
    def read(name):
        return secrets.read(SecretSource("exec", name))

    return read


async def test_read(read, script):
    assert await read(script("echo correct-horse")) == "correct-horse"
    assert await read("printf 'correct-%s' horse") == "correct-horse"


@pytest.mark.parametrize("argument", ["$HOME", "a b", "*", "; echo no", "`id`", "$(id)", "|", "é", "-n"])
async def test_no_shell_reads_the_arguments(read, script, argument):
    name = script('printf %s "$#-$1-arguments" | od -An -tx1 | tr -d " \\n"', argument)
    assert await read(name) == f"1-{argument}-arguments".encode().hex()


async def test_it_gets_little_of_the_environment(read, script, monkeypatch):
    monkeypatch.setenv("CRM_TOKEN", "the-secret-of-another-target")
    monkeypatch.setenv("VAULT_TOKEN", "hvs.other")
    printed = await source.read(script("env | cut -d= -f1 | sort | tr '\\n' ,"))
    # The shell sets the last three itself.
    assert set(printed.strip(",").split(",")) <= {*source.ENVIRONMENT, "PWD", "SHLVL", "_"}
    assert "PATH" in printed


async def test_where_it_runs(script):
    assert await source.read(script("pwd; cat")) == "/"


async def test_errors_are_not_shown(read, script, capfd, caplog):
    with pytest.raises(SecretUnavailable) as caught:
        await read(script("echo half-of-a-secret; echo whole-secret >&2; exit 3", "an-argument"))
    assert str(caught.value).endswith("get secret: ended with exit code 3")
    captured = capfd.readouterr()
    shown = f"{caught.value!r}{captured.out}{captured.err}{caplog.text}"
    assert "-secret" not in shown
    assert "an-argument" not in shown


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param("exit 1", "ended with exit code 1", id="fails"),
        pytest.param("echo correct-horse; kill -TERM $$; sleep 5", "ended by signal 15", id="killed"),
        pytest.param("exit 0", "is empty", id="prints-nothing"),
        pytest.param("echo; echo correct-horse", "control character", id="two-lines"),
        pytest.param("printf 'correct-\\303\\266horse'", "outside ASCII", id="not-ascii"),
        pytest.param("head -c 10000 /dev/zero | tr '\\0' x", "longer than 8192", id="long"),
        pytest.param("head -c 20000 /dev/zero | tr '\\0' x", "prints more than 16384", id="large"),
        pytest.param("yes", "prints more than 16384", id="endless"),
    ],
)
async def test_refused(read, script, lines, message):
    with pytest.raises(SecretUnavailable, match=message) as caught:
        await read(script(lines))
    assert "horse" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("/nowhere/to/be/found --secret", "exec:/nowhere/to/be/found: No such file", id="missing"),
        pytest.param("no-such-command-here", "exec:no-such-command-here: No such file", id="not-on-the-path"),
        pytest.param("/etc/passwd", "exec:/etc/passwd: Permission denied", id="not-executable"),
    ],
)
async def test_what_cannot_be_run(read, name, message):
    with pytest.raises(SecretUnavailable, match=message):
        await read(name)


async def test_one_that_takes_too_long_is_killed_with_what_it_started(read, script, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "TIMEOUT", 0.3)
    started = time.monotonic()
    with pytest.raises(SecretUnavailable, match=r"not done after 0\.3 seconds"):
        await read(script(f"sleep 60 & echo $! > '{tmp_path}/child'; echo correct-horse; wait"))
    assert time.monotonic() - started < 5
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if is_gone(child):
            return
        await asyncio.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    pytest.fail("what it started still runs")


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_used_for_its_lifetime(read, script, tmp_path, clock, secrets):
    name = script(f"echo x >> '{tmp_path}/count'; printf 'secret-number-'; wc -l < '{tmp_path}/count' | tr -d ' '")
    short = SecretSource("exec", name, lifetime=10.0)
    assert [await read(name) for _ in range(3)] == ["secret-number-1"] * 3
    assert await secrets.read(short) == "secret-number-2"
    clock.now += 10
    assert await secrets.read(short) == "secret-number-3"
    assert await read(name) == "secret-number-1"
