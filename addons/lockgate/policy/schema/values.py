"""What text each kind of value takes, and what it becomes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, cast

from pydantic import BeforeValidator, Field, PlainValidator

from lockgate.model import HMAC_CONTENT, HMAC_HEADERS, HTTP_METHODS, REFUSED_METHODS, MaskKind, SecretSource
from lockgate.policy.sources import pem_source, source, text_source

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SIZE = re.compile(r"(\d{1,15}) ?(B|KB|MB|GB|KiB|MiB|GiB)")
SIZE_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
DURATION = re.compile(r"(\d{1,9})(s|m|h|d)")
WAIT = re.compile(r"[1-9]\d{0,8}(s|m|h|d)")
DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
METHOD = re.compile(r"[A-Z][A-Z0-9-]{0,31}")
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")  # RFC 6838, 4.2
WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
FRAMING_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"})
NamedList = tuple[str, ...] | tuple[int | Decimal, ...]


class Strategy(NamedTuple):
    kind: MaskKind
    argument: str | int | None


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"text is needed here, not a {'mapping' if isinstance(value, dict) else 'list'}")
    if not value.strip():
        raise ValueError("the value is missing")
    return value


def name(value: Any) -> str:
    if not NAME.fullmatch(text(value)):
        raise ValueError("a name has letters, digits and . _ - only, and starts with a letter or digit")
    return cast("str", value)


def flag(value: Any) -> bool:
    if value not in ("true", "false"):
        raise ValueError("write true or false")
    return bool(value == "true")


def size(value: Any) -> int:
    found = SIZE.fullmatch(text(value))
    if not found or not int(found[1]):
        raise ValueError("a size is a number with a unit: 512B, 64KB, 10KiB, 1MiB, 1GiB")
    return int(found[1]) * SIZE_UNITS[found[2]]


def duration(value: Any) -> float:
    found = DURATION.fullmatch(text(value))
    if not found:
        raise ValueError("a duration is a number with a unit: 30s, 15m, 1h, 90d")
    return float(int(found[1]) * DURATION_UNITS[found[2]])


def wait(value: Any) -> float:
    """A duration that is not nothing."""
    if not WAIT.fullmatch(text(value)):
        raise ValueError("a time to wait is a number from 1 with a unit: 30s, 15m, 1h, 7d")
    return duration(value)


def count(value: Any) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text(value)):
        raise ValueError("a whole number from 1 is needed here")
    return int(value)


def instant(value: Any) -> datetime:
    """A day, which means its first moment, or an instant with its zone (RFC 3339), as UTC."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text(value), re.ASCII):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", value, re.ASCII):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a day or an instant is needed here: 2030-01-31 (0:00 UTC) or 2030-01-31T12:00:00Z")


def named_list(value: Any) -> NamedList:
    """A list of text, or one of numbers where it says so: `{numbers: [1, 2.5]}`."""
    if isinstance(value, dict):
        if set(value) != {"numbers"} or not isinstance(value["numbers"], list):
            raise ValueError("a list of numbers is written {numbers: [1, 2.5]}, one of text [a, b]")
        return tuple(number(each) for each in value["numbers"])
    if not isinstance(value, list):
        raise ValueError("a list is needed here: [a, b], or {numbers: [1, 2.5]}")
    if not all(isinstance(each, str) for each in value):
        raise ValueError("a list holds text, or numbers: not lists or mappings")
    return tuple(value)


def number(value: Any) -> int | Decimal:
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value, re.ASCII):
        raise ValueError("not a number: write it as in 12 or -0.5")
    return Decimal(value) if "." in value else int(value)


def listed(value: Any) -> Any:
    """One entry, or a list of them."""
    if value == []:
        raise ValueError("the list is empty")
    return value if isinstance(value, list) else [value]


def claim(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return tuple(value)
    if not isinstance(value, str):
        raise ValueError("the value of a claim is text, or a list of text")
    return value


def hold_time(value: Any) -> float:
    seconds = wait(value)
    if seconds > 90 * 86400:
        raise ValueError("a hold or a grant lasts for 90d at most")
    return seconds


def ttl(value: Any) -> float:
    seconds = wait(value)
    if not 60 <= seconds <= 86400:
        raise ValueError("a JWT is good for 1m to 24h")
    return seconds


def keys_max_age(value: Any) -> float:
    seconds = wait(value)
    if not 600 <= seconds <= 7 * 86400:
        raise ValueError("keys that cannot be fetched anew go on serving for 10m to 7d")
    return seconds


def strategy(value: Any) -> Strategy:
    if value in ("drop", "nullify", "redact", "hash"):
        return Strategy(cast("MaskKind", value), None)
    if isinstance(value, dict) and len(value) == 1:
        ((kind, argument),) = value.items()
        if kind == "replace" and isinstance(argument, str):
            return Strategy("replace", argument)
        if kind in ("keep_first", "keep_last"):
            if isinstance(argument, str) and re.fullmatch(r"[1-9][0-9]{0,3}", argument):
                return Strategy(cast("MaskKind", kind), int(argument))
            raise ValueError(f"{kind} takes a number from 1, as in {{{kind}: 4}}")
    raise ValueError(
        "a mask is one of redact, nullify, drop, hash, {keep_first: 4}, {keep_last: 4}, {replace: text},"
        " one for each path"
    )


def algorithm(value: Any) -> str:
    if value not in ALGORITHMS:
        raise ValueError(f"not an algorithm that is taken: {', '.join(ALGORITHMS)}")
    return cast("str", value)


def header_name(value: Any) -> str:
    if not HEADER_NAME.fullmatch(text(value)):
        raise ValueError("not a header name")
    if value.lower() in FRAMING_HEADERS:
        raise ValueError("this header is the gateway's own: a credential cannot be in it")
    return cast("str", value)


def method(value: Any) -> str:
    """A method that not every target takes."""
    if not METHOD.fullmatch(text(value)):
        raise ValueError("a method is written in capitals, as in PROPFIND or PURGE")
    if value in HTTP_METHODS:
        raise ValueError(f"every target takes {value}: leave it out")
    if value in REFUSED_METHODS:
        raise ValueError(f"{value} is never let through: leave it out")
    return cast("str", value)


def media_type(value: Any) -> str:
    if not MEDIA_TYPE.fullmatch(text(value)):
        raise ValueError("a media type is written in small letters and without parameters, as in text/csv")
    return cast("str", value)


def user(value: Any) -> str:
    if ":" in text(value):
        raise ValueError("a user name has no colon (RFC 7617)")
    return cast("str", value)


def word(value: Any) -> str:
    if not WORD.fullmatch(text(value)):
        raise ValueError("a name as AWS writes it is needed here: lower-case letters, digits and -, as in eu-central-1")
    return cast("str", value)


def content(value: Any) -> str:
    """The template of what a signature is made of."""
    return with_placeholders(text(value), HMAC_CONTENT)


def header_value(value: Any) -> str:
    """The template of a header field that goes with a signature."""
    given = with_placeholders(text(value), HMAC_HEADERS)
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", given):
        raise ValueError("the value of a header is visible ASCII")
    return given


def with_placeholders(value: str, known: Sequence[str]) -> str:
    rest = re.sub("|".join(rf"\{{{name}\}}" for name in known), "", value)
    if "{" in rest or "}" in rest:
        raise ValueError(f"the placeholders known here are {', '.join(f'{{{name}}}' for name in known)}")
    return value


Text = Annotated[str, BeforeValidator(text)]
NameText = Annotated[str, BeforeValidator(name)]
Flag = Annotated[bool, BeforeValidator(flag)]
Size = Annotated[int, BeforeValidator(size)]
Duration = Annotated[float, BeforeValidator(duration)]
HeaderValue = Annotated[str, BeforeValidator(header_value)]
Source = Annotated[SecretSource, PlainValidator(source)]
TextSource = Annotated[SecretSource, PlainValidator(text_source)]
PemSource = Annotated[SecretSource, PlainValidator(pem_source)]
Algorithm = Annotated[str, BeforeValidator(algorithm)]
Wait = Annotated[float, BeforeValidator(wait)]
HoldTime = Annotated[float, BeforeValidator(hold_time)]
Ttl = Annotated[float, BeforeValidator(ttl)]
KeysMaxAge = Annotated[float, BeforeValidator(keys_max_age)]
MaskMap = dict[str, Annotated[Strategy, PlainValidator(strategy)]]
Count = Annotated[int, BeforeValidator(count)]
Instant = Annotated[datetime, PlainValidator(instant)]
Lines = Annotated[list[Text], BeforeValidator(listed)]
Names = Annotated[list[NameText], BeforeValidator(listed)]
MediaTypes = Annotated[list[Annotated[str, BeforeValidator(media_type)]], BeforeValidator(listed), Field(max_length=64)]
Methods = Annotated[list[Annotated[str, BeforeValidator(method)]], BeforeValidator(listed), Field(max_length=64)]
