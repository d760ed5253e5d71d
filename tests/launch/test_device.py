"""A token by device code (RFC 8628), from a server that follows a script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lockgate.errors import SecretUnavailable
from lockgate.launch import device
from lockgate.launch.device import Device, Endpoints, discover
from lockgate.outbound import Reply

ISSUER = "https://login.example"
ENDPOINTS = Endpoints(f"{ISSUER}/device", f"{ISSUER}/token")
CODE = {
    "device_code": "the-device-code",
    "user_code": "WDJB-MJHT",
    "verification_uri": f"{ISSUER}/enter",
    "interval": 0.001,
    "expires_in": 600,
}
GRANTED = {"access_token": "header.claims.signature", "token_type": "Bearer", "expires_in": 300}
PENDING = {"error": "authorization_pending"}

Answer = tuple[int, Any]


class Server:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
        ca: Path | None = None,
    ) -> Reply:
        self.asked.append((method, url, dict(form or {})))
        status, document = self.answers.pop(0)
        return Reply(
            status, "application/json", document if isinstance(document, bytes) else json.dumps(document).encode()
        )


def agent(monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> tuple[Device, Server, list[str]]:
    server, said = Server(*answers), list[str]()
    monkeypatch.setattr(device, "ask", server.ask)
    monkeypatch.setattr(device, "INTERVAL", 0.001)
    return Device(ENDPOINTS, "support-agent", "crm", "lockgate", said.append), server, said


async def test_a_person_is_told_where_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (200, CODE), (400, PENDING), (400, {"error": "slow_down"}), (400, PENDING), (200, GRANTED)
    found, server, said = agent(monkeypatch, *asked)
    assert await found.token() == GRANTED["access_token"]
    assert said == ["Open https://login.example/enter and enter WDJB-MJHT to let this agent in."]
    assert server.asked[0] == (
        "POST",
        ENDPOINTS.device_url,
        {"client_id": "support-agent", "scope": "crm", "audience": "lockgate"},
    )
    assert (
        server.asked[1:]
        == [
            (
                "POST",
                ENDPOINTS.token_url,
                {"grant_type": device.GRANT, "device_code": "the-device-code", "client_id": "support-agent"},
            )
        ]
        * 4
    )


async def test_nobody_is_asked_twice_where_there_is_a_refresh_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with_refresh = GRANTED | {"refresh_token": "refresh-one"}
    rotated = GRANTED | {"access_token": "another.access.token", "refresh_token": "refresh-two"}
    found, server, said = agent(monkeypatch, (200, CODE), (200, with_refresh), (200, rotated), (200, GRANTED))
    assert [await found.token() for _ in range(3)] == [
        GRANTED["access_token"],
        "another.access.token",
        GRANTED["access_token"],
    ]
    assert [form.get("refresh_token") for _, _, form in server.asked] == [None, None, "refresh-one", "refresh-two"]
    assert len(said) == 1


async def test_a_login_that_has_ended_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, said = agent(monkeypatch, (400, {"error": "invalid_grant"}), (200, CODE), (200, GRANTED))
    found.refresh_token = "refresh-one"
    assert await found.token() == GRANTED["access_token"]
    assert "invalid_grant" in said[0]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param([(404, {})], "answers 404", id="no such grant"),
        pytest.param([(200, b"<html>")], "not a JSON object", id="HTML"),
        pytest.param([(200, CODE | {"user_code": "\x1b[2J"})], "user_code", id="a code that clears the screen"),
        pytest.param([(200, CODE | {"interval": "soon"})], "interval", id="no number"),
        pytest.param([(200, CODE), (400, {"error": "access_denied"})], "access_denied", id="refused"),
        pytest.param([(200, CODE | {"expires_in": 0.0005}), (400, PENDING)], "in time", id="nobody came"),
    ],
)
async def test_no_token(monkeypatch: pytest.MonkeyPatch, answers: list[Answer], said: str) -> None:
    found, _, _ = agent(monkeypatch, *answers)
    with pytest.raises(SecretUnavailable, match=said):
        await found.token()


DOCUMENT = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", "device_authorization_endpoint": f"{ISSUER}/device"}


async def test_endpoints_are_discovered(monkeypatch: pytest.MonkeyPatch) -> None:
    _, server, _ = agent(monkeypatch, (200, DOCUMENT))
    assert await discover(ISSUER, None) == ENDPOINTS
    assert server.asked == [("GET", f"{ISSUER}/.well-known/openid-configuration", {})]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param((200, DOCUMENT | {"issuer": "https://other.example"}), "this issuer", id="another issuer's"),
        pytest.param((200, DOCUMENT | {"token_endpoint": "http://login.example/token"}), "https", id="plain http"),
        pytest.param((200, {"issuer": ISSUER}), "token_endpoint", id="no endpoint"),
        pytest.param((404, {}), "this issuer", id="not there"),
    ],
)
async def test_what_is_no_description_of_it(monkeypatch: pytest.MonkeyPatch, answer: Answer, said: str) -> None:
    agent(monkeypatch, answer)
    with pytest.raises(SecretUnavailable, match=said):
        await discover(ISSUER, None)


def test_its_refresh_token_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    device, _, _ = agent(monkeypatch)
    device.refresh_token = "refresh-correct-horse"
    assert "correct-horse" not in repr(device)
