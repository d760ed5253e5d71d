"""The words of the domain: frozen values that pure code and stages pass to each other. Standard library only.

What belongs here: plain data with a name from the field. What never does: behaviour that needs a clock, a file, a
socket or mitmproxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NoReturn, SupportsIndex


class Sensitive:
    """Base of whatever holds a secret: it prints itself redacted, and can be neither pickled nor copied.

    `dataclasses.asdict`, which copies what it does not know, fails on it too. Two instances are never equal.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} redacted>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be pickled or copied")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, as a verified token says.

    `expires_at` is when the token is no longer honoured: its `exp` and the issuer's leeway, in seconds since the epoch.
    `claims` are the verified claims.
    """

    issuer: str
    subject: str
    roles: tuple[str, ...]
    expires_at: float
    token_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Verdict(StrEnum):
    """What a rule says of an action, and what a decision comes to."""

    ALLOW = "allow"
    HOLD = "hold"
    DENY = "deny"


# The verbs of HTTP that rules may name and requests may have: what `any` means. TRACE and CONNECT never get through.
# WebDAV's are left out: COPY and MOVE name a second resource, which a rule would not see.
HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"})


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a request would do: a verb on a resource of a target. HTTP: the method and the canonical path."""

    verb: str
    target: str
    resource: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where a value would, when a body cannot be read: a rule that reads it is unevaluable (law 2)."""

    reason: str


@dataclass(frozen=True, slots=True)
class HttpFacts:
    """What conditions may read of an HTTP request.

    `query` and `headers` map a name (headers: lower case) to all its values, in order. `body` is the parsed JSON
    document, `{}` where the request has no body, or `Unreadable`.
    """

    method: str
    host: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: Any | Unreadable = field(default_factory=dict)


MaskKind = Literal["drop", "nullify", "redact", "replace", "hash", "keep_first", "keep_last"]


@dataclass(frozen=True, slots=True)
class Mask:
    """One masked path: a JSONPath and what happens to each value it finds.

    `argument` is the text of `replace` or the count of `keep_first` and `keep_last`. `rule` names where the mask
    stands: `role/rule-id`.
    """

    path: str
    kind: MaskKind
    argument: str | int | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Show:
    """The closed form of masking: of a document only what one of `paths` selects is kept. `rule` is where it stands.

    Several bind together: what is kept is what all of them show.
    """

    paths: tuple[str, ...]
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """What a hold asks for: `quorum` persons of a role in `approvers` (none: of any), within `timeout` seconds."""

    approvers: tuple[str, ...] = ()
    quorum: int = 1
    timeout: float | None = None


class Outcome(StrEnum):
    """How one considered rule came out."""

    MATCHED = "matched"
    EXPIRED = "expired"
    CONDITION_FALSE = "condition-false"
    UNEVALUABLE = "unevaluable"


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule whose verb, target and resource fit an action, and how it came out.

    `rule` is `role/rule-id`, `source` is `file:line`, `detail` says why a rule did not match.
    """

    rule: str
    source: str
    verdict: Verdict
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says of a request: the most restrictive verdict over its actions, with its reasons.

    `rule` is the deciding rule (`role/rule-id`), None when nothing matched; `reason` is that rule's own text.
    `masks` and `shows` are those of every matching rule, the role's, the target's and the guardrails'. `redactions`
    are what is left out of the record of the request: JSONPaths over its body, `query.NAME` and `headers.NAME`.
    """

    verdict: Verdict
    rule: str | None = None
    reason: str | None = None
    considered: tuple[Considered, ...] = ()
    masks: tuple[Mask, ...] = ()
    shows: tuple[Show, ...] = ()
    redactions: tuple[str, ...] = ()

    @property
    def alters(self) -> bool:
        """Whether the answer must be masked before anyone sees it."""
        return bool(self.masks or self.shows)


@dataclass(frozen=True, slots=True)
class Limits:
    """Body sizes in bytes, as transferred and as decoded."""

    request: int = 1024 * 1024
    response: int = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Something the gateway can reach: one origin, and the name of the credential it is given.

    `connect` is where to dial instead of the origin's own host and port. `private` permits addresses in loopback,
    link-local and private space.
    """

    name: str
    scheme: Literal["http", "https"]
    host: str
    port: int
    credential: str | None = None
    limits: Limits = Limits()
    private: bool = False
    connect: tuple[str, int] | None = None
    pass_cookies: bool = False

    @property
    def authority(self) -> str:
        """`host[:port]` as a Host header has it: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer of agents' tokens, as `gateway.yaml` names it.

    `roles` is a JSONPath over the verified claims; `alias` maps an issuer's names of roles to ours. `leeway` and
    `max_ttl` (of `exp - iat`) are seconds. `dev` marks the local development issuer, honoured for loopback peers only;
    its keys lie under `state`, so it has no `jwks_file`.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    roles: str
    jwks_file: Path | None = None
    alias: Mapping[str, str] = field(default_factory=dict)
    leeway: float = 30.0
    max_ttl: float | None = None
    dev: bool = False


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret is kept, never the secret: an environment variable's name or a file's path."""

    kind: Literal["env", "file"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class CredentialSpec:
    """One entry of `credentials.yaml`: what kind of credential, where its secret is kept, which hosts may be given it.

    `user` is the user name of `basic`; `field` is the name of the header or query parameter of `header` and `query`;
    `prefix` stands before the secret in a `header`.
    """

    name: str
    kind: Literal["bearer", "basic", "header", "query"]
    hosts: tuple[str, ...]
    source: SecretSource
    user: str = ""
    field: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """`gateway.yaml`: who issues tokens, and where the gateway writes. Sizes in bytes.

    `lists` are what conditions read as `lists.NAME`: each all text or all numbers.
    """

    issuers: tuple[Issuer, ...]
    recordings_dir: str = "recordings"
    recordings_max_body: int = 10 * 1024 * 1024
    state: str = ".lockgate"
    lists: Mapping[str, tuple[str, ...] | tuple[int | Decimal, ...]] = field(default_factory=dict)
