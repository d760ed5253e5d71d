"""An authorization server's token endpoint (RFC 6749): it knows its clients, issues tokens, and can be made to fail."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import jwt

from harness.answers import message
from harness.upstream import Connection, Seen

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class OAuthError(Exception):
    """Raised with an error code of RFC 6749, 5.2."""


@dataclass
class TokenEndpoint:
    """`secrets` and `keys` are those of its clients and issuers, by their id; `refresh` is the refresh token that is
    good now, void once used. It answers only while `open` is set, in `answer_as`' words where there are some.
    """

    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    refresh: str = ""
    rotates: bool = True
    expires_in: object = 3600
    open: threading.Event = field(default_factory=threading.Event)
    answer_as: tuple[str, str, bytes] | None = None
    issued: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    seen_ids: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.open.set()

    def answer(self, connection: Connection, seen: Seen) -> None:
        assert self.open.wait(20)
        if self.answer_as:
            status, kind, body = self.answer_as
            connection.send(message(status, [("content-type", kind)], body))
            return
        try:
            with self.lock:
                document, status = self._grant(seen), "200 OK"
        except (OAuthError, jwt.PyJWTError) as error:
            code = str(error) if isinstance(error, OAuthError) else "invalid_client"
            document = {"error": code, "error_description": f"nothing for {seen.body.decode()}"}
            status = "401 Unauthorized" if code == "invalid_client" else "400 Bad Request"
        fields = [("content-type", "application/json;charset=UTF-8"), ("cache-control", "no-store")]
        connection.send(message(status, fields, json.dumps(document).encode()))

    def _grant(self, seen: Seen) -> dict[str, object]:
        if seen.method != "POST" or seen.header("content-type") != "application/x-www-form-urlencoded":
            raise OAuthError("invalid_request")
        pairs = parse_qsl(seen.body.decode(), strict_parsing=True, keep_blank_values=True)
        form = dict(pairs)
        if len(form) != len(pairs) or "" in form.values():
            raise OAuthError("invalid_request")
        self.forms.append(form)
        kind = form.get("grant_type")
        if kind == JWT_BEARER:
            self._verify(form.get("assertion", ""), "invalid_grant")
        else:
            self._authenticate(seen, form, public=kind == "refresh_token")
        if kind == "refresh_token" and form.get("refresh_token") != self.refresh:
            raise OAuthError("invalid_grant")
        if kind not in ("client_credentials", "refresh_token", JWT_BEARER):
            raise OAuthError("unsupported_grant_type")
        token = f"access-{len(self.issued):04}-{base64.b16encode(b'of the endpoint').decode()}"
        self.issued.append(token)
        document: dict[str, object] = {"access_token": token, "token_type": "Bearer", "scope": form.get("scope", "")}
        if self.expires_in is not None:
            document["expires_in"] = self.expires_in
        if kind == "refresh_token" and self.rotates:
            self.refresh = document["refresh_token"] = f"refresh-{len(self.issued):04}-of-the-endpoint"
        return document

    def _authenticate(self, seen: Seen, form: dict[str, str], *, public: bool) -> None:
        """RFC 6749, 2.3; RFC 7523, 2.2. In one way only."""
        basic = seen.header("authorization")
        if basic:
            pair = base64.b64decode(basic.removeprefix("Basic ")).decode()
            name, _, secret = (unquote_plus(part) for part in pair.partition(":"))
            if "client_secret" in form or "client_assertion" in form or self.secrets.get(name) != secret:
                raise OAuthError("invalid_client")
        elif "client_assertion" in form:
            if form.get("client_assertion_type") != CLIENT_ASSERTION or "client_secret" in form:
                raise OAuthError("invalid_client")
            self._verify(form["client_assertion"], "invalid_client", form["client_id"])
        elif "client_secret" in form:
            if self.secrets.get(form.get("client_id", "")) != form["client_secret"]:
                raise OAuthError("invalid_client")
        elif not public:
            raise OAuthError("invalid_client")

    def _verify(self, assertion: str, code: str, client: str = "") -> None:
        """RFC 7523, 3."""
        try:
            issuer = jwt.decode(assertion, options={"verify_signature": False})["iss"]
            claims = jwt.decode(
                assertion,
                self.keys[issuer],
                algorithms=["RS256", "ES256", "EdDSA"],
                audience=self.url,
                options={"require": ["iss", "sub", "aud", "exp"]},
            )
        except (jwt.PyJWTError, KeyError):
            raise OAuthError(code) from None
        if claims["jti"] in self.seen_ids or (client and not claims["iss"] == claims["sub"] == client):
            raise OAuthError(code)
        self.seen_ids.add(claims["jti"])
