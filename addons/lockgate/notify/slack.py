"""A notice in Slack, by an incoming webhook (https://api.slack.com/messaging/webhooks).

What an agent wrote stands in `plain_text`, in which nothing is a link, a mention or a format.
"""

from __future__ import annotations

import json
from typing import Any

from lockgate.notify.notice import Notice, details, headline
from lockgate.notify.webhook import post

LONGEST = 2900  # characters of a section


async def deliver(notice: Notice, url: str, ends_at: float) -> None:
    """Raises NotDelivered."""
    await post(url, json.dumps(message(notice)).encode(), {"Content-Type": "application/json"}, ends_at)


def message(notice: Notice) -> dict[str, Any]:
    lines = [headline(notice), *(f"{name}: {value}" for name, value in details(notice))]
    text = {"type": "plain_text", "text": "\n".join(lines)[:LONGEST], "emoji": False}
    blocks: list[dict[str, Any]] = [{"type": "section", "text": text}]
    if notice.link:
        link = {"type": "mrkdwn", "text": f"<{escaped(notice.link)}|Look at it and decide>"}
        blocks.append({"type": "section", "text": link})
    return {"text": escaped(headline(notice))[:LONGEST], "blocks": blocks, "unfurl_links": False}


def escaped(text: str) -> str:
    """https://api.slack.com/reference/surfaces/formatting#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
