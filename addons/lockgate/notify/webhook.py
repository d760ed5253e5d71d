"""A notice to any URL: JSON, signed, so that whoever gets it knows whose it is and that it is fresh.

The header `Lockgate-Signature: t=SECONDS,v1=HEX` has the HMAC-SHA256 of `SECONDS.BODY` (as Stripe and others do it).
"""

from __future__ import annotations

import hmac
import json

from lockgate.errors import NotDelivered, Unanswered
from lockgate.model import WebhookNotifier
from lockgate.notify.notice import Notice
from lockgate.outbound import ask

AGAIN = frozenset({408, 425, 429})


async def deliver(notifier: WebhookNotifier, notice: Notice, secret: str, ends_at: float, now: float) -> None:
    """`ends_at` is by the clock of the loop, `now` seconds since the epoch. Raises NotDelivered."""
    body = json.dumps(notice.document()).encode()
    headers = {"Content-Type": "application/json", "Lockgate-Signature": signature(body, secret, int(now))}
    await post(notifier.url, body, headers, ends_at, notifier)


def signature(body: bytes, secret: str, now: int) -> str:
    made = hmac.digest(secret.encode(), f"{now}.".encode() + body, "sha256").hex()
    return f"t={now},v1={made}"


async def post(
    url: str, body: bytes, headers: dict[str, str], ends_at: float, notifier: WebhookNotifier | None = None
) -> None:
    """Raises NotDelivered, which does not name the URL: it may be a secret."""
    try:
        ca = notifier.ca if notifier else None
        reply = await ask("POST", url, ends_at=ends_at, largest=64 * 1024, headers=headers, content=body, ca=ca)
    except Unanswered as unanswered:
        raise NotDelivered(str(unanswered)) from None
    if not 200 <= reply.status < 300:
        again = reply.status >= 500 or reply.status in AGAIN
        raise NotDelivered(f"it answered {reply.status}", again=again)
