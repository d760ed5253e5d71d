"""Clients, of which a script plays one."""

from __future__ import annotations

import os
import sys

import pytest

from lockgate.doctor import clients
from lockgate.doctor.clients import Client, tried


def played(script: str) -> Client:
    return Client(sys.executable, ("-c", script), clients.SUBJECT, "Set SSL_CERT_FILE.")


async def test_one_that_gets_through() -> None:
    found = await tried(played('print(\'{"subject": "doctor"}\')'), os.environ)
    assert found is not None
    assert found.level == "ok"


async def test_one_that_does_not_says_why() -> None:
    found = await tried(played("raise SystemExit('certificate verify failed')"), os.environ)
    assert found is not None
    assert (found.level, found.remedy) == ("note", "Set SSL_CERT_FILE.")
    assert "certificate verify failed" in found.detail


async def test_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "TIME", 0.2)
    found = await tried(played("import time; time.sleep(60)"), os.environ)
    assert found is not None
    assert "no answer" in found.detail


async def test_one_that_is_not_here_is_not_a_finding() -> None:
    assert await tried(Client("no-such-client-anywhere", (), b"", ""), os.environ) is None
