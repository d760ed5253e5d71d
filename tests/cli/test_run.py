"""`lockgate run`: what it prints, and what it refuses to start. What it starts is in tests/e2e/test_run.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest

Lockgate = Callable[..., Any]


def test_print_starts_nothing_and_says_what_would_be(
    lockgate: Lockgate, small_rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "the-targets-secret")
    monkeypatch.setenv("AGENT_SECRET", "the-agents-secret")
    ended = lockgate("run", "--rules", small_rules, "--client-secret", "env:AGENT_SECRET", "--print", "--json")
    document = json.loads(ended.out)
    assert {"CRM_TOKEN", "AGENT_SECRET"} <= set(document["removed"])
    assert document["set"]["HTTPS_PROXY"] == "http://agent:PASSWORD@127.0.0.1:PORT"
    assert "secret" not in ended.out.replace("AGENT_SECRET", "")
    assert ended.code == 0


def test_print_is_for_a_shell_too(lockgate: Lockgate, small_rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "the-targets-secret")
    lines = lockgate("run", "--rules", small_rules, "--print").out.splitlines()
    assert "unset CRM_TOKEN" in lines
    assert "export NO_PROXY=''" in lines
    assert all(line.startswith(("#", "unset ", "export ")) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--role", "support"], "no command", id="no command"),
        pytest.param(["--", "true"], "where the token comes from", id="no token"),
        pytest.param(["--role", "a", "--token-file", "t", "--", "true"], "one of --role", id="two tokens"),
        pytest.param(["--token-file", "t", "--json", "--", "true"], "goes with --print", id="json alone"),
        pytest.param(["--gateway", "https://gateway", "--", "true"], "no address of a gateway", id="https"),
        pytest.param(["--gateway", "http://u:p@gateway", "--", "true"], "no address of a gateway", id="a user"),
        pytest.param(["--gateway", "http://gateway:99999", "--", "true"], "no address of a gateway", id="a port"),
        pytest.param(["--client-secret", "hunter2hunter2", "--", "true"], "env:NAME", id="a secret itself"),
        pytest.param(["--issuer", "https://login.example", "--", "true"], "--client-id", id="no client"),
        pytest.param(
            ["--token-url", "https://login.example/token", "--client-id", "a", "--", "true"],
            "--client-secret is missing",
            id="no client secret",
        ),
        pytest.param(
            ["--token-url", "http://login.example/t", "--client-id", "a", "--client-secret", "env:A", "--", "true"],
            "must be https",
            id="a secret in the clear",
        ),
        pytest.param(
            ["--token-url", "https://l.example/t", "--client-id", "a", "--device", "--", "true"],
            "stands alone",
            id="a device code without an issuer",
        ),
        pytest.param(["--token-command", "'", "--", "true"], "--token-command", id="an open quote"),
        pytest.param(["--token-command", " ", "--", "true"], "is empty", id="no command to ask"),
        pytest.param(["--role", "support", "--ttl", "soon", "--", "true"], "no duration", id="no duration"),
        pytest.param(["--ca", "no-such-file", "--role", "support", "--", "true"], "No such file", id="no CA"),
    ],
)
def test_wrong_use_starts_nothing(lockgate: Lockgate, small_rules: Path, arguments: list[str], said: str) -> None:
    ca = [] if "--ca" in arguments else ["--ca", certifi.where()]
    ended = lockgate("run", "--rules", small_rules, *ca, *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "hunter2" not in ended.err


def test_a_role_needs_the_gateways_rules(lockgate: Lockgate, tmp_path: Path) -> None:
    ended = lockgate("run", "--rules", tmp_path / "none", "--ca", certifi.where(), "--role", "support", "--", "true")
    assert ended.code == 2
    assert "needs the gateway's rules" in ended.err
    assert "none is taken out" in ended.err
