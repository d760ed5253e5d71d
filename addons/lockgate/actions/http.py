"""HTTP requests: one action, the method on the canonical path, with facts beside it. Pure.

Whatever two readers could take for two different things is refused here: a gateway that reads a path, a query or a
method in another way than the target decides about another request (RFC 3986, section 6; RFC 9110, section 9).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote_to_bytes

from lockgate.errors import RequestUnreadable
from lockgate.model import HTTP_METHODS, Action, HttpFacts, Target, Unreadable

# pchar of RFC 3986 but `;`, which some targets cut a part at (`/admin;x`).
PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*")
QUERY = re.compile(r"(?:[!-\"$&-:<-~]|%[0-9A-Fa-f]{2})*")  # visible ASCII but `#`, `;`; `%` only before two hex digits
ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
DOUBLE_ENCODING = re.compile(r"%25(?:[0-9A-Fa-f]{2}|[Uu][0-9A-Fa-f]{4})")  # `%u002e` is IIS's
UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
SEPARATORS = "/\\;?#\x00"  # some targets decode a path before they take it apart
BEST_FIT = "\u2044\u2215\u2216\u00a5\u20a9"  # `/` and `\\` in code pages of Windows (bestfit1252, 932, 949)

# What `lenient_path` makes plain.
NOT_IN_PATH = re.compile(r"[^A-Za-z0-9._~!$&'()*+,=:@/%;\\-]")
ENCODED_UNRESERVED = re.compile(r"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
REPEATED = re.compile(r"%(?:25)+([0-9A-Fa-f]{2})")
SLASH = re.compile(r"(?:/|\\|%2[Ff]|%5[Cc])+")
PARAMETERS = re.compile(r"(?:;|%3[Bb])[^/]*")

NO_BODY: Mapping[str, Any] = {}  # what conditions read where there is none
MAX_PATH = 8192  # characters
MAX_SEGMENTS = 256
MAX_QUERY = 16384  # characters
MAX_PARAMETERS = 1000
MAX_FIELDS = 200

# Headers by which some targets take another method or path than the request line has (Rack's Sendfile, for one).
OVERRIDES = frozenset(
    {
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
        "x-sendfile-type",
        "x-accel-mapping",
    }
)
# By which WebDAV's servers and object stores (AWS, Azure, Google, Swift) read a second resource, that no rule sees.
SECOND_RESOURCE = re.compile(
    r"destination|x-[a-z]+-(copy|rename)-source|x-copy-from|x-(large-)?object-manifest|x-symlink-target"
)
# Rails, Laravel; PHP reads `.` and a `[` that nothing closes as `_`.
METHOD_PARAMETER = re.compile(r"\s*[_.\[]method\b", re.IGNORECASE)


def canonical_path(raw: str) -> str:
    """The one spelling of `raw`, a path without its query: unreserved characters decoded, escapes in capitals.

    Idempotent. Raises RequestUnreadable for what readers disagree about: dot segments, `//`, `;`, `\\`, `%2F`, `%5C`,
    `%3B`, `%3F`, `%23`, `%00`, control and non-ASCII characters, broken escapes, escapes of what is not UTF-8, double
    encodings.
    """
    require_absolute(raw)
    require_path_characters(raw)
    path = raw
    if "%" in raw:
        path = ESCAPE.sub(normalised, raw)
        if DOUBLE_ENCODING.search(path):
            raise RequestUnreadable("the path is percent-encoded twice")
        require_plain_parts(require_text(path, "path"))
    segments = path.split("/")[1:]
    if len(segments) > MAX_SEGMENTS:
        raise RequestUnreadable(f"the path has more than {MAX_SEGMENTS} segments")
    if "." in segments or ".." in segments:
        raise RequestUnreadable("the path has a dot segment")
    if "" in segments[:-1]:
        raise RequestUnreadable("the path has an empty segment (//)")
    return path


def lenient_path(raw: str) -> str:
    """The canonical path that `raw` comes to where every other spelling is undone: what a target would read that undoes
    any of them, and in the end what any other reads too.

    Decoded as often as it was encoded; `\\`, `%2F` and `%5C` are `/`, and several of them one; parameters (`;x=1`) are
    taken off each part; dot segments are removed (RFC 3986, section 5.2.4). Idempotent: what comes out is a strict
    `canonical_path`. Raises RequestUnreadable for what has no such form: control characters, `%3F`, `%23`, broken
    escapes, what is not UTF-8, characters that stand for dots or separators.
    """
    require_absolute(raw)
    if BROKEN_ESCAPE.search(raw):
        raise RequestUnreadable("the path has a % without two hex digits")
    path = NOT_IN_PATH.sub(percent_encoded, raw)
    while (plainer := REPEATED.sub(r"%\1", ENCODED_UNRESERVED.sub(decoded, path))) != path:
        path = plainer
    segments = PARAMETERS.sub("", SLASH.sub("/", path)).split("/")
    return canonical_path("/".join(without_dots(segments)))


def require_absolute(raw: str) -> None:
    if not raw.startswith("/"):
        raise RequestUnreadable("the path does not start with /")
    if len(raw) > MAX_PATH:
        raise RequestUnreadable(f"the path is longer than {MAX_PATH} characters")


def percent_encoded(character: re.Match[str]) -> str:
    try:
        return "".join(f"%{byte:02X}" for byte in character[0].encode("utf-8"))
    except UnicodeError:
        raise RequestUnreadable("the path is not UTF-8") from None


def decoded(escape: re.Match[str]) -> str:
    return chr(int(escape[0][1:], 16))


def without_dots(segments: Sequence[str]) -> list[str]:
    """The segments of an absolute path, the first of them empty, less dot segments and empty ones but the last."""
    kept: list[str] = []
    for segment in segments[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    ends_open = segments[-1] in ("", ".", "..")
    return [segments[0], *kept, *([""] if ends_open or not kept else [])]


def require_path_characters(raw: str) -> None:
    if PATH.fullmatch(raw):
        return
    if BROKEN_ESCAPE.search(raw):
        raise RequestUnreadable("the path has a % without two hex digits")
    for character, name in (("\\", "a backslash"), (";", "a semicolon")):
        if character in raw:
            raise RequestUnreadable(f"the path has {name}")
    if CONTROL.search(raw):
        raise RequestUnreadable("the path has a control character")
    if not raw.isascii():
        raise RequestUnreadable("the path has a character outside ASCII; percent-encode it")
    raise RequestUnreadable("the path has a character that must be percent-encoded")


def require_plain_parts(text: str) -> None:
    """Raises RequestUnreadable for what some targets take for dots or separators: full-width ones, for one (NFKC), and
    dots with blanks, which Windows takes off.
    """
    if text.isascii() and " " not in text:
        return
    for part in text.split("/"):
        plain = normalize("NFKC", part)
        if plain != part and any(character in plain for character in SEPARATORS + "%"):
            raise RequestUnreadable("the path has a character that stands for a dot or a separator")
        is_separator = any(character in part for character in BEST_FIT)
        if is_separator or (part not in (".", "..") and plain.replace(" ", "") in (".", "..")):
            raise RequestUnreadable("the path has a character that stands for a dot or a separator")


def normalised(escape: re.Match[str]) -> str:
    """One escape as the canonical path has it."""
    character = chr(int(escape[1], 16))
    if UNRESERVED.fullmatch(character):
        return character
    if character in SEPARATORS:
        raise RequestUnreadable(f"the path has an encoded separator or NUL ({escape[0].upper()})")
    return escape[0].upper()


def require_text(escaped: str, where: str) -> str:
    """What `escaped` says. Raises RequestUnreadable unless it is UTF-8 without control characters."""
    try:
        text = unquote_to_bytes(escaped).decode("utf-8")
    except UnicodeError:
        raise RequestUnreadable(f"the {where} is not UTF-8") from None
    if CONTROL.search(text):
        raise RequestUnreadable(f"the {where} has a control character")
    return text


def parse_query(raw: str) -> dict[str, tuple[str, ...]]:
    """The parameters of a query, every value of a name in order, read as forms are: `&` separates, `+` is a space.

    A name without `=` has the value "". Raises RequestUnreadable for broken escapes, what is not UTF-8, control and
    non-ASCII characters; for `;`, which some targets separate parameters by (HTML 4.01, B.2.2); for `_method`, by which
    some take another method; for more than `MAX_PARAMETERS`, and more than `MAX_QUERY` characters.
    """
    if not raw:
        return {}
    if len(raw) > MAX_QUERY:
        raise RequestUnreadable(f"the query is longer than {MAX_QUERY} characters")
    require_query_characters(raw)
    parameters = [parameter for parameter in raw.split("&") if parameter]
    if len(parameters) > MAX_PARAMETERS:
        raise RequestUnreadable(f"the query has more than {MAX_PARAMETERS} parameters")
    found: dict[str, list[str]] = {}
    for parameter in parameters:
        name, _, value = (require_text(part.replace("+", " "), "query") for part in parameter.partition("="))
        if METHOD_PARAMETER.match(name):
            raise RequestUnreadable("the query parameter _method asks for another method than the request line")
        found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def require_query_characters(raw: str) -> None:
    if QUERY.fullmatch(raw):
        return
    if BROKEN_ESCAPE.search(raw):
        raise RequestUnreadable("the query has a % without two hex digits")
    if ";" in raw:
        raise RequestUnreadable("the query has a semicolon; percent-encode it")
    raise RequestUnreadable("the query has a character that must be encoded")


def read(
    method: str, target: Target, raw_path: str, headers: Sequence[tuple[str, str]], body: Any | Unreadable = NO_BODY
) -> tuple[tuple[Action, ...], HttpFacts, str]:
    """What a request asks for: its actions, its facts, and the path and query to send on.

    `raw_path` is the path with its query, `body` the parsed document. The path sent on is the canonical one, the query
    is as it was given. Raises RequestUnreadable.
    """
    if method not in HTTP_METHODS and method not in target.methods:
        taken = ", ".join(sorted(HTTP_METHODS | target.methods))
        raise RequestUnreadable(f"the method is none of {taken}, in capitals")
    raw, mark, query = raw_path.partition("?")
    path = lenient_path(raw) if target.lenient_paths else canonical_path(raw)
    facts = HttpFacts(
        method=method,
        host=target.host,
        path=path,
        query=parse_query(query),
        headers=by_name(headers),
        body=body,
    )
    return (Action(method, target.name, path),), facts, path + mark + query


def by_name(headers: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Header fields by lower-case name, every value in order.

    Raises RequestUnreadable for one that overrides or names a second resource, for a name with `_`, which CGI and WSGI
    make the same as `-` (RFC 3875, section 4.1.18), and for more than `MAX_FIELDS`.
    """
    if len(headers) > MAX_FIELDS:
        raise RequestUnreadable(f"it has more than {MAX_FIELDS} header fields")
    found: dict[str, list[str]] = {}
    for name, value in headers:
        name = name.lower()
        if "_" in name:
            raise RequestUnreadable("a header's name has an underscore, which some targets read as a hyphen")
        if name in OVERRIDES:
            raise RequestUnreadable(f"the header {name} asks for another method or path than the request line")
        if SECOND_RESOURCE.fullmatch(name):
            raise RequestUnreadable(f"the header {name} names a second resource, which no rule sees")
        found.setdefault(name, []).append(value.strip(" \t"))
    return {name: tuple(values) for name, values in found.items()}
