"""The body of an HTTP request: its type, what rules read of it, and whether it asks for another method. Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from lockgate.actions.head import Fields, values
from lockgate.actions.http import METHOD_PARAMETER
from lockgate.bodies import content_type, forms, json, multipart
from lockgate.bodies.content_type import ContentType
from lockgate.errors import BodyUnreadable, ContentTypeNotAccepted, RequestUnreadable
from lockgate.model import Form, Target, Unreadable

JSON = "application/json"
READ_TYPES = (JSON, forms.TYPE, multipart.TYPE)

# Where a lenient reader may find the name of a field by which Rails, Laravel, Spring and others take another method.
METHOD_FIELD = re.compile(rb"[_.\[](?<![a-z0-9_-].)method\b")
ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")  # JSON's escape of a character that needs none


def read(fields: Fields, body: bytes, target: Target, *, restricted: bool, wanted: bool) -> Any | Form | Unreadable:
    """What rules read of a decoded body: the JSON document or the form, `Unreadable`, `{}` for none or one not wanted.

    `restricted` is whether any rule at the target reads bodies: then it takes those types only that are read, and those
    that it lists. `wanted` is whether a rule reads this one.

    Raises:
        ContentTypeNotAccepted: its type has no single meaning, is not taken there, or is a form's in another charset.
        RequestUnreadable: it asks for another method than the request line.
    """
    if not body:
        return {}
    kind = content_type.only(values(fields, "content-type"))
    require_accepted(kind, target, restricted)
    taken = taken_for(kind)
    found: Any | Form | Unreadable = {}
    if taken is not None and (wanted or may_ask_for_method(taken, body)):
        found = parsed(taken, kind, body)
        if not isinstance(found, Unreadable) or may_ask_for_method(taken, body):
            require_no_method(found)
    if not wanted:
        return {}
    return found if is_read(kind, target) else Unreadable("its Content-Type is none that rules read")


def require_accepted(kind: ContentType | None, target: Target, restricted: bool) -> None:
    """Raise ContentTypeNotAccepted."""
    if kind is not None and kind.essence in (forms.TYPE, multipart.TYPE) and not kind.is_utf_8:
        raise ContentTypeNotAccepted("a form is taken in UTF-8 only")
    if restricted and (kind is None or kind.essence not in (*READ_TYPES, *target.content_types)):
        accepted = ", ".join([*READ_TYPES, *sorted(target.content_types)])
        raise ContentTypeNotAccepted(f"this target takes {accepted} only")


def taken_for(kind: ContentType | None) -> str | None:
    """What a lenient target takes a body for: Rack reads a form where no type is said, Laravel JSON where its name is
    in the type.
    """
    if kind is None:
        return forms.TYPE
    if "json" in kind.essence:
        return JSON
    return kind.essence if kind.essence in READ_TYPES else None


def is_read(kind: ContentType | None, target: Target) -> bool:
    """Whether rules read bodies of this type."""
    if kind is None or kind.essence == multipart.TYPE:
        return kind is not None
    listed = kind.essence in target.content_types and kind.essence.endswith("+json")
    return kind.is_plain and (listed or kind.essence in READ_TYPES)


def parsed(taken: str, kind: ContentType | None, body: bytes) -> Any | Form | Unreadable:
    try:
        if taken == JSON:
            return json.parse(body, one_letter_case=True)
        if taken == multipart.TYPE and kind is not None:
            return multipart.parse(body, kind)
        return forms.parse(body)
    except BodyUnreadable as unreadable:
        return Unreadable(str(unreadable))


def may_ask_for_method(taken: str, body: bytes) -> bool:
    """Whether a lenient reader may find a field or member `_method`; where not, there is none."""
    if taken == JSON:
        return b'"_method"' in body.lower() or ESCAPED_ASCII.search(body) is not None
    plain = unquote_to_bytes(body) if b"%" in body else body
    return METHOD_FIELD.search(plain.lower()) is not None


def require_no_method(found: Any | Form | Unreadable) -> None:
    """Raise RequestUnreadable where what may ask for another method does, or cannot be read."""
    names = found.fields if isinstance(found, Form) else found
    if isinstance(found, Unreadable) or (
        isinstance(names, dict) and any(METHOD_PARAMETER.match(name) for name in names)
    ):
        raise RequestUnreadable("the body has a field _method, which asks for another method than the request line")
