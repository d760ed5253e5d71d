"""Who is told of what is held: `approvals: notify:` in `gateway.yaml`. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lockgate.model import HAPPENINGS
from lockgate.policy.schema import Model
from lockgate.policy.schema.addresses import Host, is_loopback, split
from lockgate.policy.schema.values import Lines, Source, Text, text

PORTS = {"starttls": 587, "tls": 465, "none": 25}
MAIL_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")  # RFC 5321, less quoted names


def hook(value: Any) -> str:
    """A URL that is told something. No message repeats it."""
    given = text(value)
    example = "write it as in https://hooks.example/lockgate"
    try:
        parts, _ = split(given)
    except ValueError:
        raise ValueError(f"not a URL: {example}") from None
    if not parts.hostname or "@" in parts.netloc or "#" in given or not re.fullmatch(r"[!-~]{1,2048}", given):
        raise ValueError(f"a URL without user and fragment is needed here: {example}")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError(f"notices go over https, or over http on this machine: {example}")
    return given


def mail_address(value: Any) -> str:
    if not MAIL_ADDRESS.fullmatch(text(value)):
        raise ValueError("an address is needed here, as in security@crm.example")
    return str(value)


def port_number(value: Any) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text(value)) or int(value) > 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return int(value)


def words(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise ValueError("a command is a list of words, as in [/usr/local/bin/page, --loud]: no shell reads it")
    return list(value)


MailAddress = Annotated[str, BeforeValidator(mail_address)]


class MailEntry(Model):
    host: Host
    """The mail server. Example: mail.example"""
    port: Annotated[int, BeforeValidator(port_number)] | None = None
    """Its port; 587 where it says nothing, 465 with security: tls. Example: 587"""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted; starttls where it says nothing. none is for a server on this machine.
    Example: tls"""
    user: Text | None = None
    """Who the gateway is there. Example: lockgate"""
    password: Source | None = None
    """Where its password is kept. Example: env:MAIL_PASSWORD"""
    ca: Text | None = None
    """Whose certificates are trusted there (PEM), where it is not a public one; relative to this file.
    Example: /etc/ssl/internal-ca.pem"""
    sender: MailAddress
    """Whom mails are from. Example: lockgate@crm.example"""
    to: Annotated[list[MailAddress], Field(min_length=1)]
    """Whom they are to. Example: [security@crm.example]"""

    @model_validator(mode="after")
    def whole(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError("mail over the network is encrypted: take starttls or tls")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password stand together")
        return self


class NotifyEntry(Model):
    """Exactly one of webhook, slack, smtp and command."""

    webhook: Annotated[str, BeforeValidator(hook)] | None = None
    """A URL that gets the notice as JSON, signed with secret. Example: https://hooks.example/lockgate"""
    secret: Source | None = None
    """What a webhook's notices are signed with: where it is kept. Example: env:HOOK_SECRET"""
    ca: Text | None = None
    """Whose certificates a webhook's may be of (PEM), where it is not a public one; relative to this file.
    Example: /etc/ssl/internal-ca.pem"""
    slack: Source | None = None
    """An incoming webhook of Slack: where its URL is kept, which is a secret. Example: env:SLACK_WEBHOOK"""
    smtp: MailEntry | None = None
    """Mail. Example: {host: mail.example, sender: lockgate@crm.example, to: [security@crm.example]}"""
    command: Annotated[list[str], BeforeValidator(words)] | None = None
    """A command with its arguments, which gets the notice as JSON on its standard input.
    Example: [/usr/local/bin/page]"""
    on: Lines = Field(default_factory=lambda: ["asked"])
    """Of what: asked, approved, denied, expired, cancelled; asked where it says nothing. Example: [asked, expired]"""

    @model_validator(mode="after")
    def one_kind(self) -> Self:
        kinds = [key for key in ("webhook", "slack", "smtp", "command") if getattr(self, key) is not None]
        if len(kinds) != 1:
            raise ValueError("it is exactly one of webhook, slack, smtp and command")
        if (self.secret is not None) != (self.webhook is not None):
            raise ValueError("a webhook has a secret, by which whoever gets its notices knows that they are ours")
        if self.ca is not None and self.webhook is None:
            raise ValueError("ca is a webhook's here: leave it out, or name it in smtp")
        unknown = sorted(set(self.on) - set(HAPPENINGS))
        if unknown:
            raise ValueError(f"on has {unknown[0]}: known here: {', '.join(HAPPENINGS)}")
        return self
