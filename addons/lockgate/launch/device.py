"""A token by device code (RFC 8628): a person lets the agent in, on any screen they have."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate.bodies import json
from lockgate.credentials.http import ask
from lockgate.credentials.token_endpoint import granted
from lockgate.errors import BodyUnreadable, SecretUnavailable
from lockgate.outbound import Reply

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL = 5.0  # seconds between looks, where the server says nothing (3.2)
LONGEST = 1800.0  # seconds that a code is waited for, whatever the server says
SHOWN = re.compile(r"[!-~]([ -~]{0,510}[!-~])?")  # what may be printed of an answer: it moves no cursor


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where to ask, with the CA (PEM) of both where it is not a public one."""

    device_url: str
    token_url: str
    ca: Path | None = None


@dataclass(slots=True)
class Device:
    """Asks a person at first, and again only where the server gave no refresh token or does not take it any more."""

    endpoints: Endpoints
    client_id: str
    scope: str
    audience: str
    say: Callable[[str], None]
    refresh_token: str | None = field(default=None, repr=False)

    async def token(self) -> str:
        """Raises SecretUnavailable where it was not allowed in time, or the server fails."""
        if self.refresh_token is not None:
            try:
                return await self._refreshed(self.refresh_token)
            except SecretUnavailable as error:
                self.say(f"The login has ended ({error}); it is asked for again.")
                self.refresh_token = None
        return await self._allowed()

    async def _refreshed(self, refresh_token: str) -> str:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.client_id}
        return self._take(await self._post(self.endpoints.token_url, form))

    async def _allowed(self) -> str:
        asked = {"client_id": self.client_id, "scope": self.scope, "audience": self.audience}
        reply = await self._post(self.endpoints.device_url, {key: value for key, value in asked.items() if value})
        document = parsed(reply)
        if reply.status != 200:
            raise SecretUnavailable(f"{self.endpoints.device_url} answers {reply.status}")
        code, shown, where = (text(document, name) for name in ("device_code", "user_code", "verification_uri"))
        self.say(f"Open {where} and enter {shown} to let this agent in.")
        interval = seconds(document, "interval", INTERVAL)
        ends = time.monotonic() + min(seconds(document, "expires_in", LONGEST), LONGEST)
        form = {"grant_type": GRANT, "device_code": code, "client_id": self.client_id}
        while time.monotonic() < ends:
            await asyncio.sleep(interval)
            reply = await self._post(self.endpoints.token_url, form)
            error = parsed(reply).get("error") if reply.status != 200 else None
            if error == "slow_down":
                interval += INTERVAL  # 3.5
            elif error != "authorization_pending":
                return self._take(reply)
        raise SecretUnavailable("nobody allowed it in time")

    def _take(self, reply: Reply) -> str:
        answer = granted(reply)
        self.refresh_token = answer.refresh_token or self.refresh_token
        return answer.access_token

    async def _post(self, url: str, form: Mapping[str, str]) -> Reply:
        try:
            return await ask("POST", url, headers={}, form=form, ca=self.endpoints.ca)
        except SecretUnavailable as error:
            raise SecretUnavailable(f"{url}: {error}") from None


async def discover(issuer: str, ca: Path | None) -> Endpoints:
    """The endpoints an issuer names (OpenID Connect Discovery 1.0, 4; RFC 8628, 4). `device_url` may be empty.

    Raises SecretUnavailable.
    """
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    try:
        reply = await ask("GET", url, headers={}, ca=ca)
        document = parsed(reply)
        if reply.status != 200 or document.get("issuer") != issuer:
            raise SecretUnavailable("it does not describe this issuer")
        device = document.get("device_authorization_endpoint")
        endpoints = Endpoints(device if isinstance(device, str) else "", text(document, "token_endpoint"), ca)
        if any(each and not each.startswith("https://") for each in (endpoints.device_url, endpoints.token_url)):
            raise SecretUnavailable("it names an endpoint without https")
    except SecretUnavailable as error:
        raise SecretUnavailable(f"{url}: {error}") from None
    return endpoints


def parsed(reply: Reply) -> Mapping[str, Any]:
    try:
        document = json.parse(reply.body)
    except BodyUnreadable:
        document = None
    if not isinstance(document, dict):
        raise SecretUnavailable(f"answers {reply.status} with something that is not a JSON object")
    return document


def text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not SHOWN.fullmatch(value):
        raise SecretUnavailable(f"its answer has no {name} that can be used")
    return value


def seconds(document: Mapping[str, Any], name: str, default: float) -> float:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise SecretUnavailable(f"its answer has no {name} that can be used")
    return float(value)
