from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import httpx
import pytest

from harness.office import Office
from harness.scene import Scene

Client = Callable[..., Awaitable[httpx.AsyncClient]]

PATHS = {
    "/": 303,
    "/sign-in": 200,
    "/sign-in/start": 403,
    "/sign-in/back?code=x&state=y": 403,
    "/approvals/none": 303,
    "/static/page.css": 200,
    "/static/other.css": 404,
    "/api/whoami": 401,
    "/api/approvals/events": 401,
    "/events": 303,
    "/nothing": 404,
    "/static/../site.py": 404,
    "//evil.example/x": 404,
}


@pytest.mark.parametrize(("path", "status"), PATHS.items())
async def test_every_answer_is_guarded(scene: Scene, path: str, status: int) -> None:
    async with scene.browser() as client:
        reply = await client.get(httpx.URL(scene.url, raw_path=path.encode()))
    assert reply.status_code == status
    policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] in ("no-referrer", "same-origin")
    assert reply.headers["cross-origin-opener-policy"] == reply.headers["cross-origin-resource-policy"] == "same-origin"
    for name in ("server", "etag", "strict-transport-security", "access-control-allow-origin"):
        assert name not in reply.headers


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("evil.example", id="another-name"),
        pytest.param("localhost:{port}", id="localhost"),
        pytest.param("127.0.0.1", id="no-port"),
        pytest.param("127.0.0.1:{port}.evil.example", id="longer"),
        pytest.param("127.0.0.2:{port}", id="another-address"),
    ],
)
async def test_foreign_hosts(scene: Scene, host: str) -> None:
    """DNS rebinding: a page of another name that leads here gets nothing."""
    await scene.hold()
    headers = {"Host": host.format(port=scene.port)}
    async with scene.browser("fiona.finance") as client:
        for path in ("/", "/sign-in", "/api/approvals", "/static/page.js", "/nothing", "/api/approvals/events"):
            reply = await client.get(path, headers=headers)
            assert reply.status_code == 421
            assert "refunds" not in reply.text
        reply = await client.post("/sign-in", data={"token": "fiona.finance"}, headers=headers)
        assert reply.status_code == 421 and not reply.cookies


async def test_behind_a_proxy_with_tls(make_scene: Callable[..., Awaitable[Scene]]) -> None:
    scene = await make_scene(url="https://approvals.example")
    headers = {"Host": "approvals.example", "Origin": "https://approvals.example"}
    async with scene.browser() as client:
        reply = await client.post("/sign-in", data={"token": "fiona.finance"}, headers=headers)
    assert reply.status_code == 303
    assert reply.headers["strict-transport-security"]
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith("__Host-lockgate=") and "Secure" in cookie and "Domain" not in cookie


async def test_a_fault_says_nothing(
    scene: Scene, api: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("the-secret")

    monkeypatch.setattr(type(scene.office.desk), "approvals", fails)
    with caplog.at_level(logging.WARNING):
        reply = await (await api()).get("/api/approvals?state=all")
    assert (reply.status_code, reply.json()["detail"]) == (500, "Internal Server Error.")
    assert "ValueError at" in caplog.text
    assert not [word for word in ("the-secret", "fiona", "state=all") if word in caplog.text + reply.text]
    assert isinstance(scene.office, Office)
