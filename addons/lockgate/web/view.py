"""What an approval looks like on the page. Pure. Text from outside becomes HTML in `show` alone."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from itertools import groupby

from lockgate.approvals.approval import Shown
from lockgate.bodies.json import parse, render
from lockgate.bodies.visible import hex_dump, is_seen, spell
from lockgate.errors import BodyUnreadable

TAB = 4
INDENT = "  "
ROOM = 4  # times its own length that a document may take once it is indented, and a little
LEFT_OUT = re.compile(r"(\[redacted(?: [a-z_-]{1,40})?\])")  # what the gateway writes where it leaves something out


def show(text: str) -> str:
    """HTML of text from outside, of one line or several: what cannot be seen, or changes how the rest is read, is spelt
    out and marked; so is what was left out.
    """
    return "\n".join(map(show_line, text.split("\n")))


def show_line(line: str) -> str:
    line = line.removesuffix("\r").expandtabs(TAB)
    if line.isascii() and line.isprintable():
        return marked(line)
    return "".join(
        marked("".join(run)) if seen else f'<b class="hidden">{"".join(map(spell, run))}</b>'
        for seen, run in groupby(line, is_seen)
    )


def marked(text: str) -> str:
    parts = LEFT_OUT.split(text)
    return "".join(f'<mark class="out">{part}</mark>' if at % 2 else escape(part) for at, part in enumerate(parts))


def body_html(shown: Shown) -> str:
    """A request's body, whole. Of the largest it takes a good part of a second."""
    return show(body(shown))


def body(shown: Shown) -> str:
    """A request's body as text to look at: JSON indented, its numbers and the order of its keys as written; what is no
    text as a hex dump.
    """
    if shown.body_is == "binary":
        return "\n".join(hex_dump(b64decode(shown.body)))
    return indented(shown.body) if shown.body_is == "json" else shown.body


def indented(text: str) -> str:
    """A JSON document over several lines; as it is, where it is none, or would take up too much room."""
    try:
        document = parse(text.encode("utf-8"))
    except (BodyUnreadable, UnicodeEncodeError):
        return text
    room = ROOM * len(text) + 4096
    parts = []
    for part in pretty(document, "\n"):
        parts.append(part)
        room -= len(part)
        if room < 0:
            return text
    return "".join(parts)


def pretty(node: object, newline: str) -> Iterator[str]:
    """The parts of a document's text; `newline` ends a line and begins the next."""
    if not node or not isinstance(node, (dict, list)):
        yield render(node)
        return
    opening, closing = "{}" if isinstance(node, dict) else "[]"
    inner = newline + INDENT
    before = opening
    for key in node:
        yield before + inner
        if isinstance(node, dict):
            yield render(key) + ": "
            yield from pretty(node[key], inner)
        else:
            yield from pretty(key, inner)
        before = ","
    yield newline + closing


def span(seconds: float) -> str:
    """A length of time as it counts down: `9s`, `4m 05s`, `2h 10m`, `3d 4h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole // 60 % 60:02}m"
    return f"{whole // 86400}d {whole // 3600 % 24}h"


def duration(seconds: float) -> str:
    """As rules write it: `10m`, `1h`."""
    whole = int(seconds)
    unit, size = next((each for each in (("d", 86400), ("h", 3600), ("m", 60)) if whole % each[1] == 0), ("s", 1))
    return f"{whole // size}{unit}"


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def time_of_day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
