from __future__ import annotations

import asyncio
import base64
import email
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Literal, cast

import pytest

from harness.pki import Authority
from lockgate.errors import NotDelivered
from lockgate.model import MailNotifier, SecretSource
from lockgate.notify import mail
from lockgate.notify.notice import Notice

PASSWORD = "s3cret-of-the-mailbox"


@dataclass
class Mailbox:
    """A mail server (RFC 5321). `says` are answers other than 250, by the beginning of the command.

    What it was told: `commands`, with the channel each came over, and `mail` as it came, its dots taken off.
    """

    security: Literal["starttls", "tls", "none"] = "none"
    context: ssl.SSLContext | None = None
    says: dict[str, str] = field(default_factory=dict)
    port: int = 0
    commands: list[tuple[Literal["clear", "tls"], str]] = field(default_factory=list)
    mail: list[bytes] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.ended.set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            channel: Literal["clear", "tls"] = "tls" if writer.get_extra_info("sslcontext") else "clear"
            self.commands.append((channel, line))
            verb = line.upper()
            answer = next((told for known, told in self.says.items() if verb.startswith(known)), "")
            if answer:
                writer.write(f"{answer}\r\n".encode())
            elif verb.startswith("EHLO"):
                more = {"starttls": "250-STARTTLS\r\n"}.get(self.security if channel == "clear" else "", "")
                writer.write(f"250-here\r\n{more}250 AUTH PLAIN\r\n".encode())
            elif verb == "STARTTLS" and self.context:
                writer.write(b"220 go on\r\n")
                await writer.start_tls(self.context)
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                came = await reader.readuntil(b"\r\n.\r\n")
                self.mail.append(re.sub(rb"(?m)^\.\.", b".", came[:-3]))
                writer.write(b"250 taken\r\n")
            else:
                writer.write(b"235 welcome\r\n" if verb.startswith("AUTH") else b"250 fine\r\n")

    def said(self, channel: Literal["clear", "tls"]) -> list[str]:
        return [line.split()[0].upper() for over, line in self.commands if over == channel]

    @property
    def only(self) -> EmailMessage:
        (raw,) = self.mail
        return cast("EmailMessage", email.message_from_bytes(raw, policy=default))


@asynccontextmanager
async def serving(mailbox: Mailbox) -> AsyncIterator[MailNotifier]:
    """Whoever is told by this mail server, without login."""
    implicit = mailbox.context if mailbox.security == "tls" else None
    server = await asyncio.start_server(mailbox.serve, "127.0.0.1", 0, ssl=implicit)
    mailbox.port = server.sockets[0].getsockname()[1]
    to = ("security@crm.example",)
    yield MailNotifier("localhost", mailbox.port, "lockgate@crm.example", to, security=mailbox.security)
    server.close()
    async with asyncio.timeout(5):
        await server.wait_closed()


async def test_it_arrives(notice: Notice) -> None:
    mailbox = Mailbox()
    async with serving(mailbox) as notifier:
        await mail.deliver(notifier, notice, "", 5.0)
    made = mailbox.only
    assert made["Subject"] == "[lockgate] Approval needed: agent-7 asks for POST crm /refunds"
    assert (made["From"], made["To"]) == ("lockgate@crm.example", "security@crm.example")
    assert made["Auto-Submitted"] == "auto-generated"
    lines = made.get_content().splitlines()
    assert {"Why it is held: Refunds above 500 need finance.", notice.link} <= set(lines)
    assert mailbox.said("clear") == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_nothing_goes_in_the_clear(
    notice: Notice, authority: Authority, security: Literal["starttls", "tls"]
) -> None:
    mailbox = Mailbox(security, authority.server_context("localhost"))
    async with serving(mailbox) as notifier:
        known = replace(notifier, user="lockgate", password=SecretSource("env", "MAIL"), ca=authority.pem)
        await mail.deliver(known, notice, PASSWORD, 5.0)
    assert mailbox.said("clear") == (["EHLO", "STARTTLS"] if security == "starttls" else [])
    assert mailbox.said("tls") == ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]
    (login,) = (line for _, line in mailbox.commands if line.startswith("AUTH"))
    assert base64.b64decode(login.split()[-1]) == f"\0lockgate\0{PASSWORD}".encode()


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("fault", ["another-ca", "another-name", "missing-ca", "public-cas"])
async def test_its_certificate_is_verified(
    notice: Notice,
    authority: Authority,
    tmp_path: Path,
    security: Literal["starttls", "tls"],
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))  # it counts for nothing
    name = "other.example" if fault == "another-name" else "localhost"
    trusted = {"another-ca": Authority(tmp_path).pem, "missing-ca": tmp_path / "missing.pem", "public-cas": None}
    mailbox = Mailbox(security, authority.server_context(name))
    async with serving(mailbox) as notifier:
        known = replace(notifier, user="lockgate", ca=trusted.get(fault, authority.pem))
        with pytest.raises(NotDelivered, match="cannot be used" if fault == "missing-ca" else "does not verify"):
            await mail.deliver(known, notice, PASSWORD, 5.0)
    assert not {"AUTH", "MAIL"} & {*mailbox.said("clear"), *mailbox.said("tls")}


@pytest.mark.parametrize(
    "says",
    [
        pytest.param({}, id="not-offered"),
        pytest.param({"EHLO": "250-here\r\n250 STARTTLS", "STARTTLS": "454 not now"}, id="not-now"),
        pytest.param(
            {"EHLO": "250-here\r\n250 STARTTLS", "STARTTLS": "220 go on\r\n250 fine\r\n250 fine"}, id="pretended"
        ),
    ],
)
async def test_it_is_encrypted_or_not_sent(notice: Notice, says: dict[str, str]) -> None:
    """A server, or whoever stands between, that takes encryption away gets neither mail nor password."""
    mailbox = Mailbox(says=says)
    async with serving(mailbox) as notifier:
        with pytest.raises(NotDelivered) as failed:
            await mail.deliver(replace(notifier, security="starttls", user="lockgate"), notice, PASSWORD, 5.0)
    assert not {"AUTH", "MAIL", "DATA"} & set(mailbox.said("clear"))
    assert PASSWORD not in str(failed.value)


@pytest.mark.parametrize(
    ("says", "reason", "again"),
    [
        pytest.param({"MAIL": "554 no"}, "answered 554", False, id="sender"),
        pytest.param({"RCPT": "550 nobody"}, "takes no mail for them", False, id="nobody-there"),
        pytest.param({"RCPT": "451 later"}, "takes no mail for them", True, id="nobody-there-yet"),
        pytest.param({"DATA": "451 later"}, "answered 451", True, id="greylisted"),
        pytest.param({"RCPT TO:<ONE@": "550 nobody"}, "no mail for one@crm.example", False, id="one-of-two"),
        pytest.param({"AUTH": "535 no such password"}, "answered 535", False, id="login"),
        pytest.param({"EHLO": "x" * 20_000}, "answered 500", False, id="endless-line"),
    ],
)
async def test_it_is_refused(notice: Notice, says: dict[str, str], reason: str, again: bool) -> None:
    mailbox = Mailbox(says=says)
    async with serving(mailbox) as notifier:
        known = replace(notifier, to=("one@crm.example", "two@crm.example"), user="lockgate" if "AUTH" in says else "")
        with pytest.raises(NotDelivered, match=reason) as failed:
            await mail.deliver(known, notice, PASSWORD, 5.0)
    assert failed.value.again is again
    assert PASSWORD not in str(failed.value)


@pytest.mark.parametrize("goodbye", [pytest.param("421 what", id="error"), pytest.param("221-bye", id="unfinished")])
async def test_taken_is_taken(notice: Notice, goodbye: str) -> None:
    """Whatever it answers to the goodbye, the mail is not sent again, and nothing waits for the answer."""
    mailbox = Mailbox(says={"QUIT": goodbye})
    async with serving(mailbox) as notifier:
        started = time.monotonic()
        await mail.deliver(notifier, notice, "", 30.0)
        assert time.monotonic() - started < 30.0 * mail.ONE_WAIT
    assert len(mailbox.mail) == 1


@pytest.mark.parametrize("slow_at", ["greeting", "later", "handshake"])
async def test_it_has_its_time(notice: Notice, slow_at: str, authority: Authority) -> None:
    """A byte now and then would keep smtplib waiting for ever, since each read has its own time limit."""
    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if slow_at == "later":
                writer.write(b"220 here\r\n")
            while True:
                writer.write(b"2")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            ended.set()
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    security: Literal["tls", "none"] = "tls" if slow_at == "handshake" else "none"
    port = server.sockets[0].getsockname()[1]
    started = time.monotonic()
    with pytest.raises(NotDelivered) as failed:
        await mail.deliver(MailNotifier("127.0.0.1", port, "a@b.example", ("c@d.example",), security), notice, "", 0.5)
    assert time.monotonic() - started < 3.0
    assert failed.value.again
    async with asyncio.timeout(5):
        await ended.wait()
    await asyncio.get_running_loop().shutdown_default_executor(5)  # its thread has ended too
    server.close()


async def test_cut_before_it_is_connected() -> None:
    """There is no socket to shut down yet: what comes of the connection is let go."""
    cut = mail.Cut()
    cut()
    mailbox = Mailbox()
    async with serving(mailbox) as notifier:
        with pytest.raises(mail.smtplib.SMTPServerDisconnected):
            await asyncio.to_thread(mail.Client, cut, notifier.host, notifier.port, timeout=5.0)
        async with asyncio.timeout(5):
            await mailbox.ended.wait()


async def test_nobody_is_there(notice: Notice) -> None:
    async with serving(Mailbox()) as notifier:
        pass
    with pytest.raises(NotDelivered, match="cannot be reached") as failed:
        await mail.deliver(notifier, notice, "", 5.0)
    assert failed.value.again


async def test_hostile_text(hostile: Notice) -> None:
    """One mail, to whom it is meant for, with the header fields that it has always, in ASCII."""
    mailbox = Mailbox()
    async with serving(mailbox) as notifier:
        await mail.deliver(notifier, hostile, "", 5.0)
    assert mailbox.said("clear") == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert mailbox.mail[0].isascii()
    assert max(map(len, mailbox.mail[0].split(b"\r\n"))) <= 998
    made = mailbox.only
    known = {"from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"}
    assert {name.lower() for name in made} - {"content-transfer-encoding"} == known
    assert made.get_content_type() == "text/plain"
    assert made["To"] == "security@crm.example"
    assert made["Subject"].isprintable()
    assert len(made["Subject"]) <= mail.LONGEST_SUBJECT
    lines = made.get_content().splitlines()
    assert all(line.isprintable() for line in lines)
    assert lines[-1] == hostile.link
    assert len(lines) == len(made.get_content().split("\n")) - 1


@pytest.mark.parametrize("text", ["x\r\nBcc: evil@evil.example", "x\nSubject: other"])
def test_no_text_makes_a_header(notice: Notice, text: str) -> None:
    """Such text does not come here; where it did, there would be no mail rather than another one."""
    with pytest.raises(ValueError, match="linefeed"):
        mail.message(MailNotifier("h", 25, "a@b.example", ("c@d.example",)), replace(notice, requester=text))
