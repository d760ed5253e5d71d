"""A notice by mail (SMTP, RFC 5321), encrypted unless it stays on this machine."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from lockgate.errors import NotDelivered
from lockgate.model import MailNotifier
from lockgate.notify.notice import Notice, details, headline

LONGEST_SUBJECT = 150  # characters


async def deliver(notifier: MailNotifier, notice: Notice, password: str, seconds: float) -> None:
    """Raises NotDelivered."""
    await asyncio.to_thread(send, notifier, message(notifier, notice), password, seconds)


def message(notifier: MailNotifier, notice: Notice) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"] = notifier.sender
    made["To"] = ", ".join(notifier.to)
    made["Subject"] = f"[lockgate] {headline(notice)}"[:LONGEST_SUBJECT]
    made["Date"] = formatdate()
    made["Message-ID"] = make_msgid(domain="lockgate.invalid")
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834
    lines = [headline(notice), "", *(f"{name}: {value}" for name, value in details(notice))]
    made.set_content("\n".join([*lines, "", notice.link]) + "\n")
    return made


def send(notifier: MailNotifier, mail: EmailMessage, password: str, seconds: float) -> None:
    """Blocks. Raises NotDelivered."""
    try:
        context = ssl.create_default_context(cafile=notifier.ca)
        if notifier.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(notifier.host, notifier.port, timeout=seconds, context=context)
        else:
            server = smtplib.SMTP(notifier.host, notifier.port, timeout=seconds)
        with server:
            if notifier.security == "starttls":
                server.starttls(context=context)
            if notifier.user:
                server.login(notifier.user, password)
            server.send_message(mail)
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(f"the mail server answered {error.smtp_code}", again=error.smtp_code < 500) from None
    except smtplib.SMTPException as error:
        raise NotDelivered(f"the mail server did not take it ({type(error).__name__})") from None
    except (OSError, ssl.SSLError) as error:
        raise NotDelivered(f"the mail server cannot be reached ({type(error).__name__})") from None
