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
        pytest.param((sys.executable, "-c", "import time; time.sleep(60)"), False, id="too-slow"),
    ],
)
async def test_it_fails(notice: Notice, words: tuple[str, ...], again: bool) -> None:
    started = time.monotonic()
    with pytest.raises(NotDelivered) as failed:
        await command.deliver(CommandNotifier(words), notice, 0.5)
    assert failed.value.again is again
    assert time.monotonic() - started < 10
