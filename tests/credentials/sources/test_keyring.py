from __future__ import annotations

import asyncio
import sys
import threading

import keyring
import keyring.backend
import keyring.errors
import pytest

from lockgate.credentials.sources import keyring as source
from lockgate.errors import SecretUnavailable
from lockgate.model import SecretSource


class Keyring(keyring.backend.KeyringBackend):
    """Holds what it is given; `fault` is raised instead, `wait` is waited for."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.held = {}
        self.fault = None
        self.wait = None
        self.asked_in = []

    def get_password(self, service, username):
        self.asked_in.append(threading.get_ident())
        if self.wait:
            self.wait.wait(5)
        if self.fault:
            raise self.fault
        return self.held.get((service, username))

    def set_password(self, service, username, password):
        self.held[service, username] = password


@pytest.fixture
def backend():
    before = keyring.get_keyring()
    backend = Keyring()
    backend.set_password("crm", "gateway", "correct-horse")
    backend.set_password("https://crm.example/api", "gateway@x", "battery-staple")
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def read(secrets):
    def read(name):
        return secrets.read(SecretSource("keyring", name))

    return read


async def test_read(read, backend):
    assert await read("crm/gateway") == "correct-horse"
    assert await read("https://crm.example/api/gateway@x") == "battery-staple"
    assert threading.get_ident() not in backend.asked_in


async def test_used_for_its_lifetime(read, backend, clock):
    assert await read("crm/gateway") == "correct-horse"
    backend.set_password("crm", "gateway", "rotated-horse")
    assert await read("crm/gateway") == "correct-horse"
    clock.now += 300
    assert await read("crm/gateway") == "rotated-horse"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(None, "keyring:crm/other: not in the keyring", id="none"),
        pytest.param(keyring.errors.NoKeyringError("x"), "no keyring on this machine", id="no-keyring"),
        pytest.param(keyring.errors.KeyringLocked("hunter2"), r"does not give it \(KeyringLocked\)", id="locked"),
        pytest.param(OSError("hunter2"), r"fault in the keyring \(OSError\)", id="fault"),
    ],
)
async def test_refused(read, backend, fault, message):
    backend.fault = fault
    with pytest.raises(SecretUnavailable, match=message) as caught:
        await read("crm/other")
    assert "hunter2" not in repr(caught.value)


async def test_the_secret_is_checked(read, backend):
    backend.set_password("crm", "gateway", "correct horse")
    with pytest.raises(SecretUnavailable, match="keyring:crm/gateway: the secret has a space"):
        await read("crm/gateway")


async def test_the_package_is_missing(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretUnavailable, match=r"pip install lockgate\[keyring\]"):
        await read("crm/gateway")


async def test_one_that_does_not_answer_holds_nothing_up(read, backend, monkeypatch):
    monkeypatch.setattr(source, "TIMEOUT", 0.1)
    backend.wait = threading.Event()
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(SecretUnavailable, match="is it locked"):
        await read("crm/gateway")
    with pytest.raises(SecretUnavailable, match=r"earlier question|is it locked"):
        await read("crm/other")
    assert ticks >= 5
    assert len(backend.asked_in) == 1
    backend.wait.set()
    ticking.cancel()
    assert await asyncio.to_thread(source.ONE.acquire, timeout=5)
    source.ONE.release()
    backend.wait = None
    assert await read("https://crm.example/api/gateway@x") == "battery-staple"
