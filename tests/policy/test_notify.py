"""Who is told, as the gateway gets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lockgate.model import CommandNotifier, MailNotifier, SecretSource, SlackNotifier, WebhookNotifier
from lockgate.policy.generation import Generation

TEXT = """\
issuers: [{dev: true}]
approvals:
  notify:
    - {webhook: https://hooks.example/x, secret: env:HOOK, ca: ca.pem}
    - {slack: "file:../slack", on: [asked, expired]}
    - smtp: {host: mail.example, sender: a@b.example, to: [c@d.example], user: u, password: env:MAIL, security: tls}
    - {command: [/bin/page, "--loud"]}
"""


def test_each_kind(loaded: Callable[..., Generation], tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    assert loaded({"gateway.yaml": TEXT}).gateway.approvals.notify == (
        WebhookNotifier("https://hooks.example/x", SecretSource("env", "HOOK"), rules / "ca.pem"),
        SlackNotifier(SecretSource("file", str(rules.parent / "slack")), ("asked", "expired")),
        MailNotifier("mail.example", 465, "a@b.example", ("c@d.example",), "tls", "u", SecretSource("env", "MAIL")),
        CommandNotifier(("/bin/page", "--loud")),
    )
