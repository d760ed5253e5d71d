"""A notice by mail (SMTP, RFC 5321), encrypted unless it stays on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Any

from lockgate.errors import NotDelivered, Unanswered
from lockgate.model import MailNotifier
from lockgate.notify.notice import Notice, details, headline
from lockgate.outbound import trust

LONGEST_SUBJECT = 150  # characters
ONE_WAIT = 0.4  # of the time of a delivery, for one wait in it: a server that is not there uses up no thread for long
POLICY = SMTP.clone(cte_type="7bit")  # not every server takes eight bits


async def deliver(notifier: MailNotifier, notice: Notice, password: str, seconds: float) -> None:
    """Raises NotDelivered."""
    cut = Cut()
    try:
        async with asyncio.timeout(seconds):
            await asyncio.to_thread(send, notifier, message(notifier, notice), password, seconds * ONE_WAIT, cut)
    except TimeoutError:
        raise NotDelivered(f"the mail server was not done after {seconds:g} seconds") from None
    finally:
        cut()


def message(notifier: MailNotifier, notice: Notice) -> EmailMessage:
    """Raises ValueError for text of several lines where a header would have it."""
    made = EmailMessage(policy=POLICY)
    made["From"] = notifier.sender
    made["To"] = ", ".join(notifier.to)
    made["Subject"] = f"[lockgate] {headline(notice)}"[:LONGEST_SUBJECT]
    made["Date"] = formatdate()
    made["Message-ID"] = make_msgid(domain="lockgate.invalid")
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834
    lines = [headline(notice), "", *(f"{name}: {value}" for name, value in details(notice))]
    made.set_content("\n".join([*lines, "", notice.link]) + "\n")
    return made


class Cut:
    """Ends a delivery from outside its thread: smtplib has time limits of single reads only, so that a server that
    answers a byte now and then would keep the thread for ever.
    """

    def __init__(self) -> None:
        self.done = False
        self.client: smtplib.SMTP | None = None

    def __call__(self) -> None:
        self.done = True
        wire = self.client.sock if self.client else None
        if wire is not None:
            with contextlib.suppress(OSError):  # it is closed already
                # Not SSLSocket's own: that lets go of TLS first, and what is written just then would go in the clear.
                socket.socket.shutdown(wire, socket.SHUT_RDWR)


class Client(smtplib.SMTP):
    def __init__(self, cut: Cut, host: str, port: int, **options: Any) -> None:
        self._cut = cut
        cut.client = self
        super().__init__(host, port, **options)

    def getreply(self) -> tuple[int, bytes]:
        """What is cut while it connects has nothing to shut down yet: it ends here."""
        if self._cut.done:
            self.close()
            raise smtplib.SMTPServerDisconnected("cut off")
        return super().getreply()


class TlsClient(Client, smtplib.SMTP_SSL):
    """Encrypted from the first byte (RFC 8314)."""


def send(notifier: MailNotifier, mail: EmailMessage, password: str, one_wait: float, cut: Cut) -> None:
    """Blocks. Raises NotDelivered."""
    try:
        refused = sent(notifier, mail, password, one_wait, cut)
    except Unanswered as unusable:
        raise NotDelivered(str(unusable), again=False) from None
    except smtplib.SMTPRecipientsRefused as error:
        raise NotDelivered("the mail server takes no mail for them", again=any_later(error.recipients)) from None
    except smtplib.SMTPNotSupportedError:
        raise NotDelivered("the mail server offers no encryption, or no login, as it is set up", again=False) from None
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(f"the mail server answered {error.smtp_code}", again=error.smtp_code < 500) from None
    except smtplib.SMTPException as error:
        raise NotDelivered(f"the mail server did not take it ({type(error).__name__})") from None
    except ssl.SSLCertVerificationError:
        reason = "the mail server's certificate does not verify; name the CA with ca, where it is one of your own"
        raise NotDelivered(reason) from None
    except OSError as error:
        raise NotDelivered(f"the mail server cannot be reached ({type(error).__name__})") from None
    if refused:  # the others have it, so that it is not tried again
        raise NotDelivered(f"the mail server takes no mail for {', '.join(refused)}", again=False)


def sent(
    notifier: MailNotifier, mail: EmailMessage, password: str, one_wait: float, cut: Cut
) -> Mapping[str, tuple[int, bytes]]:
    """Whom the server refused, of several. Raises smtplib's errors, OSError, and Unanswered where `ca` is unusable."""
    context = None if notifier.security == "none" else trust(notifier.ca)
    if notifier.security == "tls":
        server: Client = TlsClient(cut, notifier.host, notifier.port, timeout=one_wait, context=context)
    else:
        server = Client(cut, notifier.host, notifier.port, timeout=one_wait)
    try:
        if notifier.security == "starttls":
            server.starttls(context=context)
        if notifier.user:
            server.login(notifier.user, password)
        refused = server.send_message(mail)
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.putcmd("QUIT")  # its answer would change nothing: the mail has been taken
        return refused
    finally:
        server.close()


def any_later(refused: Mapping[str, tuple[int, bytes]]) -> bool:
    """Whether one of the refusals is only for now."""
    return any(code < 500 for code, _ in refused.values())
