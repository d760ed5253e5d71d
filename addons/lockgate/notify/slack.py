"""A notice in Slack, by an incoming webhook (https://api.slack.com/messaging/webhooks).

What an agent wrote stands in `plain_text`, in which nothing is a link, a mention or a format.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lockgate.errors import NotDelivered
from lockgate.notify.notice import Notice, details, headline
from lockgate.notify.webhook import post

LONGEST = 2900  # characters of a section
# In the clear only on this machine.
URL = re.compile(r"https://[!-~]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?/[!-~]*")


async def deliver(notice: Notice, url: str, ends_at: float, now: float) -> None:
    """`url` is a secret. `ends_at` is by the clock of the loop, `now` seconds since the epoch. Raises NotDelivered."""
    if not URL.fullmatch(url):
        raise NotDelivered("what is kept as its URL is no https URL", again=False)
    await post(url, json.dumps(message(notice)).encode(), ends_at, now)


def message(notice: Notice) -> dict[str, Any]:
    lines = [headline(notice), *(f"{name}: {value}" for name, value in details(notice))]
    text = {"type": "plain_text", "text": "\n".join(lines)[:LONGEST], "emoji": False}
    blocks: list[dict[str, Any]] = [{"type": "section", "text": text}]
    if notice.link:
        link = {"type": "mrkdwn", "text": f"<{escaped(notice.link)}|Look at it and decide>"}
        blocks.append({"type": "section", "text": link})
    # `text` is what phones and screen readers show in place of the blocks.
    quiet = {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
    return {"text": escaped(headline(notice)), "blocks": blocks, **quiet}


def escaped(text: str) -> str:
    """https://api.slack.com/reference/surfaces/formatting#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
