from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Thread

import pytest

from lockgate.errors import NotDelivered
from lockgate.model import MailNotifier
from lockgate.notify import mail
from lockgate.notify.notice import Notice


@dataclass
class Mailbox:
    """What one mail server was told: the commands, and the mail with its dots taken off."""

    port: int = 0
    refuses: str = ""
    commands: list[str] = field(default_factory=list)
    mail: list[str] = field(default_factory=list)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    found = Mailbox()
    listener = socket.create_server(("127.0.0.1", 0))
    found.port = listener.getsockname()[1]

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rwb") as wire:

            def say(line: str) -> None:
                wire.write(line.encode() + b"\r\n")
                wire.flush()

            say("220 here")
            for raw in wire:
                command = raw.decode().strip()
                found.commands.append(command)
                verb = command[:4].upper()
                if found.refuses and verb == found.refuses[:4]:
                    say(found.refuses[5:])
                elif verb == "DATA":
                    say("354 go on")
                    for line in wire:
                        if line == b".\r\n":
                            break
                        found.mail.append(line.decode().rstrip("\r\n"))
                    say("250 taken")
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 fine")

    thread = Thread(target=serve, daemon=True)
    thread.start()
    yield found
    listener.close()
    thread.join(5)


def notifier(port: int) -> MailNotifier:
    return MailNotifier("127.0.0.1", port, "lockgate@crm.example", ("security@crm.example",), security="none")


async def test_it_arrives(mailbox: Mailbox, notice: Notice) -> None:
    await mail.deliver(notifier(mailbox.port), notice, "", 5.0)
    assert "Subject: [lockgate] Approval needed: agent-7 asks for POST crm /refunds" in mailbox.mail
    assert "Why it is held: Refunds above 500 need finance." in mailbox.mail
    assert notice.link in mailbox.mail
    assert any(command.lower().startswith("mail from:<lockgate@crm.example>") for command in mailbox.commands)


@pytest.mark.parametrize("text", ["x\r\nBcc: evil@evil.example", "x\nSubject: other", "a" * 5000])
def test_no_text_makes_a_header(notice: Notice, text: str) -> None:
    """Such text does not come here; where it did, there would be no mail rather than another one."""
    try:
        made = mail.message(notifier(25), replace(notice, requester=text))
    except ValueError:
        return
    assert made["Bcc"] is None
    assert len(made["Subject"]) <= mail.LONGEST_SUBJECT


@pytest.mark.parametrize(
    ("refuses", "again"), [("RCPT 550 nobody", True), ("DATA 451 later", True), ("MAIL 554 no", False)]
)
async def test_it_is_refused(mailbox: Mailbox, notice: Notice, refuses: str, again: bool) -> None:
    mailbox.refuses = refuses
    with pytest.raises(NotDelivered) as failed:
        await mail.deliver(notifier(mailbox.port), notice, "", 5.0)
    assert failed.value.again is again


async def test_it_is_encrypted_or_not_sent(mailbox: Mailbox, notice: Notice) -> None:
    """A server that offers no TLS gets nothing."""
    with pytest.raises(NotDelivered):
        await mail.deliver(replace(notifier(mailbox.port), security="starttls"), notice, "", 5.0)
    assert mailbox.mail == []
