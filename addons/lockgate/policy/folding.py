"""Letter case, as the laxest target takes it: what may be the same to it has one form here. Pure."""

from __future__ import annotations

from unicodedata import normalize

DOT_ABOVE = "\u0307"  # what a dotted capital I leaves behind a small i


class PathText(str):
    """A part of the path, or all of it: its target may take another letter case for the same."""

    __slots__ = ()


def fold(text: str) -> str:
    """One form for all texts that differ in letter case only.

    Some targets compare in capitals and some in small letters, by Turkish rules too, and some take compatible
    characters (full-width letters, the Kelvin sign) for the plain ones first (Unicode, section 5.18, and NFKC).
    """
    if text.isascii():
        return text.lower()
    folded = normalize("NFKC", text).upper().casefold()
    return normalize("NFKC", folded.replace("i" + DOT_ABOVE, "i"))
