from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from lockgate.errors import NotDelivered
from lockgate.model import CommandNotifier
from lockgate.notify import command
from lockgate.notify.notice import Notice

SAVES = "import os, sys; open(sys.argv[1], 'w').write(sys.stdin.read() + repr(sorted(os.environ)))"


async def test_it_gets_the_notice_and_no_secret(
    notice: Notice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "secret")
    saved = tmp_path / "saved"
    await command.deliver(CommandNotifier((sys.executable, "-c", SAVES, str(saved))), notice, 10.0)
    said, _, environment = saved.read_text().partition("\n")
    assert json.loads(said) == notice.document()
    assert "CRM_TOKEN" not in environment


@pytest.mark.parametrize(
    ("words", "again"),
    [
        pytest.param(("/no/such/command",), False, id="none"),
        pytest.param((sys.executable, "-c", "import sys; sys.exit(3)"), True, id="fails"),
        pytest.param((sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"), True, id="is-killed"),
        pytest.param(("/bin/sleep", "60"), False, id="too-slow"),
    ],
)
async def test_it_fails(notice: Notice, words: tuple[str, ...], again: bool) -> None:
    started = time.monotonic()
    with pytest.raises(NotDelivered) as failed:
        await command.deliver(CommandNotifier(words), notice, 0.5 if "60" in words else 10.0)
    assert failed.value.again is again
    assert time.monotonic() - started < 10


async def test_it_need_not_read(notice: Notice) -> None:
    await command.deliver(CommandNotifier(("/bin/true",)), notice, 10.0)


async def test_hostile_text(hostile: Notice, tmp_path: Path) -> None:
    """One line of ASCII, for whatever reads it; its words are the operator's alone."""
    saved = tmp_path / "saved"
    await command.deliver(CommandNotifier(("/usr/bin/tee", str(saved))), hostile, 10.0)
    said = saved.read_bytes()
    assert said.isascii()
    assert said.count(b"\n") == 1
    assert json.loads(said) == hostile.document()
