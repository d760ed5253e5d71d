"""Forms: `application/x-www-form-urlencoded` (WHATWG URL, 5.1), strictly, and what both kinds of form have alike. Pure.

A field that is given once has one meaning; which of several names are one to the laxest target, whoever asks for a
field has to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from lockgate.errors import BodyUnreadable
from lockgate.model import Form

TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 1000  # as of a query
CHARACTERS = bytes(set(range(0x21, 0x7F)) - {ord(";")})  # printable ASCII but what some separate fields by
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
CONTROL_IN_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # a value may have lines
CHARSET_FIELD = "_charset_"  # says what charset the others have (HTML, 4.10.21.5)


def parse(body: bytes) -> Form:
    """The form in `body`. Raises BodyUnreadable; its text quotes nothing of the body."""
    if body.translate(None, CHARACTERS):
        raise unreadable("it has a character that must be percent-encoded, such as a semicolon or a blank")
    if BROKEN_ESCAPE.search(body):
        raise unreadable("it has a % without two hex digits")
    return form(pair(field) for field in body.split(b"&", MAX_FIELDS)) if body else Form({})


def pair(field: bytes) -> tuple[str, str]:
    name, equals, value = field.partition(b"=")
    if not equals:
        raise unreadable("a field has no =")
    return text(unquote_to_bytes(name.replace(b"+", b" "))), text(unquote_to_bytes(value.replace(b"+", b" ")))


def text(data: bytes) -> str:
    """Raises BodyUnreadable unless it is UTF-8 without control characters, ends of lines and tabs apart."""
    try:
        found = data.decode("utf-8")
    except UnicodeDecodeError:
        raise unreadable("it is not UTF-8") from None
    if CONTROL.search(found):
        raise unreadable("it has a control character")
    return found


def form(pairs: Iterable[tuple[str, Any]]) -> Form:
    """The form of these fields in order. Raises BodyUnreadable for names that mean something else to some targets."""
    found: dict[str, list[Any]] = {}
    for count, (name, value) in enumerate(pairs, 1):
        if count > MAX_FIELDS:
            raise unreadable(f"it has more than {MAX_FIELDS} fields")
        if not name.strip():
            raise unreadable("a field has no name")
        if CONTROL_IN_NAME.search(name):
            raise unreadable("the name of a field has a control character")
        if name.strip().lower() == CHARSET_FIELD:
            raise unreadable("the field _charset_ says that it is in another charset")
        found.setdefault(name, []).append(value)
    return Form({name: tuple(values) for name, values in found.items()})


def unreadable(problem: str) -> BodyUnreadable:
    return BodyUnreadable(f"the body is no form that is read in one way: {problem}")
