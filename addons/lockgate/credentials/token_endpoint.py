"""The answer of a token endpoint, strictly read (RFC 6749, 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lockgate.bodies import json
from lockgate.credentials.http import ask
from lockgate.errors import BodyUnreadable, SecretUnavailable
from lockgate.model import Sensitive
from lockgate.outbound import Reply

UNSAID = 300.0  # seconds that a token is used whose answer has no expires_in
LONGEST = 24 * 3600.0  # seconds: one that says it lives longer is fetched anew all the same
TOKEN = re.compile(r"[!-~]{8,8192}")  # what fits a header, and is long enough to be found where a target echoes it
REFRESH_TOKEN = re.compile(r"[ -~]{8,8192}")  # RFC 6749, A.17
# RFC 6749, 5.2, and those that extensions register: no other text of an answer is repeated.
ERRORS = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)


class Granted(Sensitive):
    """An access token, for how many seconds it is good, and the refresh token that came with it, if one did."""

    __slots__ = ("access_token", "lifetime", "refresh_token")

    def __init__(self, access_token: str, lifetime: float, refresh_token: str | None) -> None:
        self.access_token = access_token
        self.lifetime = lifetime
        self.refresh_token = refresh_token


async def grant(url: str, form: Mapping[str, str], headers: Mapping[str, str], ca: Path | None) -> Granted:
    """Ask the token endpoint at `url`. Raises SecretUnavailable, without what was sent or answered."""
    return granted(await ask("POST", url, headers=headers, form=form, ca=ca))


def granted(reply: Reply) -> Granted:
    """Raises SecretUnavailable for anything but a bearer token."""
    document = parsed(reply)
    if reply.status != 200:
        code = document.get("error")
        known = f", {code}" if isinstance(code, str) and code in ERRORS else ""
        raise SecretUnavailable(f"the token endpoint answers {reply.status}{known}")
    token, kind, refresh = document.get("access_token"), document.get("token_type"), document.get("refresh_token")
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise SecretUnavailable("the token endpoint's answer has no access_token that can be used")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise SecretUnavailable("the token endpoint's answer is no bearer token (token_type)")
    if refresh is not None and not (isinstance(refresh, str) and REFRESH_TOKEN.fullmatch(refresh)):
        raise SecretUnavailable("the token endpoint's answer has a refresh_token that cannot be used")
    return Granted(token, lifetime(document.get("expires_in")), refresh)


def parsed(reply: Reply) -> Mapping[str, Any]:
    """The answer's JSON object; empty where an error's body is none."""
    try:
        if not json.is_json(reply.content_type):
            raise BodyUnreadable("not JSON by its Content-Type")
        document = json.parse(reply.body)
    except BodyUnreadable:
        document = None
    if isinstance(document, dict):
        return document
    if reply.status == 200:
        raise SecretUnavailable("the token endpoint's answer is not a JSON object")
    return {}


def lifetime(expires_in: object) -> float:
    """Seconds. Some servers write the number as text."""
    if expires_in is None:
        return UNSAID
    if isinstance(expires_in, str) and re.fullmatch(r"[0-9]{1,10}", expires_in, re.ASCII):
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, (int, float)) or not expires_in > 0:
        raise SecretUnavailable("the token endpoint's answer has no expires_in that can be used")
    return float(min(expires_in, LONGEST))
