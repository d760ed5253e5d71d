"""Strict XML: one meaning for a document, or none. What DTDs, entities and comments make ambiguous is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from lxml import etree  # type: ignore[import-untyped] # it has none

Element = Any
"""An lxml element."""

INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
DECLARATION = re.compile(r"\A<\?xml\s[^?<>]*\?>")


def parse(content: bytes) -> Element:
    """The root of a UTF-8 document without a DTD; nothing is fetched, no entity has a meaning of its own.

    Raises ValueError, which quotes nothing of it.
    """
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, collect_ids=False
    )
    try:
        text = content.decode("utf-8")
        root = etree.fromstring(content, parser)
    except (UnicodeError, etree.XMLSyntaxError):
        raise ValueError("not well-formed XML in UTF-8") from None
    if "<!DOCTYPE" in text or root.getroottree().docinfo.doctype:
        raise ValueError("has a DTD")
    return root


def parse_message(content: bytes, max_elements: int, max_depth: int) -> Element:
    """As `parse`, of what strangers send: elements and text, no comment, CDATA section or processing instruction.

    A comment cuts a value in two for whoever reads the text before it only, which is how `admin<!-- -->@x` becomes
    somebody else. Raises ValueError.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeError:
        raise ValueError("not well-formed XML in UTF-8") from None
    if "<!" in text or "<?" in DECLARATION.sub("", text):
        raise ValueError("has more than elements and text")
    root = parse(content)
    if sum(1 for _ in root.iter()) > max_elements or depth(root) > max_depth:
        raise ValueError("too many elements")
    return root


def depth(root: Element) -> int:
    level, found = [root], 0
    while level:
        level = [child for element in level for child in element]
        found += 1
    return found


def seconds(instant: str) -> float:
    """An instant in UTC as SAML writes it (SAML Core 2.0, 1.3.3), in seconds since the epoch. Raises ValueError."""
    if not INSTANT.fullmatch(instant):
        raise ValueError("not an instant in UTC")
    try:
        return datetime.fromisoformat(instant).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("not an instant in UTC") from None


def alone(element: Element) -> bytes:
    """An element as a document of its own, with the namespaces that are in scope for it."""
    written: bytes = etree.tostring(element, with_tail=False, encoding="utf-8")
    return written
