"""The forms in which a known text stands in other text: base64, percent-encoded, escaped for JSON and HTML.

They find what well-meaning software makes of a secret that it repeats. Whoever means to hide it can.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from html import escape
from urllib.parse import quote, quote_plus

URLSAFE = bytes.maketrans(b"+/", b"-_")
PERCENT_SAFE = (
    "",
    "/",
    "!'()*",  # encodeURIComponent
    ";,/?:@&=+$#!'()*",  # encodeURI
)
JSON_ESCAPED = ("<>&", "<>&'", "<>&'\"/+=")  # what encoders write as \u00XX: Go, PHP, the cautious
HTML_ESCAPED = re.compile(r"[^0-9A-Za-z._~-]")


def echoes(text: str) -> tuple[bytes, ...]:
    """Every form of an ASCII `text` that a target may send back, the longest first, none twice."""
    forms = {text.encode("ascii"), *base64(text), *base64_windows(text)}
    for family in (percent(text), json_escaped(text), html_escaped(text)):
        forms.update(form.encode("ascii") for form in family)
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def base64(text: str) -> set[bytes]:
    """`text` by itself in both alphabets, with and without padding (RFC 4648)."""
    padded = b64encode(text.encode("ascii"))
    return {form for full in (padded, padded.translate(URLSAFE)) for form in (full, full.rstrip(b"="))}


def base64_windows(text: str) -> set[bytes]:
    """`text` within something longer that was encoded: at each of three offsets, the characters it alone decides."""
    data = text.encode("ascii")
    windows = set()
    for offset in range(3):
        start = -(-8 * offset // 6)
        end = 8 * (offset + len(data)) // 6
        window = b64encode(b"\0" * offset + data)[start:end]
        windows |= {window, window.translate(URLSAFE)}
    return windows


def percent(text: str) -> set[str]:
    """`text` in a URL or a form (RFC 3986, application/x-www-form-urlencoded), by encoders of different zeal."""
    forms = {quote(text, safe=safe) for safe in PERCENT_SAFE} | {quote_plus(text)}
    return forms | {re.sub("%..", lambda match: match[0].lower(), form) for form in forms}


def json_escaped(text: str) -> set[str]:
    """`text` within a JSON string, by encoders of different zeal."""
    plain = json.dumps(text)[1:-1]
    forms = {plain, plain.replace("/", "\\/")}
    for characters in JSON_ESCAPED:
        for digits in ("04x", "04X"):
            table = {ord(character): f"\\u{ord(character):{digits}}" for character in characters}
            table |= {ord("\\"): "\\\\", ord('"'): table.get(ord('"'), '\\"')}
            escaped = text.translate(table)
            forms |= {escaped, escaped.replace("/", "\\/")}
    return forms


def html_escaped(text: str) -> set[str]:
    """`text` within HTML or XML: named, decimal and hexadecimal references."""
    minimal = escape(text, quote=False)
    named = escape(text).replace("&#x27;", "'")
    forms = {minimal, named}
    for apostrophe in ("&#x27;", "&#39;", "&apos;"):
        forms.add(named.replace("'", apostrophe))
    for reference in ("&#{:d};", "&#x{:x};", "&#x{:X};"):
        forms.add("".join(reference.format(ord(c)) if HTML_ESCAPED.match(c) else c for c in text))
    forms.add(named.replace("'", "&#39;").replace("&quot;", "&#34;"))
    return forms
