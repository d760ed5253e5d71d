"""Built-in redaction of what must not be recorded: by name, in header fields, queries and bodies; and by shape.

What belongs here: pure functions over bytes. They find names and values without parsing, so that a malformed or
truncated body is redacted as a well-formed one is. In doubt they redact: a record that shows a little less is no harm.
What never does: rules, mitmproxy, files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote_from_bytes, unquote_to_bytes

REDACTED = b"[redacted]"

# fmt: off
HEADERS = frozenset({
    "authentication-info", "authorization", "cf-authorization", "cookie", "cookie2", "dpop",
    "ocp-apim-subscription-key", "proxy-authentication-info", "proxy-authorization", "set-cookie",
    "set-cookie2", "x-amz-credential", "x-amz-security-token", "x-amz-signature", "x-amzn-oidc-data",
    "x-api-key", "x-apikey", "x-auth", "x-auth-key", "x-auth-token", "x-aws-ec2-metadata-token", "x-csrf-token",
    "x-forwarded-authorization", "x-forwarded-client-cert", "x-functions-key", "x-goog-api-key",
    "x-ms-authorization-auxiliary", "x-xsrf-token",
})
# fmt: on
"""Header fields whose value is never recorded, in lower case. `HEADER_FAMILIES` adds whole families by their ending."""

HEADER_FAMILIES = re.compile(
    r"(?:^|[-_])(?:access-?key|api-?key|assertion|authorization|cookie|credentials?|jwt|passphrase|password|passwd"
    r"|private-?key|secret|secret-?key|session(?:-?id)?|token)$"
)

# fmt: off
FIELDS = frozenset({
    "accesskey", "accesstokens", "apikey", "apikeys", "assertion", "auth", "authorization", "authtoken",
    "bearer", "clientassertion", "clientsecret", "codeverifier", "connectionstring", "cookie", "credential",
    "credentials", "csrf", "cvc", "cvv", "devicecode", "encryptionkey", "jsessionid", "jwt", "oauthtoken",
    "otp", "pass", "passphrase", "passwd", "password", "passwords", "phpsessid", "privatekey", "pwd",
    "refreshtokens", "samlrequest", "samlresponse", "secret", "secretaccesskey", "secretkey", "secrets",
    "sessionid", "sessionkey", "setcookie", "sig", "signature", "signingkey", "sshkey", "token", "totp",
    "xamzcredential", "xamzsignature", "xapikey", "xgoogcredential", "xgoogsignature", "xsrf",
})
# fmt: on
"""Names of JSON and form fields, squashed: lower case, letters and digits only."""

QUERY_FIELDS = frozenset({"code", "key", "sid"})
"""Names that are secrets in queries and forms, and everyday words elsewhere; squashed."""

SUFFIXES = ("apikey", "accesskey", "passphrase", "passwd", "password", "privatekey", "secret", "secretkey", "token")
"""A squashed name that ends so is a secret's: `stripe_api_key`, `newPassword`, `refresh_token`."""

# fmt: off
NOT_SECRET = frozenset({
    "cancellationtoken", "continuationtoken", "newstartpagetoken", "nextcontinuationtoken", "nextpagetoken",
    "nextsynctoken", "nexttoken", "pagetoken", "progresstoken", "startpagetoken", "synctoken",
})
# fmt: on
"""Squashed names that end like a secret's and are none: cursors and MCP's progress token."""

# Every name above contains one of these, or is spelt with an escape. A body with none of them has nothing to redact.
STEMS = tuple(
    b"assertion auth bearer code cookie credential csrf cvc cvv jwt key otp pass pwd saml secret sess sid sig string "
    b"token xsrf \\u % eyj ://".split()
)


@dataclass(frozen=True, slots=True, eq=False)  # one for each set of rules; a hash by identity is a fast one
class Names:
    """Names to redact besides the built-in ones: header fields (lower case) and body or query fields (any spelling)."""

    headers: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    squashed: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "squashed", frozenset(squash(name) for name in self.fields))


@dataclass(slots=True)
class Found:
    """What was redacted of one message: names only, at most `LIMIT`, each cut to 64 characters."""

    names: list[str] = field(default_factory=list)

    LIMIT = 64

    def add(self, kind: str, name: bytes | str) -> None:
        if len(self.names) >= self.LIMIT:
            return
        text = name.decode("ascii", "backslashreplace") if isinstance(name, bytes) else name
        entry = f"{kind}:{text[:64].lower()}"
        if entry not in self.names:
            self.names.append(entry)


def squash(name: str) -> str:
    """A field name without its spelling: `Client-Secret`, `client_secret` and `clientSecret` are `clientsecret`."""
    lower = name.lower()
    return lower if lower.isalnum() else NOT_ALPHANUMERIC.sub("", lower)


NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


BUILT_IN = Names()

# A name may be nested (`user[password]`, `auth.token`), and spelt with JSON or percent escapes.
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|%([0-9a-fA-F]{2})")
PART = re.compile(r"[.\[\]]+")
NAME_LOOKED_AT = 256  # bytes, from its end


def is_secret(name: bytes, names: Names, query: bool = False) -> bool:
    """Whether a field of this name is redacted; `query`: it stands in a query or a form."""
    return is_secret_name(name[-NAME_LOOKED_AT:], names, query)


@lru_cache(maxsize=4096)
def is_secret_name(name: bytes, names: Names, query: bool) -> bool:
    text = name.decode("latin-1")
    if "%" in text or "\\" in text:
        text = ESCAPE.sub(lambda match: chr(int(match[1] or match[2], 16)), text)
    for part in [text] if text.isalnum() else PART.split(text):
        squashed = squash(part)
        if squashed in FIELDS or squashed in names.squashed or (query and squashed in QUERY_FIELDS):
            return True
        if squashed.endswith(SUFFIXES) and squashed not in NOT_SECRET:
            return True
    return False


def is_secret_header(name: bytes, names: Names) -> bool:
    return (known_header if len(name) <= NAME_KEPT else look_at_header)(name, names)


def look_at_header(name: bytes, names: Names) -> bool:
    lower = name.decode("latin-1").strip().lower()
    # CGI makes `_` and `-` the same (RFC 3875, 4.1.18).
    return lower in HEADERS or lower.replace("_", "-") in names.headers or HEADER_FAMILIES.search(lower) is not None


NAME_KEPT = 64  # bytes: what of longer names was found is not remembered
known_header = lru_cache(maxsize=4096)(look_at_header)

CHALLENGES = (b"www-authenticate", b"proxy-authenticate")
SCHEME = re.compile(rb"(?i)^\s*(bearer|basic|dpop|negotiate|ntlm|token)\s+[\w.~+/=-]{8,}")


def headers(
    fields: Iterable[tuple[bytes, bytes]], names: Names = BUILT_IN, found: Found | None = None
) -> tuple[tuple[bytes, bytes], ...]:
    """Header fields with secret values replaced, the others' order and spelling kept.

    A value of any name goes too when it looks like credentials (`Bearer ...`), and a URL in one loses its secrets.
    """
    found = found or Found()
    result = []
    for name, value in fields:
        if is_secret_header(name, names) or (SCHEME.match(value) and name.lower() not in CHALLENGES):
            found.add("header", name)
            value = REDACTED
        else:
            value = text(value, names, found)
        result.append((name, value))
    return tuple(result)


def target(path: bytes, names: Names = BUILT_IN, found: Found | None = None) -> bytes:
    """A request target (RFC 9112, 3.2): the path and its query."""
    found = found or Found()
    path, mark, query = path.partition(b"?")
    # A colon in a path is a custom method (`/keys/1:revoke`), not a field.
    clean = fields(shapes(path, found), names, found, separators=b"=")
    return clean + mark + form(text(query, names, found), names, found, "query")


def authority(value: bytes, found: Found | None = None) -> bytes:
    """`[userinfo@]host[:port]` without what the userinfo says."""
    _, mark, host = value.rpartition(b"@")
    if not mark:
        return value
    (found or Found()).add("authority", "userinfo")
    return REDACTED + mark + host


def form(data: bytes, names: Names = BUILT_IN, found: Found | None = None, kind: str = "form") -> bytes:
    """A query or an `application/x-www-form-urlencoded` body. URLs inside values are looked into too."""
    found = found or Found()
    result = []
    for pair in data.split(b"&"):
        name, mark, value = pair.partition(b"=")
        if mark and is_secret(name.replace(b"+", b" "), names, query=True):
            found.add(kind, name)
            value = REDACTED
        elif b"%" in value:
            plain = unquote_to_bytes(value)
            if (clean := text(plain, names, found)) != plain:
                value = quote_from_bytes(clean, safe="[]").encode()
        else:
            value = text(value, names, found)
        result.append((name if mark else text(name, names, found)) + mark + value)
    return b"&".join(result)


# Patterns take linear time on any input: runs are possessive, and a run that failed is not tried again from its middle.
JWT = re.compile(rb"(?<![\w-])([\w-]{11,}+)\.ey[\w-]{4,}+(?:\.[\w-]*+)*+")
BEARER = re.compile(rb"(?i)\b(bearer\s++)[\w.~+/=-]{16,}+")
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
USERINFO = re.compile(rb"://[^/?#\s\"'<>@\\]{1,512}@")

# `name` `:` or `=`, the name bare or quoted; possessive, so that a long run of word characters is read once.
NAME = rb"\w$.\-\[\]%\\"
FIELD = re.compile(rb"(?<![%b])([%b]{2,}+)([\"']?)\s*+([:=])[ \t\r\n]*+" % (NAME, NAME))
ELEMENT = re.compile(rb"<((?:[\w.-]+:)?[\w.-]+)(?:\s[^<>]*)?(?<!/)>")
PART_HEAD = re.compile(rb"(?im)^content-disposition:([^\r\n]*+)(?:\r?\n[^\r\n]++){0,8}+\r?\n\r?\n")
PART_NAME = re.compile(rb"(?i)\bname=(?:\"([^\"]*)\"|([^\s;\"]+))")
PART_END = re.compile(rb"\r?\n--")

# All that is redacted has one of these in it.
MARK = re.compile(rb":|=|<|eyJ|earer|EARER|PRIVATE KEY")
STEM = re.compile(b"|".join(map(re.escape, STEMS)))


def text(data: bytes, names: Names = BUILT_IN, found: Found | None = None) -> bytes:
    """Any bytes: JSON, forms, URLs, multipart, XML, YAML, or none of these, whole or cut off.

    Redacts the values of fields with a secret's name, and what `shapes` does.
    """
    if not MARK.search(data):
        return data
    lower = data.lower()
    if not names.squashed and not has_stem(lower):
        return data
    found = found or Found()
    data = shapes(data, found)
    if b"isposition" in lower:
        data = multipart(data, names, found)
    if b"<" in data:
        data = elements(data, names, found)
    return fields(data, names, found)


def has_stem(lower: bytes) -> bool:
    if len(lower) < 256:  # one look, where starting one for each stem is what takes the time
        return STEM.search(lower) is not None
    return any(stem in lower for stem in STEMS)


def shapes(data: bytes, found: Found | None = None) -> bytes:
    """Redacts what looks like a secret wherever it stands: JWTs, bearer tokens, private keys, a URL's userinfo."""
    found = found or Found()
    if b"PRIVATE KEY-----" in data:
        data = shape(PRIVATE_KEY, REDACTED, "private-key", data, found)
    if b"eyJ" in data:
        data = shape(JWT, lambda match: REDACTED if b"eyJ" in match[1] else match[0], "jwt", data, found)
    if b"earer" in data or b"EARER" in data:
        data = shape(BEARER, rb"\1" + REDACTED, "bearer", data, found)
    return shape(USERINFO, b"://" + REDACTED + b"@", "userinfo", data, found)


def may_have_shape(text: str) -> bool:
    """Whether `shapes` could find something in a text: where this says no, it does not have to look."""
    return "eyJ" in text or "earer" in text or "EARER" in text or "PRIVATE KEY-----" in text or "://" in text


Replacement = bytes | Callable[[re.Match[bytes]], bytes]


def shape(pattern: re.Pattern[bytes], replacement: Replacement, name: str, data: bytes, found: Found) -> bytes:
    clean = pattern.sub(replacement, data)
    if clean != data:
        found.add("value", name)
    return clean


KEPT = re.compile(rb"(?:null|true|false)(?![\w.+-])")


def fields(data: bytes, names: Names, found: Found, separators: bytes = b":=") -> bytes:
    """Values of `name: value` and `name=value`, in whatever these stand."""
    pieces: list[bytes] = []
    start = position = 0
    while match := FIELD.search(data, position):
        spelt, mark, separator = match.groups()
        name, (begin, position) = spelt.strip(b"\\"), match.span()
        in_query = separator == b"=" and (begin == 0 or data[begin - 1] in b"?&#")
        if separator not in separators or not is_secret(name, names, in_query) or KEPT.match(data, position):
            continue
        inner, end, quoted = value_span(data, position, separator, bare_line=not mark and starts_line(data, begin))
        if end == inner:
            continue
        found.add("query" if in_query else "field", name)
        # A JSON number or object becomes a string, so that the document stays one.
        quote = b'"' if not quoted and mark == b'"' and not spelt.endswith(b"\\") else b""
        pieces += (data[start:inner], quote, REDACTED, quote)
        start = position = end
    pieces.append(data[start:])
    return b"".join(pieces)


def starts_line(data: bytes, begin: int) -> bool:
    """Whether only indentation or a list mark stands before `begin`: a header line, or YAML."""
    start = max(begin - INDENTATION, 0)
    newline = data.rfind(b"\n", start, begin)
    return (newline >= 0 or start == 0) and not data[max(newline + 1, start) : begin].strip(b" \t-")


INDENTATION = 64  # bytes before a name that are looked at
QUOTE = re.compile(rb"(?<!\\)(\\*+)([\"'])")
BRACKET = re.compile(rb"[\"'{}\[\]]")
URL_STOP = re.compile(rb"[&#\s\"'<>\\]")
BARE_STOP = re.compile(rb"[\r\n,}\])\"'<>&\\]")
LINE_STOP = re.compile(rb"[\r\n]")


def value_span(data: bytes, start: int, separator: bytes, bare_line: bool) -> tuple[int, int, bool]:
    """Where the value that begins at `start` has its content: start, end, and whether quotes stand around it.

    A value that is cut off ends where the data ends.
    """
    if opening := QUOTE.match(data, start):
        return opening.end(), string_end(data, opening), True
    if separator == b"=":
        return start, stop(URL_STOP, data, start), False
    if data[start : start + 1] in (b"{", b"["):
        return start, nested_end(data, start), False
    return start, stop(LINE_STOP if bare_line else BARE_STOP, data, start), False


def stop(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    match = pattern.search(data, start)
    return match.start() if match else len(data)


def string_end(data: bytes, opening: re.Match[bytes]) -> int:
    r"""Where the string's content ends. Inside a JSON string the quotes are `\"`, in one inside that `\\\"`.

    A quote behind m backslashes closes one opened behind k (0, 1, 3, 7 ...) when m mod 2(k+1) is k.
    """
    depth, quote = len(opening[1]), opening[2]
    for match in QUOTE.finditer(data, opening.end()):
        if match[2] == quote and len(match[1]) % (2 * (depth + 1)) == depth:
            return match.end() - 1 - depth
    return len(data)


def nested_end(data: bytes, start: int) -> int:
    """Where an object or array ends, its strings skipped."""
    depth, position = 0, start
    while match := BRACKET.search(data, position):
        position = match.end()
        if match[0] in b"{[":
            depth += 1
        elif match[0] in b"}]":
            depth -= 1
            if depth == 0:
                return position
        else:
            behind = match.start()
            while data[behind - 1 : behind] == b"\\":
                behind -= 1
            opening = QUOTE.match(data, behind)
            if opening is None:
                raise AssertionError("a quote was found here")
            position = min(string_end(data, opening) + len(opening[0]), len(data))
    return len(data)


def elements(data: bytes, names: Names, found: Found) -> bytes:
    """Contents of XML elements, up to the closing tag of the same name."""
    pieces: list[bytes] = []
    start = position = 0
    while match := ELEMENT.search(data, position):
        position = match.end()
        if not is_secret(match[1].rpartition(b":")[2], names):
            continue
        end = data.find(b"</" + match[1], position)
        end = len(data) if end < 0 else end
        if end > position:
            found.add("element", match[1])
            pieces += (data[start:position], REDACTED)
            start = position = end
    pieces.append(data[start:])
    return b"".join(pieces)


def multipart(data: bytes, names: Names, found: Found) -> bytes:
    """Contents of `multipart/form-data` parts (RFC 7578), up to the next delimiter."""
    pieces: list[bytes] = []
    start = position = 0
    while match := PART_HEAD.search(data, position):
        position = match.end()
        named = PART_NAME.search(match[1])
        if named and is_secret(named[1] or named[2] or b"", names, query=True):
            found.add("part", named[1] or named[2])
            pieces += (data[start:position], REDACTED)
            start = position = stop(PART_END, data, position)
    pieces.append(data[start:])
    return b"".join(pieces)
