"""One entry of `approvals: notify:`, from checked entry to what the gateway works with. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from lockgate.model import CommandNotifier, Happening, MailNotifier, Notifier, SlackNotifier, WebhookNotifier
from lockgate.policy.credentials import beside, placed
from lockgate.policy.schema.notify import PORTS, MailEntry, NotifyEntry


def notifier(entry: NotifyEntry, directory: Path) -> Notifier:
    on = cast("tuple[Happening, ...]", tuple(entry.on))
    if entry.webhook is not None and entry.secret is not None:
        return WebhookNotifier(entry.webhook, placed(entry.secret, directory), beside(entry.ca, directory), on)
    if entry.slack is not None:
        return SlackNotifier(placed(entry.slack, directory), on)
    if entry.smtp is not None:
        return mail(entry.smtp, directory, on)
    return CommandNotifier(tuple(entry.command or ()), on)


def mail(entry: MailEntry, directory: Path, on: tuple[Happening, ...]) -> MailNotifier:
    return MailNotifier(
        host=entry.host,
        port=entry.port or PORTS[entry.security],
        sender=entry.sender,
        to=tuple(entry.to),
        security=entry.security,
        user=entry.user or "",
        password=placed(entry.password, directory) if entry.password else None,
        ca=beside(entry.ca, directory),
        on=on,
    )
