from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from lockgate.cli.whatif_page import POLICY, page

TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "p",
    "code",
    "table",
    "tr",
    "th",
    "td",
    "ul",
    "li",
}
ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</code></td></table><iframe src=//evil.example>",
    "</style><svg onload=alert(1)>",
    "<!--",
    "&lt;script&gt;",
    "javascript:alert(1)",
    "\x00<b>",
]


def result(text: str = "x") -> dict[str, Any]:
    names = ("kind", "role", "rule_then", "rule_now", "example", "request", "why")
    return {
        "generation": text,
        **dict.fromkeys(("requests", "same", "newly_allowed", "unmasked", "unknown", "damaged"), 1),
        "not_kept": {text: 1},
        "rules_not_kept": [text],
        "groups": [{**dict.fromkeys(names, text), "requests": 1}],
        "rules_that_match_no_more": [text],
        "rules_gone": [text],
    }


class Reader(HTMLParser):
    """What a browser makes of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@pytest.mark.parametrize("text", ATTACKS)
def test_no_text_is_anything_else(text: str) -> None:
    found, plain = read(page(result(text))), read(page(result()))
    assert found.tags == plain.tags <= TAGS
    assert found.attributes == plain.attributes == {"lang", "charset", "http-equiv", "content", "name", "class"}
    assert found.text.count(text) == 12


def test_it_loads_nothing_and_runs_nothing() -> None:
    html = page(result())
    assert POLICY == "default-src 'none'; style-src 'unsafe-inline'"
    assert "Content-Security-Policy" in html
    assert "http" not in html.replace("http-equiv", "")
    assert "url(" not in html


def test_what_lets_more_through_stands_out() -> None:
    wider = {**result(), "groups": [{**result()["groups"][0], "kind": "deny -> allow"}]}
    assert '<h2 class="wider">deny -&gt; allow</h2>' in page(wider)
    narrower = {**result(), "groups": [{**result()["groups"][0], "kind": "allow -> deny"}]}
    assert "<h2>allow -&gt; deny</h2>" in page(narrower)
