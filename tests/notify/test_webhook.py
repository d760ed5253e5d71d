from __future__ import annotations

import asyncio
import hmac
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.answers import message
from harness.pki import Authority
from harness.upstream import Answer, Connection, RecordingUpstream, Seen
from lockgate.errors import NotDelivered
from lockgate.model import SecretSource, WebhookNotifier
from lockgate.notify import webhook
from lockgate.notify.notice import Notice

SECRET = "a-secret-of-the-hook"

Serve = Callable[[Answer], RecordingUpstream]


def notifier(url: str) -> WebhookNotifier:
    return WebhookNotifier(url, SecretSource("env", "HOOK_SECRET"))


async def deliver(url: str, notice: Notice) -> None:
    ends_at = asyncio.get_running_loop().time() + 5
    await webhook.deliver(notifier(url), notice, SECRET, ends_at, 1_700_000_000.9)


async def test_it_is_signed(hook: Any, notice: Notice) -> None:
    await deliver(hook.url, notice)
    ((headers, body),) = hook.got
    assert json.loads(body) == notice.document()
    fields = dict(part.split("=") for part in headers["Lockgate-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), fields["t"].encode() + b"." + body, "sha256").hexdigest()
    assert (fields["t"], fields["v1"]) == ("1700000000", expected)
    assert SECRET not in repr(headers) + body.decode()


@pytest.mark.parametrize(
    ("status", "again"),
    [(500, True), (503, True), (429, True), (408, True), (400, False), (404, False), (302, False)],
)
async def test_it_is_not_taken(hook: Any, notice: Notice, status: int, again: bool) -> None:
    hook.answers.append(status)
    with pytest.raises(NotDelivered, match=str(status)) as failed:
        await deliver(hook.url, notice)
    assert failed.value.again is again
    assert len(hook.got) == 1  # no redirect is followed


async def test_nobody_is_there(hook: Any, notice: Notice) -> None:
    with pytest.raises(NotDelivered) as failed:
        await deliver("http://127.0.0.1:9/secret-path", notice)
    assert failed.value.again
    assert "secret-path" not in str(failed.value)


@pytest.mark.parametrize(
    ("retry_after", "after"),
    [
        pytest.param("", 0.0, id="none"),
        pytest.param("30", 30.0, id="seconds"),
        pytest.param("Tue, 14 Nov 2023 22:14:20 GMT", 60.0, id="date"),
        pytest.param("Tue, 14 Nov 2000 22:14:20 GMT", 0.0, id="past"),
        pytest.param("9" * 400, 0.0, id="huge"),
        pytest.param("-1", 0.0, id="negative"),
        pytest.param("soon", 0.0, id="text"),
    ],
)
async def test_it_wants_to_be_left_alone(hook: Any, notice: Notice, retry_after: str, after: float) -> None:
    hook.answers.append(429)
    hook.retry_after = retry_after
    with pytest.raises(NotDelivered) as failed:
        await webhook.deliver(
            notifier(hook.url), notice, SECRET, asyncio.get_running_loop().time() + 5, 1_700_000_000.0
        )
    assert failed.value.after == after


async def over_tls(server: RecordingUpstream, notice: Notice, ca: Path | None) -> None:
    where = WebhookNotifier(f"https://localhost:{server.port}/hook?key=s3cret", SecretSource("env", "HOOK"), ca)
    await webhook.deliver(where, notice, SECRET, asyncio.get_running_loop().time() + 5, 0.0)


def taken(connection: Connection, seen: Seen) -> None:
    connection.send(message("204 No Content", [], b""))


async def test_over_tls(serve: Serve, authority: Authority, notice: Notice) -> None:
    server = serve(taken)
    await over_tls(server, notice, authority.pem)
    (seen,) = server.requests
    assert (seen.method, seen.target) == ("POST", "/hook?key=s3cret")
    assert (seen.header("authorization"), seen.header("cookie")) == (None, None)


@pytest.mark.parametrize("ca", ["none", "another", "missing"])
async def test_its_certificate_is_verified(
    serve: Serve, notice: Notice, tmp_path: Path, ca: str, monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))  # it counts for nothing
    server = serve(taken)
    trusted = {"none": None, "another": Authority(tmp_path).pem, "missing": tmp_path / "missing.pem"}[ca]
    with pytest.raises(NotDelivered, match="cannot be used" if ca == "missing" else "does not verify") as failed:
        await over_tls(server, notice, trusted)
    assert server.requests == []
    assert "s3cret" not in str(failed.value)


async def test_what_else_it_answers_is_not_waited_for(serve: Serve, authority: Authority, notice: Notice) -> None:
    """Taken is taken: it is not told again for a page of gigabytes, nor for one that never ends."""

    def endless(connection: Connection, seen: Seen) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\ncontent-encoding: gzip\r\n\r\nx")

    await over_tls(serve(endless), notice, authority.pem)


async def test_it_says_nothing(serve: Serve, authority: Authority, notice: Notice) -> None:
    server = serve(lambda connection, seen: None)
    where = WebhookNotifier(f"https://localhost:{server.port}/", SecretSource("env", "HOOK"), authority.pem)
    with pytest.raises(NotDelivered, match="in time") as failed:
        await webhook.deliver(where, notice, SECRET, asyncio.get_running_loop().time() + 0.3, 0.0)
    assert failed.value.again


async def test_hostile_text(hook: Any, hostile: Notice) -> None:
    await deliver(hook.url, hostile)
    ((_, body),) = hook.got
    assert body.isascii()
    said = json.loads(body)
    assert said.keys() >= {"happening", "approval_id", "link", "requester", "rule", "action", "by", "why"}
    assert all(text.isprintable() for text in said.values())
    assert len(body) < 10_000


async def test_openssl_verifies_it(hook: Any, notice: Notice) -> None:
    await deliver(hook.url, notice)
    ((headers, body),) = hook.got
    stamp, made = (part.split("=")[1] for part in headers["Lockgate-Signature"].split(","))
    printed = subprocess.run(  # noqa: ASYNC221
        ["openssl", "dgst", "-sha256", "-hmac", SECRET],
        input=f"{stamp}.".encode() + body,
        capture_output=True,
        check=True,
    )
    assert printed.stdout.decode().strip().endswith(made)


async def test_as_the_documentation_verifies_it(hook: Any, notice: Notice) -> None:
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    said: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], said)
    where = WebhookNotifier(hook.url, SecretSource("env", "HOOK"))
    await webhook.deliver(where, notice, SECRET, asyncio.get_running_loop().time() + 5, time.time())
    ((headers, body),) = hook.got
    signed = headers["Lockgate-Signature"]
    assert said["is_ours"](signed, body, SECRET)
    assert not said["is_ours"](signed, body + b" ", SECRET)
    assert not said["is_ours"](signed, body, "another")
    assert not said["is_ours"](webhook.signature(body, SECRET, int(time.time()) - 3600), body, SECRET)
