"""Fails when mitmproxy changes something that the doors, the guard, the lock or the sentinel stand on."""

from __future__ import annotations

import hashlib
import inspect

import pytest

from lockgate.proxy.internals import RELIED_ON

# SHA-256 of each one's source, first 16 digits. After reading what changed and what stands on it, take the new one.
DIGESTS = {
    "AddonManager.trigger_event": "b763c59bc4992e33",
    "AddonManager.invoke_addon": "13180532440359de",
    "AddonManager.register": "01ddcca314eebbd3",
    "ConnectionHandler.drain_writers": "6b57434604561e3e",
    "ConnectionHandler.handle_client": "01f1b7cc991c4711",
    "ConnectionHandler.hook_task": "9ac7970160526268",
    "ConnectionHandler.handle_connection": "95c3f93e9824e527",
    "ConnectionHandler.open_connection": "5e0b3cbaf7a4030a",
    "ConnectionHandler.server_event": "a2b42657ebe8bf6d",
    "GetHttpConnection": "705fed26f72ea17f",
    "Http1Client": "706b7a68f2809929",
    "Http1Server": "cc8428d0bb6f79a5",
    "Http1Connection": "c0675638b0756013",
    "BufferedH2Connection": "f983b7220f47b60a",
    "h2.FrameBuffer": "22fe5e16e85fce46",
    "h2.H2Connection": "1e024192d4a9cb7e",
    "h2.H2Stream": "ae287875560e195b",
    "Http2Client": "a113056f7d2beb2f",
    "Http2Connection": "f18f3940fd55a0f0",
    "Http2Server": "97aac4eab18a0294",
    "HttpLayer": "8da4a8a48e637b88",
    "HttpStream": "baaac4f7cdb36a32",
    "Layer.handle_event": "fd88b0fb09ceddbb",
    "NextLayer (addon)": "f1d53b3127c313b1",
    "NextLayer (layer)": "3cbcbafad282cba3",
    "OptManager": "fdc0089922ede6fd",
    "Proxyserver": "274ee076420757e4",
    "Script": "f6f07b85c252c610",
    "ScriptLoader": "694feab2c4e21a54",
    "SendHttp": "2a05328a33bd6d06",
    "Servers": "6c950fbed489ee4c",
    "ClientTLSLayer": "b76248ba39a93ae9",
    "TLSLayer": "c52e04ed2c416749",
    "TlsConfig.tls_start_server": "2e2dc9c25670cf64",
    "create_proxy_server_context": "e2d90d71c5744797",
    "format_error": "26271a67770fbaf1",
    "asyncio_utils.set_eager_task_factory": "631e925c6cf1f7e5",
    "make_body_reader": "9b076acda459637b",
    "make_error_response": "03ce75ab62e8e78b",
    "View": "42a3bad90a72552f",
    "web.AuthRequestHandler": "ba8c4519e39c7a51",
    "web.RequestHandler": "cb0f308b33cef772",
}


def digest(thing: object) -> str:
    return hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()[:16]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RELIED_ON)
def test_source_is_the_one_that_was_read(name: str) -> None:
    assert digest(RELIED_ON[name]) == DIGESTS[name], f"{name} changed: read it, and what stands on it, again"


def test_every_digest_is_of_something_relied_on() -> None:
    assert set(DIGESTS) == set(RELIED_ON)
