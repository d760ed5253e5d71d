"""Strict JSON (RFC 8259, I-JSON's demands of RFC 7493): one meaning for a document, or none.

One mode for requests and responses. What parsers disagree about is refused: duplicate keys, `NaN`, lone surrogates, a
BOM, another encoding, numbers past the range of a double, depth without end. `dumps` writes what `parse` read with
the same numbers, digit for digit; only white space and the way strings are escaped become its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import accumulate, chain
from math import isinf
from typing import Any, NoReturn

from lockgate.bodies.content_type import media_type
from lockgate.errors import BodyUnreadable

MAX_DEPTH = 128
MAX_NUMBER = 1024  # characters

TOO_DEEP = f"it is nested more than {MAX_DEPTH} deep"
TOO_LONG = f"a number has more than {MAX_NUMBER} characters"
SURROGATE_ESCAPES = (b"\\ud", b"\\uD")  # and those before them, which are few

MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")
ZEROS = bytes.maketrans(b"123456789", b"000000000")
LONG_NUMBER = b"0" * MAX_NUMBER  # so many digits, and a sign, are too long

SQUARE = bytes.maketrans(b"{}", b"[]")
NO_STRUCTURE = bytes(set(range(256)) - set(b'{}[]:"'))
STEPS = bytes.maketrans(b"[]", b"\x01\xff")  # one deeper, one less deep: 1 and -1 as signed bytes


class Float(float):
    """A number that a double's shortest text does not give back: `1.10`, `1e2`, `500.00000000000000001`."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Float:
        number = super().__new__(cls, text)
        number.text = text
        return number

    @property
    def lossless(self) -> bool:
        """Whether the double stands for the written number: `1.10` does, `500.00000000000000001` does not."""
        return Decimal(self.text) == Decimal(float.__repr__(self))


class NegativeZero(int):
    """The integer `-0`: zero to whoever counts, `-0` to whoever reads on."""

    __slots__ = ()
    text = "-0"


class Irregular(ValueError):
    """Raised by the hooks of `parse`; carries what is wrong."""


def parse(data: bytes, *, one_letter_case: bool = False) -> Any:
    """The document in `data`: dict, list, str, int, float (or `Float`), bool, None.

    Integers are exact, whatever their size. With `one_letter_case` keys of an object that differ in letter case only
    are two of the same, as Go's encoding/json and others read them. Raises BodyUnreadable; its text quotes nothing of
    the document.
    """
    try:
        text = data.decode("utf-8")
        if text.startswith("\ufeff"):
            raise Irregular("it begins with a BOM")
        document, objects = read(text, int if has_plain_integers(data) else integer)
        require_structure(structure(data), objects)
        if one_letter_case:
            require_one_letter_case(objects)
        if b"\\" in data and any(escape in data for escape in SURROGATE_ESCAPES):
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    except UnicodeEncodeError:
        problem = "a string has half a surrogate pair"
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except Irregular as error:
        problem = str(error)
    except RecursionError:
        problem = TOO_DEEP
    else:
        return document
    raise BodyUnreadable(f"the body is not strict JSON: {problem}")


def has_plain_integers(data: bytes) -> bool:
    """Whether `int` reads every integer in `data` as `integer` does, surely: told many times faster than by each."""
    return MINUS_ZERO.search(data) is None and LONG_NUMBER not in data.translate(ZEROS)


def read(text: str, integer: Callable[[str], int]) -> tuple[Any, list[dict[str, Any]]]:
    """The document in `text` and every object in it, of a key that is there twice the last member only."""
    objects: list[dict[str, Any]] = []

    def noted(members: dict[str, Any]) -> dict[str, Any]:
        objects.append(members)
        return members

    decoder = json.JSONDecoder(object_hook=noted, parse_int=integer, parse_float=number, parse_constant=constant)
    return decoder.decode(text), objects


def structure(data: bytes) -> bytes:
    """The brackets, all of them square, and the colons of a document, known to be JSON, that are in no string of it."""
    if b"\\" in data:
        data = data.replace(rb"\\", b"").replace(rb"\"", b"")  # every quote that is left begins a string or ends it
    left = data.translate(SQUARE, NO_STRUCTURE).replace(b'""', b"")
    return b"".join(left.split(b'"')[::2])


def require_structure(found: bytes, objects: list[dict[str, Any]]) -> None:
    """Raise Irregular for a key that is there twice, which leaves fewer members than colons, and for too deep a one."""
    if sum(map(len, objects)) != found.count(b":"):
        raise Irregular("an object has the same key twice")
    steps = found.translate(STEPS, b":")
    if len(steps) > 2 * MAX_DEPTH and max(accumulate(memoryview(steps).cast("b"))) > MAX_DEPTH:
        raise Irregular(TOO_DEEP)


def require_one_letter_case(objects: list[dict[str, Any]]) -> None:
    names = set[str]().union(*objects)
    if len(set(map(str.casefold, names))) < len(names) and any(
        len(set(map(str.casefold, members))) < len(members) for members in objects
    ):
        raise Irregular("an object has keys that differ in letter case only")


def integer(text: str) -> int:
    if len(text) > MAX_NUMBER:
        raise Irregular(TOO_LONG)
    return NegativeZero() if text == "-0" else int(text)


def number(text: str) -> float:
    value = float(text)
    if repr(value) == text:
        return value
    if len(text) > MAX_NUMBER:
        raise Irregular(TOO_LONG)
    if isinf(value):
        raise Irregular("a number is out of range")
    return Float(text)


def constant(text: str) -> NoReturn:
    raise Irregular(f"{text} is no JSON number")


def levels(document: Any) -> Iterator[list[dict[str, Any] | list[Any]]]:
    """The document's objects and arrays, level by level: a walk without recursion, fast on wide documents."""
    level = containers([document])
    while level:
        yield level
        level = containers(children(level))


def containers(nodes: Iterable[Any]) -> list[dict[str, Any] | list[Any]]:
    return [node for node in nodes if isinstance(node, (dict, list))]


def children(level: Iterable[dict[str, Any] | list[Any]]) -> Iterator[Any]:
    return chain.from_iterable(node.values() if isinstance(node, dict) else node for node in level)


SCALARS = {str, int, float, bool, type(None)}
PLAIN = SCALARS | {dict, list}

encode_plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dumps(document: Any) -> bytes:
    """`document` as compact UTF-8 JSON, numbers as they were written.

    Takes what `parse` gives. Raises TypeError or ValueError for anything else (a NaN, a key that is not a string).
    """
    text = encode_plain(document) if is_plain(document) else render(document)
    return text.encode("utf-8")


LINE_ENDS = ("\x85", "\u2028", "\u2029")  # beside control characters, which JSON escapes


def dumps_line(document: Any) -> bytes:
    """As `dumps`, for what is read by lines: readers that end one at each of LINE_ENDS (`str.splitlines`) find none."""
    line = dumps(document)
    if line.isascii():
        return line
    text = line.decode("utf-8")
    for end in LINE_ENDS:
        text = text.replace(end, f"\\u{ord(end):04x}")
    return text.encode("utf-8")


def is_plain(document: Any) -> bool:
    """Whether the standard encoder, many times faster, writes it as it was. It would write a `Float` as a double."""
    if type(document) not in PLAIN:
        return False
    return all(
        PLAIN.issuperset(map(type, children(level))) and all(has_text_keys(node) for node in level)
        for level in levels(document)
    )


def render(node: Any) -> str:
    if isinstance(node, (Float, NegativeZero)):
        return node.text
    if type(node) in SCALARS:
        return encode_plain(node)
    if isinstance(node, list):
        return "[" + ",".join([render(value) for value in node]) + "]"
    if isinstance(node, dict) and has_text_keys(node):
        return "{" + ",".join([f"{encode_plain(key)}:{render(value)}" for key, value in node.items()]) + "}"
    raise TypeError(f"a {type(node).__name__} has no JSON form here")


def has_text_keys(node: dict[Any, Any] | list[Any]) -> bool:
    return isinstance(node, list) or {str}.issuperset(map(type, node))


def is_json(content_type: str | None) -> bool:
    """Whether a Content-Type says JSON: `application/json` or a `+json` suffix (RFC 6839), as UTF-8."""
    return JSON_TYPE.fullmatch(media_type(content_type) or "") is not None


JSON_TYPE = re.compile(r"application/json|[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\+json")
