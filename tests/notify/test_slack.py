from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from lockgate.notify import slack
from lockgate.notify.notice import Notice


async def test_it_is_posted(hook: Any, notice: Notice) -> None:
    await slack.deliver(notice, hook.url, asyncio.get_running_loop().time() + 5)
    ((_, body),) = hook.got
    assert json.loads(body) == slack.message(notice)


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
