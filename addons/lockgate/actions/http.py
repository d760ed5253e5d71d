"""HTTP requests: one action, the method on the canonical path, with facts beside it. Pure.

Whatever two readers could take for two different things is refused here: a gateway that reads a path, a query or a
method in another way than the target decides about another request (RFC 3986, section 6; RFC 9110, section 9).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lockgate.errors import RequestUnreadable
from lockgate.model import HTTP_METHODS, Action, HttpFacts, Target, Unreadable

# pchar of RFC 3986 but `;`, which some targets cut a part at (`/admin;x`).
PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*")
QUERY = re.compile(r"(?:[!-\"$&-~]|%[0-9A-Fa-f]{2})*")  # visible ASCII without `#`; `%` only before two hex digits
ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
DOUBLE_ENCODING = re.compile(r"%25[0-9A-Fa-f]{2}")
UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Headers by which some targets take another method or path than the request line has.
OVERRIDES = frozenset(
    {"x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"}
)


def canonical_path(raw: str) -> str:
    """The one spelling of `raw`, a path without its query: unreserved characters decoded, escapes in capitals.

    Idempotent. Raises RequestUnreadable for what readers disagree about: dot segments, `//`, `;`, `\\`, `%2F`, `%5C`,
    `%00`, control and non-ASCII characters, broken escapes, escapes of what is not UTF-8, double encodings.
    """
    if not raw.startswith("/"):
        raise RequestUnreadable("the path does not start with /")
    require_path_characters(raw)
    path = ESCAPE.sub(normalised, raw)
    if DOUBLE_ENCODING.search(path):
        raise RequestUnreadable("the path is percent-encoded twice")
    require_text(path, "path")
    segments = path.split("/")[1:]
    if "." in segments or ".." in segments:
        raise RequestUnreadable("the path has a dot segment")
    if "" in segments[:-1]:
        raise RequestUnreadable("the path has an empty segment (//)")
    return path


def require_path_characters(raw: str) -> None:
    if PATH.fullmatch(raw):
        return
    if BROKEN_ESCAPE.search(raw):
        raise RequestUnreadable("the path has a % without two hex digits")
    for character, name in (("\\", "a backslash"), (";", "a semicolon")):
        if character in raw:
            raise RequestUnreadable(f"the path has {name}")
    if CONTROL.search(raw):
        raise RequestUnreadable("the path has a control character")
    if not raw.isascii():
        raise RequestUnreadable("the path has a character outside ASCII; percent-encode it")
    raise RequestUnreadable("the path has a character that must be percent-encoded")


def normalised(escape: re.Match[str]) -> str:
    """One escape as the canonical path has it."""
    character = chr(int(escape[1], 16))
    if UNRESERVED.fullmatch(character):
        return character
    if character in "/\\\x00":
        raise RequestUnreadable(f"the path has an encoded separator or NUL ({escape[0].upper()})")
    return escape[0].upper()


def require_text(escaped: str, where: str) -> str:
    """What `escaped` says. Raises RequestUnreadable unless it is UTF-8 without control characters."""
    octets = ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), escaped)
    try:
        text = octets.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise RequestUnreadable(f"the {where} is not UTF-8") from None
    if CONTROL.search(text):
        raise RequestUnreadable(f"the {where} has a control character")
    return text


def parse_query(raw: str) -> dict[str, tuple[str, ...]]:
    """The parameters of a query, every value of a name in order, read as forms are: `&` separates, `+` is a space.

    A name without `=` has the value "". `;` is data. Raises RequestUnreadable for broken escapes, what is not UTF-8,
    control and non-ASCII characters.
    """
    if not QUERY.fullmatch(raw):
        broken = BROKEN_ESCAPE.search(raw)
        raise RequestUnreadable(
            "the query has a % without two hex digits" if broken else "the query has a character that must be encoded"
        )
    found: dict[str, tuple[str, ...]] = {}
    for parameter in raw.split("&"):
        if parameter:
            name, _, value = (require_text(part.replace("+", " "), "query") for part in parameter.partition("="))
            found[name] = (*found.get(name, ()), value)
    return found


def read(
    method: str, target: Target, raw_path: str, headers: Sequence[tuple[str, str]], body: Any | Unreadable
) -> tuple[tuple[Action, ...], HttpFacts, str]:
    """What a request asks for: its actions, its facts, and the path and query to send on.

    `raw_path` is the path with its query, `body` the parsed document, `{}` where there is none. The path sent on is
    the canonical one, the query is as it was given. Raises RequestUnreadable.
    """
    if method not in HTTP_METHODS:
        raise RequestUnreadable(f"the method is none of {', '.join(sorted(HTTP_METHODS))}, in capitals")
    raw, mark, query = raw_path.partition("?")
    path = canonical_path(raw)
    facts = HttpFacts(
        method=method,
        host=target.host,
        path=path,
        query=parse_query(query),
        headers=by_name(headers),
        body=body,
    )
    return (Action(method, target.name, path),), facts, path + mark + query


def by_name(headers: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Header fields by lower-case name, every value in order. Raises RequestUnreadable for one that overrides."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in headers:
        name = name.lower()
        if name in OVERRIDES:
            raise RequestUnreadable(f"the header {name} asks for another method or path than the request line")
        found[name] = (*found.get(name, ()), value.strip(" \t"))
    return found
