"""Sensitive values found in text by their form: pattern by RE2, which is linear in the text, and check digits.

What belongs here: forms that can be told from ordinary text. What never does: names, addresses, anything that has to be
understood. A value cut in two, between the events of a stream for one, or in another encoding is not found.

A text can be looked through in pieces: no value but a PEM block goes on over the end of a line, and none is longer than
`REACH` but a PEM block and one that is a single word (`is_word`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from string import ascii_letters
from typing import Any

import re2

from lockgate.errors import MaskingFailed

Span = tuple[int, int]
Place = tuple[int, int, str]
"""Where a value begins and ends, and its kind."""

# ISO 13616: how many characters an IBAN has, by country.
IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU",
        31: "MT SC",
        32: "LC",
    }.items()
    for country in countries.split()
}
SHORTEST, LONGEST = 13, 19  # ISO/IEC 7812: digits of a card's number
LEAST_CARD = 2 * 10 ** (SHORTEST - 1)
DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # Luhn: a digit doubled, its own digits added

EMAIL = re2.compile(r"[\pL\pN._%+'-]+(?:@|%40)[\pL\pN](?:[\pL\pN-]*[\pL\pN])?(?:\.[\pL\pN-]+)+")
SPACES = "\u00a0\u2007\u2009\u202f"  # those that keep a number together: no-break, figure, thin, narrow
# Digits in any groups; those that dots or two spaces keep apart, as in lists of other numbers, only in a card's own.
DIGITS = re2.compile(
    rf"\d(?:[ {SPACES}-]?\d){{12,}}"
    r"|\b\d{4}(?:(?:\.\d{4}){3}|(?:  \d{4}){3}|\.\d{6}\.\d{5}|  \d{6}  \d{5})\b"
)
IBAN_BEGINS = re2.compile(r"(?i)\b[A-Z]{2}\d{2}")
# No match is longer than 94 characters, so the standard library's engine will do, which starts sooner.
IBAN_OF_LENGTH = {
    length: re.compile(rf"[A-Za-z]{{2}}[0-9]{{2}}(?:[ {SPACES}.-]{{0,2}}[A-Za-z0-9]){{{length - 4}}}")
    for length in set(IBAN_LENGTHS.values())
}
IBAN_DIGITS = str.maketrans(
    {character: str(int(character, 36)) for character in ascii_letters} | dict.fromkeys(f" .-{SPACES}", "")
)
PHONE = re2.compile(
    r"(?:\+|\b00)[1-9](?:[ ()./-]{0,2}\d){7,14}"  # E.164: up to 15 digits
    r"|\(\d{2,5}\)[ -]?\d{2,4}(?:[ .-]?\d{2,4}){1,2}"
    r"|\b\d{3}[ .-]\d{3}[ .-]\d{4}\b"
)
JWT = re2.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*")
PEM = re2.compile(r"(?s)-----BEGIN [A-Z0-9 ]{1,64}-----.*?(?:-----END [A-Z0-9 ]{1,64}-----|\z)")
KEY = re2.compile(
    r"(?:AKIA|ASIA)[0-9A-Z]{16}"  # AWS
    r"|gh[opsur]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"  # GitHub
    r"|glpat-[A-Za-z0-9_-]{20,}"  # GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{32,}"
    r"|(?:\b|_)(?:sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,})"  # OpenAI, Anthropic; Hugging Face; `task-` begins none
)
REACH = 128  # characters: longer than any value that is not a single word or a PEM block
DIGIT = re.compile(r"[0-9]")


@dataclass(frozen=True, slots=True)
class Found:
    """How many values of each kind were taken out of a text."""

    text: str
    counts: Mapping[str, int]


def redact(text: str, kinds: Iterable[str]) -> Found:
    """`text` with `[redacted KIND]` for each value of these kinds. Where two overlap, the one that begins first counts.

    A kind is a name in `DETECTORS`.
    """
    return replaced(text, places(text, kinds))


def places(text: str, kinds: Iterable[str]) -> list[Place]:
    """Where values of these kinds stand, by their beginning; of those that begin alike, the longest first."""
    found = []
    for kind in kinds:
        detector = DETECTORS[kind]
        if detector.may_be_in(text):
            found += [(start, -end, kind) for start, end in detector.find(text)]
    return [(start, -negative_end, kind) for start, negative_end, kind in sorted(found)]


def replaced(text: str, found: Iterable[Place]) -> Found:
    """`text` with what stands at the places that were found in it taken out."""
    parts, counts, done = list[str](), dict[str, int](), 0
    for start, end, kind in found:
        if start < done:
            # What reaches out of the value before it goes as well.
            done = max(done, end)
            continue
        parts += [text[done:start], f"[redacted {kind}]"]
        counts[kind] = counts.get(kind, 0) + 1
        done = end
    return Found("".join([*parts, text[done:]]) if parts else text, counts)


def is_word(character: str) -> bool:
    """Whether it may stand in a value of any length: an e-mail address, a token, a key."""
    return character.isalnum() or character in "._%+'@-"


def matches(pattern: re2._Regexp) -> Callable[[str], Iterator[Span]]:
    return lambda text: (found.span() for found in pattern.finditer(text))


def cards(text: str) -> Iterator[Span]:
    """Runs of digits, spaces and hyphens between them, in which a card number stands (Luhn, ISO/IEC 7812-1, B)."""
    for run in DIGITS.finditer(text):
        places = [run.start() + offset for offset, character in enumerate(run.group()) if character.isdecimal()]
        for first, end in card_numbers([int(text[place]) for place in places]):
            yield places[first], places[end - 1] + 1


def card_numbers(digits: Sequence[int]) -> Iterator[Span]:
    """Where bank cards' numbers stand: their first digit is 2 to 6, and their last checks the others. Of several that
    begin alike the longest is meant.
    """
    # Up to each digit: the sum with those at even places doubled, and with those at odd ones.
    sums = [
        list(accumulate((DOUBLED[digit] if at % 2 == odd else digit for at, digit in enumerate(digits)), initial=0))
        for odd in (0, 1)
    ]
    first = 0
    while first <= len(digits) - SHORTEST:
        begins, first = first, first + 1
        if not 2 <= digits[begins] <= 6:
            continue
        for end in range(min(begins + LONGEST, len(digits)), begins + SHORTEST - 1, -1):
            sum_to = sums[end % 2]  # the last digit, at `end - 1`, is not doubled
            if (sum_to[end] - sum_to[begins]) % 10 == 0:
                yield begins, end
                first = end
                break


def ibans(text: str) -> Iterator[Span]:
    """Account numbers whose length is their country's and whose check digits hold (ISO 13616, ISO 7064 MOD 97-10)."""
    for found in IBAN_BEGINS.finditer(text):
        end = end_of_iban(text, found.start())
        if end is not None:
            yield found.start(), end


def end_of_iban(text: str, start: int) -> int | None:
    """Where the account number ends that begins with the country at `start`; None where there is none."""
    length = IBAN_LENGTHS.get(text[start : start + 2].upper())
    account = IBAN_OF_LENGTH[length].match(text, start) if length else None
    if account is None:
        return None
    number = f"{account[0][4:]}{account[0][:4]}".translate(IBAN_DIGITS)
    return account.end() if int(number) % 97 == 1 else None


@dataclass(frozen=True, slots=True)
class Detector:
    """`find` gives where values stand; none stands in a text that is shorter than `shortest`, or has no `signs` in it,
    nor a digit where there has to be one: most texts need not be looked through.
    """

    find: Callable[[str], Iterable[Span]]
    shortest: int
    signs: tuple[str, ...] = ()
    digits: bool = False

    def may_be_in(self, text: str) -> bool:
        if len(text) < self.shortest:
            return False
        if self.digits:
            return DIGIT.search(text) is not None
        return not self.signs or any(sign in text for sign in self.signs)


DETECTORS: Mapping[str, Detector] = {
    "email": Detector(matches(EMAIL), 5, ("@", "%40")),
    "phone": Detector(matches(PHONE), 8, digits=True),
    "card": Detector(cards, SHORTEST, digits=True),
    "iban": Detector(ibans, min(IBAN_LENGTHS.values()), digits=True),
    "jwt": Detector(matches(JWT), 17, ("eyJ",)),
    "pem": Detector(matches(PEM), 17, ("-----BEGIN ",)),
    "key": Detector(matches(KEY), 15, ("-", "_", "AKIA", "ASIA", "AIza")),
}


def redact_strings(document: Any, kinds: Sequence[str]) -> tuple[Any, Mapping[str, int]]:
    """`document` (JSON as Python has it, not changed) with `redact` in each of its strings and members' names.

    A whole number that is a card's becomes text. Raises MaskingFailed where two members would get the same name.
    """
    counts: Counter[str] = Counter()

    def seen(text: str) -> str:
        found = redact(text, kinds)
        counts.update(found.counts)
        return found.text

    top = [document]
    open_ones: list[Any] = [top]
    while open_ones:  # no recursion: no depth is too deep
        container = open_ones.pop()
        if isinstance(container, dict):
            rename(container, seen)
        for key, child in list(container.items() if isinstance(container, dict) else enumerate(container)):
            if isinstance(child, str):
                container[key] = seen(child)
            elif isinstance(child, (dict, list)):
                container[key] = child.copy()
                open_ones.append(container[key])
            elif isinstance(child, (int, float)) and "card" in kinds and abs(child) >= LEAST_CARD:
                text = seen(whole_number(child))
                if text != whole_number(child):
                    container[key] = text
    return top[0], counts


def whole_number(number: float) -> str:
    """The digits of a number before its point, however it is written."""
    written = getattr(number, "text", None) or repr(number)
    return str(int(Decimal(written)))


def rename(members: dict[str, Any], seen: Callable[[str], str]) -> None:
    """Give members the names that `seen` makes of theirs, in the order they stand."""
    renamed = {name: seen(name) for name in members}
    if len(set(renamed.values())) != len(members):
        raise MaskingFailed("two members would have the same name")
    if any(name != new for name, new in renamed.items()):
        values = list(members.values())
        members.clear()
        members.update(zip(renamed.values(), values, strict=True))
