"""Text from outside, safe to print: nothing in it moves the cursor, changes colours or reorders what is read. Pure."""

from __future__ import annotations

import unicodedata

# Controls, format characters (bidi overrides and zero-width ones), surrogates, private use, unassigned, separators
# that break lines, spaces that are no space.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
# Letters and marks that show nothing: fillers and variation selectors (Default_Ignorable_Code_Point), Braille's blank.
BLANK = frozenset(
    map(chr, [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164, *range(0xFE00, 0xFE10)])
) | frozenset(map(chr, [0xFFA0, *range(0xE0100, 0xE01F0)]))


def visible(text: str) -> str:
    """One line of text with every character that cannot be seen spelt out: `\\x1b`, `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if is_seen(character) else spell(character) for character in text)


def visible_lines(text: str) -> list[str]:
    """Text of several lines, each as `visible` shows it; a tab at most becomes spaces."""
    return [visible(line.removesuffix("\r").expandtabs(4)) for line in text.split("\n")]


def is_seen(character: str) -> bool:
    return character == " " or (unicodedata.category(character) not in HIDDEN and character not in BLANK)


def spell(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_bytes(data: bytes, limit: int) -> list[str]:
    """A body: text line by line, anything else as a hex dump. At most `limit` bytes, then a line that says so."""
    shown = data[:limit]
    try:
        # A character may be cut in two at the limit.
        text = shown.decode() if len(data) <= limit else shown.decode(errors="ignore")
        lines = visible_lines(text) if b"\0" not in shown else hex_dump(shown)
    except UnicodeDecodeError:
        lines = hex_dump(shown)
    if len(data) > limit:
        lines.append(f"... {len(data) - limit} more bytes")
    return lines


def hex_dump(data: bytes) -> list[str]:
    lines = []
    for offset in range(0, len(data), 16):
        row = data[offset : offset + 16]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        lines.append(f"{offset:08x}  {row.hex(' '):<47}  {letters}")
    return lines
