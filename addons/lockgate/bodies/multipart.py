"""`multipart/form-data` (RFC 7578), strictly: what any two readers would cut or name in two ways is refused. Pure.

The parsers that are at hand look for what they can make sense of; this one for what cannot be read otherwise.
"""

from __future__ import annotations

import re
from typing import Any

from lockgate.bodies import content_type, forms
from lockgate.bodies.content_type import ContentType
from lockgate.bodies.forms import MAX_FIELDS, unreadable
from lockgate.errors import ContentTypeNotAccepted
from lockgate.model import Form

TYPE = "multipart/form-data"
# RFC 2046, 5.1.1, but the blank: some cut one off.
BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
CRLF = b"\r\n"
MAX_HEAD = 4096  # bytes, of a part
FIELD = re.compile(r"([A-Za-z-]++):([^\x00-\x08\x0a-\x1f\x7f]*+)")
# No escape (`\"`, `%22`, `=?utf-8?...`): readers undo it or not. No `;`: some cut there, in quotes too.
VALUE = r'(?:[A-Za-z0-9_.-]++|"(?!=\?)(?:[^"\\;%\x00-\x1f\x7f]|%(?![0-9A-Fa-f]{2}))++")'
DISPOSITION = re.compile(rf"form-data((?:[ \t]*+;[ \t]*+(?:name|filename)={VALUE})++)", re.IGNORECASE)
PARAMETER = re.compile(rf"(name|filename)=({VALUE})", re.IGNORECASE)
TEXT_TYPE = "text/plain"
FILE_TYPE = "application/octet-stream"  # where a file says nothing (RFC 7578, 4.4, as browsers have it)


def parse(body: bytes, kind: ContentType) -> Form:
    """The form in `body`, whose Content-Type is `kind`. A file's content is opaque: any bytes.

    Raises BodyUnreadable; its text quotes nothing of the body.
    """
    return forms.form([part(each) for each in cut(body, boundary_of(kind))])


def boundary_of(kind: ContentType) -> str:
    boundary = kind.parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary) or not kind.is_utf_8 or not kind.parameters.keys() <= {"boundary", "charset"}:
        raise unreadable("its Content-Type must have a boundary, of RFC 2046's characters but blanks, and nothing else")
    return boundary


def cut(body: bytes, boundary: str) -> list[bytes]:
    """The parts, head and content, between delimiters that stand on lines of their own; the boundary nowhere else."""
    before, *between = body.split(b"--" + boundary.encode("ascii"), MAX_FIELDS + 2)
    if before:
        raise unreadable("something stands before the first part")
    if len(between) > MAX_FIELDS + 1:
        raise unreadable(f"it has more than {MAX_FIELDS} parts, or its boundary in them")
    if len(between) < 2 or between[-1] not in (b"--", b"--" + CRLF):
        raise unreadable("its last part is not ended, or something stands behind it")
    parts = between[:-1]
    # An empty part is one line end, which is not that of its delimiter and its end at once.
    if any(len(each) < 2 * len(CRLF) or each[:2] != CRLF or each[-2:] != CRLF for each in parts):
        raise unreadable("a boundary is not on a line of its own, ended by CRLF")
    return [each[2:-2] for each in parts]


def part(data: bytes) -> tuple[str, Any]:
    """The name of a part and its value: text, or a description of its file."""
    head, blank_line, content = data.partition(2 * CRLF)
    if not blank_line or len(head) > MAX_HEAD:
        raise unreadable(f"a part has no head of at most {MAX_HEAD} bytes with a blank line behind it")
    fields = fields_of(head)
    name, filename = named(fields.pop("content-disposition", ""))
    kind = type_of(fields.pop("content-type", None))
    if fields.pop("content-length", str(len(content))) != str(len(content)):
        raise unreadable("a part's length is not what it says")
    if fields:
        raise unreadable("a part has a field beside Content-Disposition, Content-Type and Content-Length")
    if filename is not None:
        return name, {"filename": filename, "type": kind.essence if kind else FILE_TYPE, "size": len(content)}
    if kind is not None and not (kind.essence == TEXT_TYPE and kind.is_plain):
        raise unreadable("a part that is no file is not text/plain in UTF-8")
    return name, forms.text(content)


def fields_of(head: bytes) -> dict[str, str]:
    """The header fields of a part by lower-case name, each once, none folded."""
    found: dict[str, str] = {}
    for line in forms.text(head).split("\r\n"):
        field = FIELD.fullmatch(line)
        if field is None:
            raise unreadable("the head of a part has a line that is no field")
        if field[1].lower() in found:
            raise unreadable("the head of a part has a field twice")
        found[field[1].lower()] = field[2].strip(" \t")
    return found


def named(disposition: str) -> tuple[str, str | None]:
    """The name that a Content-Disposition gives a part, and that of its file."""
    whole = DISPOSITION.fullmatch(disposition)
    given = [(key.lower(), value.strip('"')) for key, value in PARAMETER.findall(whole[1])] if whole else []
    parameters = dict(given)
    if "name" not in parameters or len(parameters) < len(given):
        raise unreadable("a part's Content-Disposition is not form-data with one plain name, and at most one filename")
    return parameters["name"], parameters.get("filename")


def type_of(value: str | None) -> ContentType | None:
    try:
        kind = content_type.parse(value) if value is not None else None
    except ContentTypeNotAccepted:
        raise unreadable("a part's Content-Type cannot be read in one way") from None
    if kind is not None and kind.essence.startswith(("multipart/", "message/")):
        raise unreadable("a part has parts of its own")
    return kind
