"""Where an agent's token comes from, and how it is kept fresh."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import jwt
import pytest

from lockgate.errors import KeysUnavailable, SecretUnavailable
from lockgate.launch import tokens
from lockgate.launch.tokens import Tokens, ends


def token(seconds: float = 3600.0, **claims: object) -> str:
    return jwt.encode({"exp": int(time.time() + seconds), **claims}, "k" * 32, algorithm="HS256")


async def test_a_token_is_asked_for_once_while_it_lasts() -> None:
    given = [token(jti="one"), token(jti="two")]
    asked: list[str] = []

    async def source() -> str:
        asked.append(given[len(asked)])
        return asked[-1]

    kept = Tokens(source)
    first, second = await kept.current(), await kept.current()
    assert (first.value, second.value) == (given[0], given[0])
    assert first.expires_at == ends(given[0])
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param("opaque", "no JSON Web Token", id="opaque"),
        pytest.param(jwt.encode({"sub": "a"}, "k" * 32, algorithm="HS256"), "no JSON Web Token", id="no end"),
        pytest.param(token(-1), "had expired", id="expired"),
    ],
)
async def test_a_token_that_cannot_be_kept_fresh(given: str, said: str) -> None:
    async def source() -> str:
        return given

    with pytest.raises(SecretUnavailable, match=said) as raised:
        await Tokens(source).current()
    assert given not in str(raised.value)


async def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    for value in (token(jti="one"), token(jti="two")):
        path.write_text(value + "\n")
        assert await tokens.from_file(path) == value


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"two words", id="two words"),
        pytest.param(b"two\nlines", id="two lines"),
        pytest.param(b"caf\xc3\xa9", id="not ASCII"),
        pytest.param(b"x" * (tokens.MAX_TOKEN + 1), id="too long"),
    ],
)
async def test_a_file_with_no_token_in_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SecretUnavailable) as raised:
        await tokens.from_file(path)
    assert str(path) in str(raised.value)
    assert content.decode(errors="replace")[:3] not in str(raised.value).removeprefix(str(path)) or not content


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="No such file"):
        await tokens.from_file(tmp_path / "token")


async def test_a_command_prints_one() -> None:
    assert await tokens.from_command([sys.executable, "-c", "print('a.b.c')"], {}) == "a.b.c"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param(["no-such-command-anywhere"], "No such file", id="not there"),
        pytest.param([sys.executable, "-c", "raise SystemExit(3)"], "exit code 3", id="fails"),
        pytest.param([sys.executable, "-c", ""], "gives nothing", id="prints nothing"),
        pytest.param([sys.executable, "-c", "print('a b')"], "no token", id="prints two words"),
    ],
)
async def test_a_command_that_gives_none(command: list[str], said: str) -> None:
    with pytest.raises(SecretUnavailable, match=said):
        await tokens.from_command(command, {})


async def test_a_command_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "COMMAND_TIME", 0.2)
    with pytest.raises(SecretUnavailable, match="not done"):
        await tokens.from_command([sys.executable, "-c", "import time; time.sleep(60)"], {})


async def test_a_command_gets_the_environment_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "the-targets-secret")
    script = "import os; print('seen' if 'CRM_TOKEN' in os.environ else 'a.b.c')"
    assert await tokens.from_command([sys.executable, "-c", script], {}) == "a.b.c"


async def test_what_a_command_leaves_running_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tokens, "COMMAND_TIME", 0.5)
    script = tmp_path / "command"
    script.write_text("#!/bin/sh\nsleep 60 &\nwait\n")
    script.chmod(0o700)
    with pytest.raises(SecretUnavailable, match="not done"):
        await asyncio.wait_for(tokens.from_command([str(script)], {"PATH": "/usr/bin:/bin"}), 10)


async def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")
    with pytest.raises(SecretUnavailable, match="gives nothing"):
        await tokens.from_file(tmp_path / "token")


async def test_the_development_issuers_faults_are_said() -> None:
    def mint() -> str:
        raise KeysUnavailable("key.pem: open to group or others; chmod 0600")

    with pytest.raises(SecretUnavailable, match="chmod 0600"):
        await tokens.minted(mint)
