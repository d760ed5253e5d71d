"""JSON over several lines, for people: its white space is laid out, everything else stays as it is written. Pure."""

from __future__ import annotations

import re

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
INDENT = "  "


def laid_out(text: str) -> list[str]:
    """The lines of `text`, which is JSON: one for each member. Not parsed and written again: numbers, escapes and keys
    are those that are sent.
    """
    lines, line, depth, before = [], "", 0, ""
    for token in TOKEN.findall(text):
        if token in "}]":
            depth -= 1
        opened, closes = before in ("{", "["), token in ("}", "]")
        if (opened and not closes) or (closes and not opened) or before == ",":
            lines.append(line)
            line = INDENT * depth
        line += f"{token} " if token == ":" else token
        if token in "{[":
            depth += 1
        before = token
    return [*lines, line]
