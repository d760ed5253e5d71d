"""Letter case, as the laxest target takes it: what may be the same to it has one form here. Pure."""

from __future__ import annotations

from unicodedata import normalize
from urllib.parse import unquote_to_bytes

DOT_ABOVE = "\u0307"  # what a dotted capital I leaves behind a small i


class PathText(str):
    """A part of the path, or all of it: its target may take another spelling for the same."""

    __slots__ = ()


def decoded(text: str) -> str:
    """What a percent-encoded text says (RFC 3986, section 2.1)."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape") if "%" in text else text


def spellings(path: str) -> tuple[str, str]:
    """A path, or a part of one, as the laxest target takes it, without a slash at the end and with one."""
    bare = fold(decoded(path)).removesuffix("/")
    return bare, bare + "/"


def fold(text: str) -> str:
    """One form for all texts that differ in letter case only.

    Some targets compare in capitals and some in small letters, by Turkish rules too, and some take compatible
    characters (full-width letters, the Kelvin sign) for the plain ones first (Unicode, section 5.18, and NFKD, by
    which a text folds as its pieces do).
    """
    if text.isascii():
        return text.lower()
    folded = normalize("NFKD", text).upper().casefold()
    return normalize("NFKD", folded.replace("i" + DOT_ABOVE, "i"))
