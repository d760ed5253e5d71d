"""Targets, from here and around the gateway."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate.doctor import targets
from lockgate.model import Target


@pytest.fixture
def listening() -> Iterator[Target]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Target("wiki", "http", "wiki.example", 80, connect=server.getsockname()[:2])


@pytest.fixture
def silent() -> Target:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()[:2]
    return Target("wiki", "http", "wiki.example", 80, connect=address)


def test_a_target_that_is_reached(listening: Target) -> None:
    assert targets.reached(listening).level == "ok"


def test_a_target_that_is_not(silent: Target) -> None:
    found = targets.reached(silent)
    assert found.level == "wrong"
    assert "Connection refused" in found.detail


def test_the_agents_process_reaches_it_by_itself(listening: Target) -> None:
    found = targets.around(listening, [], ())
    assert found.level == "note"
    assert "Block the agent's own way out" in found.remedy


def test_a_process_that_is_said_to_be_the_agents_must_not(listening: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{sys.prefix}/bin:/usr/bin:/bin")
    assert targets.around(listening, ["env"], ()).level == "wrong"


def test_it_does_not_reach_it(silent: Target) -> None:
    assert targets.around(silent, [], ()).level == "ok"


@pytest.mark.parametrize(
    "prefix", [pytest.param(["no-such-command-anywhere"], id="not there"), pytest.param(["false"], id="fails")]
)
def test_what_cannot_be_tried_is_not_in_order(silent: Target, prefix: list[str]) -> None:
    found = targets.around(silent, prefix, ())
    assert found.level == "wrong"
    assert "cannot be tried" in found.detail


def test_what_is_started_as_the_agent_has_no_secret(
    silent: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "as-agent"
    command.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexit 9\n")
    command.chmod(0o700)
    monkeypatch.setenv("CRM_TOKEN", "correct-horse")
    assert targets.around(silent, [str(command)], {"CRM_TOKEN"}).level == "ok"
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert "correct-horse" not in seen
