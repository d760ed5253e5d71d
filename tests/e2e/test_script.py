"""A script that is broken, emptied or removed while it runs ends the gateway; nothing passes meanwhile (law 1)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.gateway import MAIN, MakeGateway, head, identity
from harness.issuer import Issuer
from harness.rules import PLAIN
from harness.upstream import RecordingUpstream

CHANGES: dict[str, Callable[[Path], object]] = {
    "broken": lambda script: script.write_text("addons = [\n"),
    "raises": lambda script: script.write_text("raise RuntimeError\n"),
    "emptied": lambda script: script.write_text(""),
    "replaced": lambda script: script.write_text("addons = []\n"),
    "deleted": lambda script: script.unlink(),
    "renamed": lambda script: script.rename(script.with_suffix(".old")),
}


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
def test_changed_script_ends_the_gateway(
    make_gateway: MakeGateway,
    plain: RecordingUpstream,
    issuer: Issuer,
    tmp_path: Path,
    change: Callable[[Path], object],
) -> None:
    script = tmp_path / "main.py"
    script.write_bytes(MAIN.read_bytes())
    gateway = make_gateway(script=script).start()
    seen = plain.watch()
    # All of these are refused by a whole gateway, and would pass one that has lost its chain.
    refusable = [
        head("GET", f"http://{PLAIN}/v1/json", PLAIN, "Connection: close"),
        head("DELETE", f"http://{PLAIN}/v1/json", PLAIN, *identity(issuer.token("support")), "Connection: close"),
        head("GET", f"http://{PLAIN}/v1/json", PLAIN, *identity(issuer.token("idle")), "Connection: close"),
    ]
    stop = threading.Event()

    def press() -> int:
        pressed = 0
        while not stop.is_set():
            for request in refusable:
                try:
                    gateway.raw(request, timeout=1)
                    pressed += 1
                except OSError:
                    stop.wait(0.01)
        return pressed

    thread = threading.Thread(target=press)
    thread.start()
    try:
        change(script)
        assert gateway.wait_exit(20) not in (0, None)
    finally:
        stop.set()
        thread.join()
    assert (seen.connections, seen.raw) == (0, b"")
    assert not gateway.listens()


def test_touched_script_changes_nothing(make_gateway: MakeGateway, tmp_path: Path, token: str) -> None:
    script = tmp_path / "main.py"
    script.write_bytes(MAIN.read_bytes())
    gateway = make_gateway(script=script).start()
    script.touch()
    with gateway.tunnel(token) as wire:
        for _ in range(3):
            assert not wire.closed(0.6)  # mitmproxy looks once a second
    assert gateway.ask("GET", "/v1/json", token).status == 200
    assert gateway.ask("DELETE", "/v1/json", token).status == 403
    assert gateway.stop() == 0
