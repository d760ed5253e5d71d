"""A notice to any URL: JSON, signed, so that whoever gets it knows whose it is and that it is fresh.

The header `Lockgate-Signature: t=SECONDS,v1=HEX` has the HMAC-SHA256 of `SECONDS.BODY` (as Stripe and others do it).
"""

from __future__ import annotations

import hmac
import json
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path

from lockgate.errors import NotDelivered, Unanswered
from lockgate.model import WebhookNotifier
from lockgate.notify.notice import Notice
from lockgate.outbound import ask

AGAIN = frozenset({408, 425, 429})


async def deliver(notifier: WebhookNotifier, notice: Notice, secret: str, ends_at: float, now: float) -> None:
    """`ends_at` is by the clock of the loop, `now` seconds since the epoch. Raises NotDelivered."""
    body = json.dumps(notice.document()).encode()
    headers = {"Lockgate-Signature": signature(body, secret, int(now))}
    await post(notifier.url, body, ends_at, now, headers=headers, ca=notifier.ca)


def signature(body: bytes, secret: str, now: int) -> str:
    made = hmac.digest(secret.encode(), f"{now}.".encode() + body, "sha256").hex()
    return f"t={now},v1={made}"


async def post(
    url: str,
    body: bytes,
    ends_at: float,
    now: float,
    *,
    headers: dict[str, str] | None = None,
    ca: Path | None = None,
) -> None:
    """It is delivered as soon as the status says so: what else is answered is not read.

    Raises NotDelivered, which does not name the URL: it may be a secret.
    """
    fields = {"Content-Type": "application/json", **(headers or {})}
    try:
        reply = await ask("POST", url, ends_at=ends_at, largest=0, headers=fields, content=body, ca=ca)
    except Unanswered as unanswered:
        raise NotDelivered(str(unanswered)) from None
    if not 200 <= reply.status < 300:
        again = reply.status >= 500 or reply.status in AGAIN
        raise NotDelivered(f"it answered {reply.status}", again=again, after=seconds_of(reply.retry_after, now))


def seconds_of(retry_after: str | None, now: float) -> float:
    """For how long a server wants to be left alone: seconds, or a date (RFC 9110, 10.2.3); 0 where it says neither."""
    if retry_after is None:
        return 0.0
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
        return max((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return 0.0
