from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import AsyncMock

import httpx
import pytest

from harness.pki import Authority
from harness.scene import Scene
from lockgate.model import Approvals
from lockgate.web.site import Site

MakeScene = Callable[..., Awaitable[Scene]]


async def test_over_tls(make_scene: MakeScene, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = tmp_path / "page.pem", tmp_path / "page.key"
    pems = authority.issue("127.0.0.1")
    certificate.write_text("".join(pems))
    key.write_text("".join(pems))
    scene = await make_scene(tls=(certificate, key))
    trusted = ssl.create_default_context(cafile=authority.pem)
    trusted.check_hostname = False
    url = f"https://127.0.0.1:{scene.port}"
    async with httpx.AsyncClient(base_url=url, verify=trusted, trust_env=False, headers={"Origin": url}) as client:
        reply = await client.post("/sign-in", data={"token": "fiona.finance"})
        assert reply.status_code == 303
        assert reply.headers["strict-transport-security"] == "max-age=31536000"
        assert reply.headers["set-cookie"].startswith("__Host-lockgate=")
        assert "; Secure" in reply.headers["set-cookie"]
        assert (await client.get("/")).status_code == 200
    old = ssl.create_default_context(cafile=authority.pem)
    old.check_hostname = False
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with httpx.AsyncClient(base_url=url, verify=old, trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/sign-in")


async def test_nowhere_to_listen(scene: Scene) -> None:
    services = scene.site._services
    site = Site(services.desk, Approvals, services.verify, services.recent, AsyncMock())
    await site.start()
    await site.close()


async def test_close_breaks_off_what_is_open(scene: Scene) -> None:
    async with scene.browser("fiona.finance") as client, client.stream("GET", "/api/approvals/events") as reply:
        chunks = reply.aiter_bytes()
        await anext(chunks)
        await scene.site.close()
        with pytest.raises((StopAsyncIteration, httpx.HTTPError)):
            await anext(chunks)
    with pytest.raises(httpx.ConnectError):
        async with scene.browser() as client:
            await client.get("/")
    assert not scene.office.desk._watchers


async def test_where_it_listens_stays_until_the_next_start(scene: Scene) -> None:
    before, scene.config = scene.url, replace(scene.config, listen=("127.0.0.1", 1), url="https://approvals.example")
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": "Bearer fiona.finance"}) as client:
        assert (await client.get(f"{before}/api/whoami")).status_code == 200
        assert (await client.get(f"{before}/api/whoami", headers={"Host": "approvals.example"})).status_code == 421
