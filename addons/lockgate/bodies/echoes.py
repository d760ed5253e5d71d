"""The forms in which a known text stands in other text: escaped, in base64, in hex, in wide characters.

They find what well-meaning software makes of a secret that it repeats. Whoever means to hide it can.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html.entities import html5

from lockgate.model import Sensitive

REDACTED = b"[redacted]"  # what stands in a secret's place

URLSAFE = bytes.maketrans(b"+/", b"-_")
TWINS = {"+": "+-", "/": "/_"}  # one value's characters in the two alphabets of RFC 4648
INTRODUCERS = "%\\&"  # every escape begins with one
NAMES = [(name[:-1], meaning) for name, meaning in html5.items() if name.endswith(";") and meaning.isascii()]
JSON_SHORT = "\"'/\\"
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
# How many introducers within a text may be read two ways: as such, or as part of an escape. Each may double the work
# of a search in vain.
AMBIGUOUS = 6

Letter = tuple[bytes, str]
"""One letter of a form: the bytes it may be as such, and the characters it may be an escape of."""
LONGEST_ESCAPE = 32  # bytes; what has more zeros in front was not escaped by anything well-meaning
# What may become an escape once more has come; of which character does not matter.
CUT_OFF = re.compile(
    rb"(?:%[0-9A-Fa-f]?|\\(?:u(?:0(?:0[0-9A-Fa-f]?)?)?|x[0-9A-Fa-f]?)?"
    rb"|&(?:#(?:0*[0-9]{0,3}|[xX]0*[0-9A-Fa-f]{0,2})|[A-Za-z]{0,16}))\Z"
)


@dataclass(frozen=True, eq=False, repr=False)
class Echo(Sensitive):
    """Forms of a secret text: what `source` matches. No match is without one of `signs`, which are found far sooner.

    `letters` are what the longest match has, one behind the other.
    """

    signs: Sequence[bytes | re.Pattern[bytes]]
    source: bytes
    letters: Sequence[Letter]

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        return re.compile(self.source)

    def redact(self, data: bytes) -> tuple[bytes, int]:
        """`data` with each match replaced by `[redacted]`, and how many were."""
        return self.pattern.subn(REDACTED, data) if self._has_sign(data) else (data, 0)

    def matches(self, data: bytes) -> Iterator[re.Match[bytes]]:
        """What `redact` replaces, from the first to the last."""
        return self.pattern.finditer(data) if self._has_sign(data) else iter(())

    def _has_sign(self, data: bytes) -> bool:
        return any(sign in data if isinstance(sign, bytes) else sign.search(data) for sign in self.signs)

    def begins(self, data: bytes, start: int = 0) -> int:
        """Where, from `start` on, something begins that may become a match, or a longer one, once more has come; the
        end of `data` where nothing does.
        """
        for found in self._first.finditer(data, max(start, len(data) - self._longest)):
            if self._goes_on(data, found.start()):
                return found.start()
        return len(data)

    @cached_property
    def _longest(self) -> int:
        return sum(LONGEST_ESCAPE if escaped else 1 for _, escaped in self.letters)

    @cached_property
    def _first(self) -> re.Pattern[bytes]:
        plain, escaped = self.letters[0]
        return re.compile(b"[%b]" % re.escape(plain + (INTRODUCERS.encode("ascii") if escaped else b"")))

    def _goes_on(self, data: bytes, start: int) -> bool:
        """Whether all of `data` from `start` on are letters of a form that has more of them."""
        reached = {start}
        for plain, escaped in self.letters:
            ends = set()
            for at in reached:
                if at == len(data) or (escaped and CUT_OFF.match(data, at)):
                    return True
                if data[at] in plain:
                    ends.add(at + 1)
                if escaped and (escape := escape_of(escaped).match(data, at)):
                    ends.add(escape.end())
            if not ends:
                return False
            reached = ends
        return False


def echoes(text: str) -> tuple[Echo, ...]:
    """What a target may send back of visible ASCII `text`, in the order in which to remove it."""
    plain = text.encode("ascii")
    digits = plain.hex().encode("ascii")
    whole = (plain, digits, digits.upper(), *(text.encode(coding) for coding in WIDE))
    return (
        escaped(text),
        *(Echo([form], re.escape(form), [(bytes([byte]), "") for byte in form]) for form in dict.fromkeys(whole)),
        *(base64(text, offset) for offset in range(3)),
    )


def escaped(text: str) -> Echo:
    """`text` in a URL, JSON or HTML: each character escaped or as such."""
    plain = text.encode("ascii")
    signs = [re.compile(f"{re.escape(introducer)}{tail}".encode("ascii")) for introducer, tail in escapes(text).items()]
    letters = [(character.encode("ascii"), character) for character in text]
    return Echo([plain, *signs], spelled(text).encode("ascii"), letters)


def spelled(text: str) -> str:
    """A pattern for visible ASCII `text`, each character as such or escaped.

    Encoders choose for each character whether and how to escape it, so that no list of spellings is complete.
    From the seventh introducer in `text` on, one that may begin an escape of itself is read so.
    """
    parts = []
    ambiguous = 0
    for character in text:
        alternatives = [f"{re.escape(introducer)}{tail}" for introducer, tail in escapes(character).items()]
        ambiguous += character in INTRODUCERS
        group = "?>" if character in INTRODUCERS and ambiguous > AMBIGUOUS else "?:"
        parts.append(f"({group}{'|'.join(alternatives)}|{re.escape(character)})")
    return "".join(parts)


def escapes(characters: str) -> dict[str, str]:
    """Patterns for what follows each introducer where it escapes one of some visible ASCII characters.

    `%` as in URLs (RFC 3986), `\\` as in JSON (RFC 8259) and JavaScript, `&` as in HTML and XML.
    """
    wanted = sorted(set(characters))
    hexadecimal = _hexadecimal(wanted)
    decimal = "|".join(str(ord(character)) for character in wanted)
    short = "".join(f"|{re.escape(character)}" for character in wanted if character in JSON_SHORT)
    names = "".join(f"|{name}" for name, meaning in NAMES if meaning in wanted)
    return {
        "%": hexadecimal,
        "\\": f"(?:(?:u00|x){hexadecimal}{short})",
        "&": f"(?:#(?:0*+(?:{decimal})|[xX]0*+{hexadecimal}){names});",
    }


@lru_cache(maxsize=256)
def escape_of(characters: str) -> re.Pattern[bytes]:
    """A pattern for an escape of one of some visible ASCII characters."""
    alternatives = (f"{re.escape(introducer)}{tail}" for introducer, tail in escapes(characters).items())
    return re.compile("|".join(alternatives).encode("ascii"))


def _hexadecimal(characters: Sequence[str]) -> str:
    """A pattern for their codes in two digits of either case."""
    rows: dict[str, set[str]] = {}
    for character in characters:
        code = ord(character)
        row = rows.setdefault(f"{code >> 4:x}", set())
        row |= {f"{code & 15:x}", f"{code & 15:X}"}
    alternatives = (f"{high}[{''.join(sorted(lows))}]" for high, lows in rows.items())
    return f"(?:{'|'.join(alternatives)})"


def base64(text: str, offset: int) -> Echo:
    """`text` in base64 at `offset` (0 to 2) of three bytes, in either alphabet, in what may itself be escaped.

    At offset 0 with what encodes the end of `text`, where nothing follows it. Only what is neither a letter nor a
    digit is expected to be escaped.
    """
    window = _window(text, offset)
    longest = max(re.findall("[0-9A-Za-z]*", window), key=len)
    source = _base64_spelled(window)
    if offset == 0:
        end = b64encode(text.encode("ascii")).decode("ascii").removeprefix(window)
        source += f"(?:{_base64_spelled(end.rstrip('='))}(?:{_base64_spelled('=')}){{0,2}})?" if end else ""
        window += f"{end.rstrip('=')}==" if end else ""
    letters = [(twins.encode("ascii"), "" if twins.isalnum() else twins) for twins in map(_twins, window)]
    return Echo([longest.encode("ascii")], source.encode("ascii"), letters)


def echoes_of_encoded(text: str) -> tuple[Echo, ...]:
    """As `echoes`, of a `text` that is hex or base64 itself, and soon made: what is used but once. Of what is neither a
    letter nor a digit in it, each may be escaped.
    """
    longest = max(re.findall("[0-9A-Za-z]*", text), key=len)
    letters = [(twins.encode("ascii"), "" if twins.isalnum() else twins) for twins in map(_twins, text)]
    plain = Echo([longest.encode("ascii")], _base64_spelled(text).encode("ascii"), letters)
    return (plain, *(base64(text, offset) for offset in range(3)))


def base64_windows(text: str) -> set[bytes]:
    """ASCII `text` within something longer that was encoded (RFC 4648): at each offset, what it alone decides."""
    windows = {_window(text, offset).encode("ascii") for offset in range(3)}
    return windows | {window.translate(URLSAFE) for window in windows}


def _window(text: str, offset: int) -> str:
    data = text.encode("ascii")
    start = -(-8 * offset // 6)
    return b64encode(b"\0" * offset + data)[start : 8 * (offset + len(data)) // 6].decode("ascii")


def _base64_spelled(encoded: str) -> str:
    return "".join(
        twins if twins.isalnum() else f"(?:{'|'.join(map(spelled, twins))})" for twins in map(_twins, encoded)
    )


def _twins(character: str) -> str:
    return TWINS.get(character, character)
