"""Connections that do not say who they are: they end after a while, and do not keep others out for long."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import httpx

from harness.expect import eventually
from harness.gateway import Gateway, MakeGateway
from harness.rules import CRM
from harness.upstream import RecordingUpstream

# The product's own patience is half a minute.
IMPATIENT = "import lockgate.proxy.strangers as s\ns.PATIENCE = 1.0\ns.MAX_STRANGERS = 20\n"


def test_idle_strangers_are_few_and_go(
    make_gateway: MakeGateway, crm: RecordingUpstream, token: str, script_with: Callable[[str], Path]
) -> None:
    gateway = make_gateway(script=script_with(IMPATIENT)).start()
    with gateway.tunnel(token) as wire, contextlib.ExitStack() as stack:
        seen = crm.watch()
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
        # Who is identified is not disturbed.
        assert wire.ask(b"GET /v1/json HTTP/1.1\r\nHost: api.crm.example\r\n\r\n").status == 200
        eventually(lambda: _asks(gateway, token), "places are free again")
        assert wire.ask(b"GET /v1/json HTTP/1.1\r\nHost: api.crm.example\r\n\r\n").status == 200
        assert len(seen.requests) >= 2
    assert gateway.stop() == 0


def _asks(gateway: Gateway, token: str) -> bool:
    try:
        with gateway.client(token) as client:
            return client.get(f"https://{CRM}/v1/json").status_code == 200
    except httpx.HTTPError:
        return False
