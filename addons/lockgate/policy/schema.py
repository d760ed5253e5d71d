"""The shape of the rules' files: what keys there are, and what text each takes. Pure.

Models see text, lists and mappings only, as `documents.read` gives them. What needs more than one entry to judge (a
target that names a credential) or a language of its own (patterns, CEL, JSONPath) is checked where it is compiled.
What stands below a key is what editors say of it (`json_schema`).
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, cast, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import ErrorDetails

from lockgate.model import MaskKind, SecretSource
from lockgate.policy.traps import COLON, TIGHT_KEY

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SIZE = re.compile(r"(\d{1,15}) ?(B|KB|MB|GB|KiB|MiB|GiB)")
SIZE_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
DURATION = re.compile(r"(\d{1,9})(s|m|h|d)")
WAIT = re.compile(r"[1-9]\d{0,8}(s|m|h|d)")
DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LABEL = r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?"
HOST_NAME = re.compile(rf"{LABEL}(\.{LABEL})*")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
FRAMING_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"})


class Origin(NamedTuple):
    scheme: Literal["http", "https"]
    host: str
    port: int


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


def host(value: Any) -> str:
    """A host name or address in its one spelling."""
    given = text(value)
    if not given.isascii():
        raise ValueError("a host is written in ASCII: use the xn-- form of an internationalised name")
    lowered = given.lower()
    if lowered.startswith("[") and lowered.endswith("]") and "%" not in lowered:
        try:
            return str(ipaddress.IPv6Address(lowered[1:-1]))
        except ValueError:
            raise ValueError("not an IPv6 address") from None
    if re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)", lowered.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(lowered))
        except ValueError:
            raise ValueError("not an IPv4 address: write four numbers, as in 192.0.2.1") from None
    if not HOST_NAME.fullmatch(lowered) or len(lowered) > 253:
        raise ValueError("not a host name: write it as in api.crm.example, without scheme, port or final dot")
    return lowered


def split(value: str) -> tuple[SplitResult, int | None]:
    parts = urlsplit(value)
    return parts, parts.port


def origin(value: Any) -> Origin:
    given = text(value)
    example = "write one origin, as in https://api.crm.example or http://10.0.0.5:8080"
    try:
        parts, port = split(given)
    except ValueError:
        raise ValueError(f"not a URL: {example}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the scheme is not http or https: {example}")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user or password is not taken: name a credential instead")
    if parts.path or "?" in given or "#" in given:
        raise ValueError(f"a target is an origin, without path or query: {example}; rules have the paths")
    if re.search(r"\s", given) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"not a URL: {example}")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    written = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc
    return Origin(scheme, host(written), port or {"https": 443, "http": 80}[scheme])


def address(value: Any) -> tuple[str, int]:
    where, colon, port = text(value).rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError("an address is host:port, as in 127.0.0.1:9443")
    return host(where), int(port)


def source(value: Any) -> SecretSource:
    """Where a secret is kept. The message never repeats what was given: it may be the secret."""
    kind, _, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest):
        return SecretSource("env", rest)
    if kind == "file" and rest and not re.search(r"[\x00-\x1f]", rest):
        return SecretSource("file", rest)
    raise ValueError("a secret never stands in the rules: write env:NAME or file:/path, in quotes")


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


Text = Annotated[str, BeforeValidator(text)]
NameText = Annotated[str, BeforeValidator(name)]
Flag = Annotated[bool, BeforeValidator(flag)]
Size = Annotated[int, BeforeValidator(size)]
Duration = Annotated[float, BeforeValidator(duration)]
Host = Annotated[str, BeforeValidator(host)]
Source = Annotated[SecretSource, PlainValidator(source)]
MaskMap = dict[str, Annotated[Strategy, PlainValidator(strategy)]]
Count = Annotated[int, BeforeValidator(count)]
Instant = Annotated[datetime, PlainValidator(instant)]
Url = Annotated[Origin, PlainValidator(origin)]
Lines = Annotated[list[Text], BeforeValidator(listed)]
Names = Annotated[list[NameText], BeforeValidator(listed)]


class Model(BaseModel):
    """`echo` says whether messages may repeat a key of this model: not where a secret may stand by mistake."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)
    echo: ClassVar[bool] = True


class Matching(Model):
    """What every kind of rule may say of when it counts and what its answer shows."""

    id: NameText
    """Its name in records and refusals, as ROLE/ID; unique in its file. Example: read-customers"""
    hold: Lines | None = None
    """What a person has to approve: a line, VERB TARGET RESOURCE, or a list of lines. Without a resource it is about
    everything at the target."""
    deny: Lines | None = None
    """What is refused: a line, VERB TARGET RESOURCE, or a list of lines. Without a resource it is about everything at
    the target."""
    when: Text | None = None
    """It counts where this condition (CEL) is true."""
    unless: Text | None = None
    """It does not count where this condition (CEL) is true; looked at only where when is."""
    types: dict[str, Text] = Field(default_factory=dict)
    """Of what type the fields are that when and unless read. Example: {body.country: string}"""
    expires: Instant | None = None
    """From then on the rule counts as not there: a day (its first moment, UTC) or an instant, 2030-01-31T12:00:00Z."""
    mask: MaskMap = Field(default_factory=dict)
    """What happens to each value of the answer that a JSONPath finds. Example: {$..email: {keep_last: 4}}"""
    show: Lines = Field(default_factory=list)
    """JSONPaths: of the answer only what they find is kept."""
    redact_request: Lines = Field(default_factory=list)
    """What of the request is not recorded: JSONPaths over its body, query.NAME, headers.NAME."""
    approvers: Names | None = None
    """The roles of persons who may approve a hold; any person where it says nothing. Example: [finance]"""
    quorum: Count | None = None
    """How many approvals a hold needs; 1 where it says nothing."""
    timeout: Annotated[float, BeforeValidator(wait)] | None = None
    """How long a hold waits for approval."""
    reason: Text | None = None
    """Is shown to the agent, and recorded. Example: Bulk export needs a ticket."""

    @property
    def verdicts(self) -> list[str]:
        return [key for key in ("allow", "hold", "deny") if getattr(self, key, None) is not None]

    @model_validator(mode="after")
    def fitting_keys(self) -> Self:
        if self.deny is not None and (self.mask or self.show):
            raise ValueError("a deny has no answer to mask: leave mask and show out")
        if self.types and not (self.when or self.unless):
            raise ValueError("types are those of what when and unless read: write one of them, or leave types out")
        if self.hold is None and (self.approvers or self.quorum or self.timeout is not None):
            raise ValueError("approvers, quorum and timeout are a hold's: leave them out")
        return self


class Rule(Matching):
    """One rule of a role."""

    allow: Lines | None = None
    """What is let through: a line, VERB TARGET RESOURCE, or a list of lines."""

    @model_validator(mode="after")
    def one_verdict(self) -> Self:
        if len(self.verdicts) != 1:
            raise ValueError("a rule has exactly one of allow, hold and deny")
        return self


class Role(Model):
    """`roles/NAME.yaml`."""

    role: NameText
    """The role's name, which is the file's too. Example: support"""
    extends: Names = Field(default_factory=list)
    """Roles whose rules it has too. Extending can only add. Example: [reader]"""
    rules: list[Any]
    """What the role may do. The order means nothing: a deny beats a hold, a hold beats an allow."""


class Guardrail(Matching):
    """One rule that binds every role: a deny, a hold, or what every answer and record of every target leaves out."""

    @model_validator(mode="after")
    def one_purpose(self) -> Self:
        if len(self.verdicts) > 1 or not (self.verdicts or self.mask or self.show or self.redact_request):
            raise ValueError(
                "a guardrail has exactly one of hold and deny, or only mask, show and redact_request; it never allows"
            )
        if not self.verdicts and (self.when or self.unless or self.expires or self.reason):
            raise ValueError("masks alone bind every answer: leave when, unless, expires and reason out")
        return self


class Guardrails(Model):
    """`guardrails.yaml`."""

    rules: list[Any]
    """Rules that bind every role: denies, holds, and what is masked everywhere. None allows."""


class Limits(Model):
    request: Size | None = None
    """The largest body that is sent on."""
    response: Size | None = None
    """The largest body that is taken from the target, as sent and as decoded."""


class Target(Model):
    """One entry of `targets.yaml`."""

    url: Url | None = None
    """Its one origin: scheme, host and port, without a path."""
    urls: Annotated[list[Url], Field(min_length=1)] | None = None
    """Its origins, where several hosts are one thing to the rules.
    Example: [https://eu.catalog.example, https://us.catalog.example]"""
    credential: NameText | None = None
    """The entry of credentials.yaml that is sent to it. Example: crm-token"""
    limits: Limits = Field(default_factory=Limits)
    """The largest bodies, as sent and as decoded. Example: {request: 1MiB, response: 10MiB}"""
    private: Flag = False
    """Whether it may be at a loopback, link-local or private address. Example: true"""
    connect: Annotated[tuple[str, int], PlainValidator(address)] | None = None
    """Dial here instead, as host:port; the name of its url is still verified."""
    cookies: Literal["pass"] | None = None
    """Hand the target's Set-Cookie to the agent; withheld otherwise where there is a credential. Example: pass"""
    mask: MaskMap = Field(default_factory=dict)
    """What happens to values of every answer of this target, by JSONPath. Example: {$..ssn: redact}"""
    show: Lines = Field(default_factory=list)
    """JSONPaths: of every answer of this target only what they find is kept."""
    redact_request: Lines = Field(default_factory=list)
    """What of every request to it is not recorded: JSONPaths over its body, query.NAME, headers.NAME."""

    @property
    def origins(self) -> list[Origin]:
        return self.urls or ([self.url] if self.url else [])

    @model_validator(mode="after")
    def one_address(self) -> Self:
        if (self.url is None) == (self.urls is None):
            raise ValueError("a target has exactly one of url and urls")
        return self


class Targets(Model):
    """`targets.yaml`."""

    targets: dict[str, Any]
    """What can be reached, by the names that rules use. Example: {crm: {url: https://api.crm.example}}"""


def user(value: Any) -> str:
    if ":" in text(value):
        raise ValueError("a user name has no colon (RFC 7617)")
    return cast("str", value)


class Basic(Model):
    echo: ClassVar[bool] = False
    user: Annotated[str, BeforeValidator(user)]
    """The user's name. Example: gateway"""
    password: Source
    """Where the password is kept: env:NAME or file:PATH, never the password itself."""


class Header(Model):
    echo: ClassVar[bool] = False
    name: Annotated[str, BeforeValidator(header_name)]
    """The header field that carries the secret."""
    value: Source
    """Where the secret is kept: env:NAME or file:PATH, never the secret itself."""
    prefix: str = ""
    """Text before the secret. Example: \"Key \""""


class Query(Model):
    echo: ClassVar[bool] = False
    name: Text
    """The parameter of the query that carries the secret. Example: key"""
    value: Source
    """Where the secret is kept: env:NAME or file:PATH, never the secret itself."""


class Credential(Model):
    """One entry of `credentials.yaml`."""

    echo: ClassVar[bool] = False
    hosts: Annotated[list[Host], Field(min_length=1)]
    """The only hosts that are ever given it. Example: [api.crm.example]"""
    bearer: Source | None = None
    """Sent as Authorization: Bearer. Where the token is kept: env:NAME or file:PATH, never the token itself."""
    basic: Basic | None = None
    """Sent as Authorization: Basic. Example: {user: gateway, password: \"env:BILLING\"}"""
    header: Header | None = None
    """Sent in a header field. Example: {name: X-Api-Key, value: \"env:SEARCH_KEY\"}"""
    query: Query | None = None
    """Sent as a parameter of the query. Example: {name: key, value: \"env:MAPS_KEY\"}"""

    @model_validator(mode="after")
    def one_kind(self) -> Self:
        if sum(kind is not None for kind in (self.bearer, self.basic, self.header, self.query)) != 1:
            raise ValueError("a credential has exactly one of bearer, basic, header and query")
        return self


class Credentials(Model):
    """`credentials.yaml`."""

    credentials: dict[str, Any]
    """The gateway's own credentials, by the names that targets use.
    Example: {crm-token: {bearer: \"env:CRM_TOKEN\", hosts: [api.crm.example]}}"""


class Issuer(Model):
    """One entry of `issuers`: an issuer of tokens, or the development issuer."""

    dev: Flag = False
    """The issuer of `lockgate token`, honoured from this machine only. It takes nothing else. Example: true"""
    issuer: Text | None = None
    """The token's iss, exactly. Example: https://login.example/realms/agents"""
    audience: Text | None = None
    """What must be in the token's aud. Example: lockgate"""
    algorithms: Annotated[list[Annotated[str, BeforeValidator(algorithm)]], Field(min_length=1)] | None = None
    """The signatures that are taken; never the token's own choice. Example: [RS256, ES256]"""
    roles: Text | None = None
    """Where the roles are: a JSONPath over the verified claims. Example: $.realm_access.roles[*]"""
    jwks_file: Text | None = None
    """The file of its public keys, relative to this one; read again when it changes. Example: jwks.json"""
    alias: dict[str, NameText] = Field(default_factory=dict)
    """The issuer's names of roles, and ours. Example: {Support Agents: support}"""
    leeway: Duration = 30.0
    """How far its clock may be off; 30s where it says nothing."""
    max_ttl: Duration | None = None
    """No token may live longer, from iat to exp."""

    @model_validator(mode="after")
    def whole(self) -> Self:
        needed = ("issuer", "audience", "algorithms", "roles", "jwks_file")
        if self.dev:
            beside = sorted(self.model_fields_set - {"dev"})
            if beside:
                raise ValueError(f"the development issuer takes nothing else: leave {', '.join(beside)} out")
            return self
        missing = [key for key in needed if getattr(self, key) is None]
        if missing:
            raise ValueError(f"the issuer lacks {', '.join(missing)}")
        return self


class Recordings(Model):
    dir: Text = "recordings"
    """Where the recordings are written, relative to the working directory; recordings where it says nothing."""
    max_body: Size = 10 * 2**20
    """How much of each message is recorded; 10MiB where it says nothing."""


class Gateway(Model):
    """`gateway.yaml`."""

    issuers: list[Any]
    """Who issues agents' tokens. Example: [{dev: true}]"""
    lists: dict[str, Annotated[NamedList, PlainValidator(named_list)]] = Field(default_factory=dict)
    """Lists for conditions, read as lists.NAME: text, or numbers where it says so.
    Example: {eu: [AT, DE], fees: {numbers: [1, 2.5]}}"""
    recordings: Recordings = Field(default_factory=Recordings)
    """Where and how much is recorded."""
    state: Text = ".lockgate"
    """Where the gateway keeps what it makes for itself, relative to the working directory; .lockgate
    where it says nothing."""


MAX_ECHO = 40  # characters of a key that a message repeats
EXPECTED = {
    "model_type": "a mapping is needed here: lines of key: value",
    "dict_type": "a mapping is needed here: lines of key: value",
    "list_type": "a list is needed here: lines that begin with -",
    "string_type": "text is needed here",
    "too_short": "the list is empty",
    "literal_error": "the one value taken here is pass",
}


def explain(error: ErrorDetails, model: type[Model]) -> str:
    """What a validation error says to the author of the file."""
    kind, loc = error["type"], error["loc"]
    if kind == "missing":
        return f"the key {loc[-1]} is missing"
    if kind == "extra_forbidden":
        owner = owner_of(model, loc[:-1])
        return unknown_key(str(loc[-1]), list(owner.model_fields), owner.echo)
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "model_type" and isinstance(error["input"], str) and TIGHT_KEY.match(error["input"]):
        return COLON
    return EXPECTED.get(kind, f"not valid here ({kind})")


def unknown_key(wrong: str, known: list[str], echo: bool) -> str:
    if wrong.startswith("$") and "mask" in known:
        return "a path belongs to mask: indent it more than mask"
    short = wrong if len(wrong) <= MAX_ECHO else f"{wrong[:MAX_ECHO]}..."
    near = get_close_matches(short, known, 1) if echo else []
    start = f"unknown key {short}" if echo else "unknown key"
    return f"{start}: did you mean {near[0]}?" if near else f"{start}: known here: {', '.join(known)}"


def owner_of(model: type[Model], loc: tuple[str | int, ...]) -> type[Model]:
    """The model that the part of a file at `loc` is read by."""
    for part in loc:
        field = model.model_fields.get(str(part))
        inner = model_in(field.annotation) if field else None
        model = inner or model
    return model


def model_in(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part))), None)
