"""Content-Type (RFC 9110, 8.3), read in the one way that every reader agrees about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lockgate.errors import ContentTypeNotAccepted

# RFC 9110, 5.6.2, but `*`: parameters that have one in their name (RFC 8187, RFC 2231) are read in two ways.
TOKEN = r"[A-Za-z0-9!#$%&'+.^_`|~-]++"
QUOTED = r'"[^"\\\x00-\x1f\x7f]*+"'  # without escapes, which some readers leave as they are
PARAMETER = re.compile(rf"[ \t]*+;[ \t]*+({TOKEN})=({TOKEN}|{QUOTED})")
WHOLE = re.compile(rf"({TOKEN}/{TOKEN})((?:{PARAMETER.pattern})*+)(?:[ \t]*+;)?")
UTF_8 = "utf-8"


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type, in lower case, and its parameters by lower-case name."""

    essence: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_utf_8(self) -> bool:
        """Whether its charset is UTF-8, said or not."""
        return self.parameters.get("charset", UTF_8).lower() == UTF_8

    @property
    def is_plain(self) -> bool:
        """Whether it says nothing beside the type but that it is UTF-8: another parameter might change its meaning."""
        return self.is_utf_8 and self.parameters.keys() <= {"charset"}


def parse(value: str) -> ContentType:
    """The one reading of a Content-Type. Raises ContentTypeNotAccepted: it has none, or a parameter twice."""
    found = WHOLE.fullmatch(value.strip(" \t"))
    if found is None:
        raise ContentTypeNotAccepted("the Content-Type cannot be read in one way")
    parameters: dict[str, str] = {}
    for name, text in PARAMETER.findall(found[2]):
        if name.lower() in parameters:
            raise ContentTypeNotAccepted("the Content-Type has a parameter twice")
        parameters[name.lower()] = text[1:-1] if text.startswith('"') else text
    return ContentType(found[1].lower(), parameters)


def only(values: Iterable[str]) -> ContentType | None:
    """The Content-Type of a message, of all its fields of that name; None where there is none.

    Raises ContentTypeNotAccepted: one cannot be read in one way, or there are several.
    """
    found = list(values)
    if len(found) > 1:
        raise ContentTypeNotAccepted("there are several Content-Types")
    return parse(found[0]) if found else None


def media_type(value: str | None) -> str | None:
    """The media type of a Content-Type that says nothing else but UTF-8; None of any other, and where there is none."""
    try:
        found = parse(value) if value is not None else None
    except ContentTypeNotAccepted:
        return None
    return found.essence if found is not None and found.is_plain else None
