from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from lockgate.errors import NotDelivered
from lockgate.notify import slack
from lockgate.notify.notice import Notice


async def test_it_is_posted(hook: Any, notice: Notice) -> None:
    await slack.deliver(notice, hook.url, asyncio.get_running_loop().time() + 5, 0.0)
    ((_, body),) = hook.got
    assert json.loads(body) == slack.message(notice)


@pytest.mark.parametrize(
    "url", ["http://hooks.slack.example/T0/s3cret", "s3cret", "", "https://a b", "http://localhost.evil.example/"]
)
async def test_its_url_is_no_url(notice: Notice, url: str) -> None:
    """Nothing goes in the clear, or elsewhere: the URL is the secret."""
    with pytest.raises(NotDelivered, match="no https URL") as failed:
        await slack.deliver(notice, url, asyncio.get_running_loop().time() + 5, 0.0)
    assert not failed.value.again
    assert "s3cret" not in str(failed.value)


def test_hostile_text(hostile: Notice) -> None:
    """What is no plain text is ours, but for the line that phones show: that has no markup."""
    made = slack.message(hostile)
    literal, link = made["blocks"]
    assert (literal["text"]["type"], len(literal["text"]["text"]) <= 3000) == ("plain_text", True)
    assert link["text"]["text"] == "<https://approvals.example/approvals/a1|Look at it and decide>"
    assert not {"<", ">"} & set(made["text"])
    assert (made["mrkdwn"], made["unfurl_links"], made["unfurl_media"], "link_names" in made) == (False,) * 4
    assert len(made["text"]) <= 4000
    assert all(line.isprintable() for line in literal["text"]["text"].split("\n"))


@pytest.mark.parametrize("text", ["<!channel>", "<https://evil.example|x>", "*bold* `code`", "&lt;!here&gt;", "@here"])
def test_what_an_agent_wrote_is_no_markup(notice: Notice, text: str) -> None:
    made = slack.message(replace(notice, requester=text, action=text))
    literal, link = made["blocks"]
    assert (literal["text"]["type"], literal["text"]["emoji"]) == ("plain_text", False)
    assert text in literal["text"]["text"]
    assert text not in link["text"]["text"]
    assert "<" not in made["text"]


def test_without_a_page_there_is_no_link(notice: Notice) -> None:
    assert len(slack.message(replace(notice, link=""))["blocks"]) == 1
