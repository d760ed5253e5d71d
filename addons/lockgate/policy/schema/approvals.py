"""How persons approve what is held: `approvals` in `gateway.yaml`. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lockgate.policy.schema import Model
from lockgate.policy.schema.addresses import Published, address, is_loopback, split
from lockgate.policy.schema.notify import NotifyEntry
from lockgate.policy.schema.values import Count, Flag, HoldTime, Size, Text, TextSource, Wait, text

LONGEST_WAIT = 3600.0


def waiting(value: float) -> float:
    if value > LONGEST_WAIT:
        raise ValueError("a connection waits for an hour at most: after that the caller asks again")
    return value


def page(value: Any) -> str:
    """The URL that approvers know the gateway by: without path, so that its cookies are its own."""
    given = text(value)
    try:
        parts, _ = split(given)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.path or parts.username)
    except ValueError:
        plain = False
    if not plain or not re.fullmatch(r"[!-~]{1,512}", given) or "?" in given or "#" in given:
        raise ValueError("write scheme, host and port only, as in https://approvals.example")
    return given


class SignInEntry(Model):
    issuer: Published
    """The OpenID provider that approvers sign in at: one of the issuers. Example: https://login.example/realms/agents"""
    client_id: Text
    """The client that the page is there. Its tokens must be for the approvals' audience. Example: lockgate-approvals"""
    client_secret: TextSource | None = None
    """Its secret, where it has one: where it is kept. Example: env:LOCKGATE_SIGN_IN_SECRET"""
    scope: Text = "openid"
    """What is asked for; openid where it says nothing. Example: openid roles"""


class PageTls(Model):
    cert: Text
    """The certificate with its chain (PEM), relative to this file. Example: /etc/lockgate/approvals.pem"""
    key: Text
    """Its private key (PEM), relative to this file. Example: /etc/lockgate/approvals.key"""


class ApprovalsEntry(Model):
    """`approvals` in `gateway.yaml`."""

    audience: Text = "lockgate-approvals"
    """What must be in the aud of an approver's token; lockgate-approvals where it says nothing. It is not that of
    agents' tokens. Example: lockgate-approvals"""
    wait: Annotated[Wait, AfterValidator(waiting)] = 45.0
    """For how long the connection of a held request waits; 45s where it says nothing. Then its caller is told to ask
    again, until somebody has decided. Example: 20s"""
    timeout: HoldTime = 900.0
    """How long a hold waits for approval, where its rule says nothing; 15m where this does not either. Example: 1h"""
    listen: Annotated[tuple[str, int], BeforeValidator(address)] | None = None
    """Where the page and the API are, for approvers: never where agents' requests come in. Nobody can approve anything
    where it says nothing. Example: 127.0.0.1:8765"""
    url: Annotated[Text, BeforeValidator(page)] | None = None
    """What approvers' links begin with, where it is not the address of listen. Example: https://approvals.example"""
    tls: PageTls | None = None
    """The page's certificate and key; needed where listen is not on this machine. Example: {cert: a.pem, key: a.key}"""
    sign_in: SignInEntry | None = None
    """Where approvers sign in; without it they give the page a token.
    Example: {issuer: https://login.example/realms/agents, client_id: lockgate-approvals}"""
    dev: Flag = False
    """Whether tokens of the development issuer approve, on this machine only: for trying things. Example: true"""
    requester: Text | None = None
    """A JSONPath over the claims of the caller's token: whom it names is behind the request too, and cannot approve it.
    Example: $.act.sub"""
    pending: Count = 1000
    """How many requests may be held at once; 1000 where it says nothing."""
    per_principal: Count = 100
    """How many of one caller; 100 where it says nothing."""
    body: Size = 256 * 2**10
    """The largest body of a request that is held: a person has to see all of it; 256KiB where it says nothing."""
    notify: list[NotifyEntry] = Field(default_factory=list)
    """Who is told of a hold. Example: [{webhook: https://hooks.example/lockgate, secret: env:HOOK_SECRET}]"""

    @model_validator(mode="after")
    def whole(self) -> Self:
        if self.listen and not is_loopback(self.listen[0]) and not self.tls:
            raise ValueError("approvers' tokens would go over the network in the clear: give tls a certificate and key")
        if self.wait > self.timeout:
            raise ValueError("wait is longer than timeout: a hold is over by then")
        if self.sign_in and not self.url and not self.listen:
            raise ValueError("there is no page to sign in to: give listen an address")
        return self
