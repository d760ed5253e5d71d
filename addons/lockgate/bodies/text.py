"""Bodies of type text/*, strictly decoded: one charset, of those that are told apart without guessing."""

from __future__ import annotations

import re
from email.message import Message

from lockgate.errors import BodyUnreadable

# RFC 2046, 4.1.2, and the WHATWG's encodings: names that mean the same everywhere.
CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1"}
TYPE = re.compile(r"text/[a-z0-9!#$&^_.+-]+")  # RFC 6838, 4.2


def is_text(content_type: str | None) -> bool:
    """Whether a Content-Type is of ordinary text. An event stream is not: it is read event by event. Neither is what
    names JSON, in which a value may be escaped.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    return TYPE.fullmatch(kind) is not None and kind != "text/event-stream" and "json" not in kind


def charset_of(content_type: str | None) -> str:
    """The codec to read a text with; UTF-8 where its type does not say.

    Raises BodyUnreadable for one not known, and for two: readers disagree which of them counts.
    """
    named = [value for name, value in parsed(content_type).get_params([]) if name.lower() == "charset"]
    if not named:
        return "utf-8"
    try:
        (charset,) = named
        return CHARSETS[str(charset).lower()]
    except (KeyError, ValueError):
        raise BodyUnreadable("its charset is not one that is read: utf-8, us-ascii or iso-8859-1") from None


def decode(body: bytes, content_type: str | None) -> str:
    """The text. Raises BodyUnreadable."""
    try:
        return body.decode(charset_of(content_type))
    except UnicodeDecodeError:
        raise BodyUnreadable("it is not of the charset its type says") from None


def encode(text: str, content_type: str | None) -> bytes:
    """The text as it was encoded. Raises BodyUnreadable where it cannot be any more."""
    try:
        return text.encode(charset_of(content_type))
    except UnicodeEncodeError:
        raise BodyUnreadable("its charset has no room for what takes a value's place") from None


def parsed(content_type: str | None) -> Message:
    message = Message()
    message["content-type"] = content_type or "application/octet-stream"
    return message
