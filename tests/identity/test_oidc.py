from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.answers import message
from harness.pki import Authority
from harness.upstream import Connection, RecordingUpstream, Seen
from lockgate.errors import KeysUnavailable, KeysWithdrawn
from lockgate.identity import oidc
from lockgate.identity.oidc import Published, configuration_url, fetch_keys, is_https, jwks_uri

ISSUER = "https://login.example/realms/agents"
KEYS = "https://login.example/keys"


class Provider:
    """Answers with `configuration` and `keys`, objects or the very bytes, by path."""

    def __init__(self, serve: Callable[..., RecordingUpstream], ca: Path, keys: Any) -> None:
        self.server = serve(self.answer)
        self.issuer = f"https://localhost:{self.server.port}/realms/agents"
        self.ca = ca
        self.keys = keys
        self.configuration: Any = {"issuer": self.issuer, "jwks_uri": f"https://localhost:{self.server.port}/keys"}

    def answer(self, connection: Connection, seen: Seen) -> None:
        answers = {"/keys": self.keys, "/realms/agents/.well-known/openid-configuration": self.configuration}
        document = answers[seen.path]
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        connection.send(message("200 OK", [("content-type", "application/json")], body))

    @property
    def asked(self) -> list[str]:
        return [seen.path for seen in self.server.requests]


@pytest.fixture
def provider(serve: Callable[..., RecordingUpstream], authority: Authority, jwks: Mapping[str, Any]) -> Provider:
    return Provider(serve, authority.pem, jwks)


KIDS = ["rsa", "p256", "p384", "ed25519", "ed448"]


async def test_keys_are_discovered(provider: Provider) -> None:
    keys = await fetch_keys(Published(provider.issuer, ca=provider.ca))
    assert [key.kid for key in keys.keys] == KIDS
    assert provider.asked == ["/realms/agents/.well-known/openid-configuration", "/keys"]


async def test_keys_at_a_url(provider: Provider) -> None:
    keys = await fetch_keys(Published("any name", f"https://localhost:{provider.server.port}/keys", provider.ca))
    assert [key.kid for key in keys.keys] == KIDS
    assert provider.asked == ["/keys"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"issuer": "https://evil.example"}, "another issuer", id="another-issuer"),
        pytest.param({"jwks_uri": "http://localhost/keys"}, "no jwks_uri over https", id="keys-over-http"),
    ],
)
async def test_no_keys_are_asked_for_by_a_wrong_configuration(
    provider: Provider, change: dict[str, str], problem: str
) -> None:
    provider.configuration |= change
    with pytest.raises(KeysUnavailable, match=problem):
        await fetch_keys(Published(provider.issuer, ca=provider.ca))
    assert provider.asked == ["/realms/agents/.well-known/openid-configuration"]


SECRET = {"kty": "oct", "kid": "s", "k": "aHVudGVyMg"}


@pytest.mark.parametrize(
    ("keys", "kind", "problem"),
    [
        pytest.param(b"<!doctype html><title>hunter2</title>", KeysUnavailable, "not strict JSON", id="html"),
        pytest.param(b'{"keys": "\xff\xfe hunter2"}', KeysUnavailable, "not UTF-8", id="not-utf8"),
        pytest.param(b'{"keys": [], "keys": ["hunter2"]}', KeysUnavailable, "same key twice", id="key-twice"),
        pytest.param(b"[" * 100_000, KeysUnavailable, "deep", id="deep"),
        pytest.param({"issuer": "x"}, KeysUnavailable, "not a JWK Set", id="no-set"),
        pytest.param({"keys": []}, KeysWithdrawn, "no usable public key", id="empty"),
        pytest.param({"keys": [SECRET]}, KeysWithdrawn, "secret key", id="symmetric"),
        pytest.param({"keys": [{"kty": "EC", "d": "hunter2"}]}, KeysWithdrawn, "secret key", id="private"),
    ],
)
async def test_unusable_sets(provider: Provider, keys: Any, kind: type[Exception], problem: str) -> None:
    provider.keys = keys
    with pytest.raises(KeysUnavailable, match=problem) as caught:
        await fetch_keys(Published(provider.issuer, ca=provider.ca))
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"https://localhost:{provider.server.port}/keys: ")
    assert "hunter" not in str(caught.value)


async def test_one_limit_of_time_for_all(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "TIMEOUT", 0.4)
    answer = provider.answer

    def slowly(connection: Connection, seen: Seen) -> None:
        time.sleep(0.25)
        answer(connection, seen)

    provider.server.answer = slowly
    started = time.monotonic()
    with pytest.raises(KeysUnavailable, match="/keys: no whole answer in time"):
        await fetch_keys(Published(provider.issuer, ca=provider.ca))
    assert time.monotonic() - started < 0.8


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        (ISSUER, f"{ISSUER}/.well-known/openid-configuration"),
        ("https://login.example", "https://login.example/.well-known/openid-configuration"),
        ("https://login.example/", "https://login.example/.well-known/openid-configuration"),
        ("https://login.example/a//", "https://login.example/a//.well-known/openid-configuration"),
    ],
)
def test_where_the_configuration_is(issuer: str, url: str) -> None:
    assert configuration_url(issuer) == url


def test_where_the_keys_are() -> None:
    document = {"issuer": ISSUER, "jwks_uri": KEYS, "token_endpoint": "http://else.example"}
    assert jwks_uri(json.dumps(document).encode(), "x", ISSUER) == KEYS


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "not strict JSON", id="empty"),
        pytest.param(b"<html>", "not strict JSON", id="html"),
        pytest.param(b'{"issuer": "\xff"}', "not UTF-8", id="not-utf8"),
        pytest.param(
            b'{"issuer": "https://evil.example", "issuer": "%s", "jwks_uri": "%s"}' % (ISSUER.encode(), KEYS.encode()),
            "same key twice",
            id="issuer-twice",
        ),
        pytest.param(b"[]", "not the configuration", id="list"),
        pytest.param(b"{}", "not the configuration", id="nothing"),
        pytest.param({"issuer": None}, "another issuer", id="issuer-null"),
        pytest.param({"issuer": [ISSUER]}, "another issuer", id="issuer-list"),
        pytest.param({"issuer": f"{ISSUER}/"}, "another issuer", id="issuer-slash"),
        pytest.param({"issuer": ISSUER.upper()}, "another issuer", id="issuer-case"),
        pytest.param({"issuer": f"{ISSUER}2"}, "another issuer", id="issuer-longer"),
        pytest.param({"issuer": "https://evil.example"}, "another issuer", id="another-issuer"),
        pytest.param({"jwks_uri": None}, "no jwks_uri", id="keys-null"),
        pytest.param({"jwks_uri": [KEYS]}, "no jwks_uri", id="keys-list"),
        pytest.param({"jwks_uri": "/keys"}, "no jwks_uri", id="keys-relative"),
    ],
)
def test_wrong_configurations(content: Any, problem: str) -> None:
    if isinstance(content, dict):
        content = json.dumps({"issuer": ISSUER, "jwks_uri": KEYS, **content}).encode()
    with pytest.raises(KeysUnavailable, match=problem) as caught:
        jwks_uri(content, "the-url", ISSUER)
    assert str(caught.value).startswith("the-url: ")
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        (KEYS, True),
        (f"{KEYS}?p=agents", True),
        ("https://127.0.0.1:8443/", True),
        ("https://[::1]:8443/", True),
        ("http://login.example/keys", False),
        ("HTTP://login.example/keys", False),
        ("file:///etc/passwd", False),
        ("//login.example/keys", False),
        ("https:///keys", False),
        ("https://", False),
        ("https://user@login.example/", False),
        ("https://login.example/#a", False),
        ("https://login.example:0/", False),
        ("https://login.example:99999/", False),
        ("https://[::1/", False),
        ("https://login.example/a b", False),
        ("https://login.example/\n", False),
        ("https://login.exämple/", False),
        ("https://login.example/" + "a" * 2048, False),
        ("", False),
    ],
)
def test_urls(url: str, taken: bool) -> None:
    assert is_https(url) is taken
