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
from typing import Any, Literal, NamedTuple, NoReturn, SupportsIndex


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


# The ordinary methods of HTTP, which every target takes, and which `any` means. Others a target has to list.
HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"})
# Those that never get through: what they are for a proxy, or a second resource beside the path's, which no rule sees
# (RFC 4918, 9.8 and 9.9; RFC 5842). PRI is how HTTP/2 begins (RFC 9113, 3.4).
REFUSED_METHODS = frozenset({"CONNECT", "TRACE", "PRI", "COPY", "MOVE", "BIND", "REBIND"})
# To open a WebSocket (RFC 6455) at a path, and what then goes to the target and comes from it; `any` is none of them.
WEBSOCKET_VERBS = frozenset({"ws", "send", "receive", "send-binary", "receive-binary"})


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
class Form:
    """The fields of a form by name, all values in order: text, or of a file its `filename`, `type`, `size` in bytes."""

    fields: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class HttpFacts:
    """What conditions may read of an HTTP request.

    `query` and `headers` map a name (headers: lower case) to all its values, in order. `body` is the parsed JSON
    document, a `Form`, `{}` where the request has no body, or `Unreadable`.
    """

    method: str
    host: str
    path: str
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: Any | Form | Unreadable = field(default_factory=dict)


# What of a message is recorded: its body too, its head only, or nothing of what it says but the path and keyed digests.
RecordKind = Literal["full", "headers", "digest"]


MaskKind = Literal["drop", "nullify", "redact", "replace", "hash", "keep_first", "keep_last", "detect"]


@dataclass(frozen=True, slots=True)
class Mask:
    """One masked path: a JSONPath and what happens to each value it finds.

    `argument` is the text of `replace` or the count of `keep_first` and `keep_last`. `rule` names where the mask
    stands: `role/rule-id`. A `detect` has no path: its `argument` is the kind of value to find in any text.
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
class Hold:
    """What a rule that holds asks for: `quorum` persons of a role in `approvers` (none: of any), within `timeout`
    seconds (None: what the gateway says), with a reason each where `require_reason` says so. A grant lasts `max_grant`
    seconds at most; 0 is none.

    `rule` is `role/rule-id`, `reason` the rule's own text, `digest` the SHA-256 of what the rule says: one whose text
    is another is another hold.
    """

    rule: str
    digest: str
    reason: str | None = None
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    timeout: float | None = None
    require_reason: bool = False
    max_grant: float = 0.0


class Outcome(StrEnum):
    """How one considered rule came out."""

    MATCHED = "matched"
    EXPIRED = "expired"
    CONDITION_FALSE = "condition-false"
    UNEVALUABLE = "unevaluable"


class Considered(NamedTuple):
    """One rule whose verb, target and resource fit an action, and how it came out.

    `rule` is `role/rule-id`, `source` is `file:line`, `detail` says why a rule did not match. A named tuple, as the
    decision is: each is made in a quarter of the time that a frozen dataclass takes.
    """

    rule: str
    source: str
    verdict: Verdict
    outcome: Outcome
    detail: str = ""


class Decision(NamedTuple):
    """What the policy says of a request: the most restrictive verdict over its actions, with its reasons.

    `rule` is the deciding rule (`role/rule-id`), None when nothing matched; `reason` is that rule's own text.
    `masks` and `shows` are those of every matching rule, the role's, the target's and the guardrails'. `redactions`
    are what is left out of the record of the request: JSONPaths over its body, `query.NAME`, `headers.NAME`, and
    `record:KIND` where not all is recorded. Of a verdict to hold, `holds` are all that have to be met.
    """

    verdict: Verdict
    rule: str | None = None
    reason: str | None = None
    considered: tuple[Considered, ...] = ()
    masks: tuple[Mask, ...] = ()
    shows: tuple[Show, ...] = ()
    redactions: tuple[str, ...] = ()
    holds: tuple[Hold, ...] = ()

    @property
    def alters(self) -> bool:
        """Whether the answer must be masked before anyone sees it."""
        return bool(self.masks or self.shows)


@dataclass(frozen=True, slots=True)
class Limits:
    """Body sizes in bytes, as transferred and as decoded.

    `response` is that of an answer that is read whole, `streamed` that of one that goes on as it comes: None is any.
    """

    request: int = 1024 * 1024
    response: int = 10 * 1024 * 1024
    streamed: int | None = None


@dataclass(frozen=True, slots=True)
class TargetTls:
    """How a target is verified: by the certificates in `ca` instead of the public ones, for `server_name` instead of
    its host. `client_cert` names the entry of `credentials.yaml` that is shown to it; `min_version` is that of TLS.
    """

    ca: Path | None = None
    server_name: str | None = None
    client_cert: str | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"


@dataclass(frozen=True, slots=True)
class Target:
    """Something the gateway can reach: one origin, and the name of the credential it is given. It is offered HTTP/2
    with `http2`; with `grpc` it speaks gRPC and nothing else, over HTTP/2.

    `connect` is where to dial instead of the origin's own host and port. `private` permits addresses in loopback,
    link-local and private space. `methods` are those it takes beside the ordinary ones. With `lenient_paths` a path
    that has several spellings is brought to one; without, it is refused. `content_types` are those of bodies that it
    takes beside JSON and forms, where rules read bodies.
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
    tls: TargetTls = TargetTls()
    methods: frozenset[str] = frozenset()
    lenient_paths: bool = False
    content_types: frozenset[str] = frozenset()
    http2: bool = False
    grpc: bool = False

    @property
    def server_name(self) -> str:
        """The name that its certificate must be for."""
        return self.tls.server_name or self.host

    @property
    def shown(self) -> tuple[str, ...]:
        """The names of the credentials that it is shown, in a request and in the handshake."""
        return tuple(name for name in (self.credential, self.tls.client_cert) if name is not None)

    @property
    def authority(self) -> str:
        """`host[:port]` as a Host header has it: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Saml:
    """What makes an issuer a SAML identity provider: the file of its metadata, and the Recipient of what is for us.

    With `direct`, an assertion itself is taken on every request, and not only exchanged once.
    """

    metadata: Path
    recipient: str
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer of agents' tokens, as `gateway.yaml` names it.

    `roles` is a JSONPath over the verified claims; `alias` maps an issuer's names of roles to ours. `leeway` and
    `max_ttl` (of `exp - iat`) are seconds. Its keys are in `jwks_file`, at the URL `jwks`, or found by discovery; what
    is fetched comes from a server that `ca` signed, or the public CAs, and is used for `keys_max_age` seconds at most.
    `dev` marks the local development issuer, honoured for loopback peers only; its keys lie under `state`. `saml` marks
    a SAML identity provider, which issues assertions instead.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    roles: str
    jwks_file: Path | None = None
    jwks: str | None = None
    ca: Path | None = None
    keys_max_age: float = 3600.0
    alias: Mapping[str, str] = field(default_factory=dict)
    leeway: float = 30.0
    max_ttl: float | None = None
    dev: bool = False
    saml: Saml | None = None


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret is kept, never the secret itself.

    `name` by kind: an environment variable, a file's path, a command with its arguments (`exec`), `MOUNT/PATH#FIELD`
    (`vault`), `SERVICE/USER` (`keyring`). `form` is what kind of text it must be: a `token` is visible ASCII, a `text`
    may have spaces, a `pem` is RFC 7468. `lifetime` is for how many seconds what was fetched is used; `env` and `file`
    are read each time. `vault` says which Vault.
    """

    kind: Literal["env", "file", "exec", "vault", "keyring"]
    name: str
    form: Literal["token", "text", "pem"] = "token"
    lifetime: float = 300.0
    vault: Vault | None = None

    def __str__(self) -> str:
        if self.kind == "exec":  # what follows the program is nobody else's to see
            return f"exec:{self.name.split(maxsplit=1)[0]}"
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Vault:
    """One HashiCorp Vault, or what speaks its API: its address, who the gateway is there, the CA of its certificate."""

    address: str
    token: SecretSource
    namespace: str = ""
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key (PEM) that JWTs are signed with, the algorithm, and the `kid` by which a verifier knows it."""

    key: SecretSource
    algorithm: str
    kid: str = ""


@dataclass(frozen=True, slots=True)
class OAuth2:
    """An access token to ask for (RFC 6749): by client credentials, or by a refresh token where there is one.

    The client shows who it is with `client_secret`, in the way that `auth` says; with a JWT signed by `client_key` (RFC
    7523); or, with a refresh token only, not at all. `audience` and `resource` (RFC 8707) are sent where not empty.
    """

    token_url: str
    client_id: str
    client_secret: SecretSource | None = None
    client_key: SigningKey | None = None
    refresh_token: SecretSource | None = None
    auth: Literal["basic", "post"] = "basic"
    scope: str = ""
    audience: str = ""
    resource: str = ""
    ca: Path | None = None

    def __str__(self) -> str:
        return f"oauth2 {self.token_url}"


@dataclass(frozen=True, slots=True)
class SignedJwt:
    """A JWT that the gateway signs: shown as it is, or exchanged at `token_url` for an access token (RFC 7523, 2.1).

    `claims` are those beside the registered ones; `ttl` is the seconds from `iat` to `exp`.
    """

    signing: SigningKey
    issuer: str = ""
    subject: str = ""
    audience: str = ""
    claims: tuple[tuple[str, str | tuple[str, ...]], ...] = ()
    ttl: float = 300.0
    token_url: str = ""
    scope: str = ""
    ca: Path | None = None

    def __str__(self) -> str:
        return f"jwt {self.token_url or self.issuer}".strip()


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """What AWS signatures (SigV4) are made with, and for: `service` is its signing name, such as `s3` or `dynamodb`."""

    access_key_id: SecretSource
    secret_access_key: SecretSource
    region: str
    service: str
    session_token: SecretSource | None = None

    @property
    def secrets(self) -> tuple[SecretSource, ...]:
        return (self.access_key_id, self.secret_access_key, *([self.session_token] if self.session_token else ()))

    def __str__(self) -> str:
        return f"aws {self.region} {self.service}"


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A key that requests are signed with (HMAC, RFC 2104), what of them is signed, and the headers that say so.

    `content` and the values of `headers` are templates: text with `{placeholders}`, those of `HMAC_CONTENT` and of
    `HMAC_HEADERS`. `encoding` is how the signature is written, `secret_encoding` how the secret is.
    """

    secret: SecretSource
    content: str
    headers: tuple[tuple[str, str], ...]
    key_id: SecretSource | None = None
    algorithm: Literal["sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    secret_encoding: Literal["text", "base64"] = "text"
    timestamp: Literal["seconds", "milliseconds", "rfc3339"] = "seconds"

    @property
    def secrets(self) -> tuple[SecretSource, ...]:
        return (self.secret, *([self.key_id] if self.key_id else ()))

    def __str__(self) -> str:
        return f"hmac {self.secret}"


HMAC_CONTENT = ("timestamp", "method", "host", "path", "query", "uri", "body", "body_hash", "key_id")
HMAC_HEADERS = ("signature", "timestamp", "key_id")


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A client certificate with its chain (PEM), which is public, and where its private key is kept (PEM)."""

    cert: Path
    key: SecretSource

    def __str__(self) -> str:
        return f"client_cert {self.cert}"


Source = SecretSource | OAuth2 | SignedJwt | AwsKeys | HmacKey | CertificateFiles


@dataclass(frozen=True, slots=True)
class CredentialSpec:
    """One entry of `credentials.yaml`: what kind of credential, where its secret is had, which hosts may be given it.

    `kind` is how it is shown to the target: what `oauth2` and `jwt` obtain is a `bearer`; `aws` and `hmac` sign; a
    `client_cert` is shown in the TLS handshake. `user` is the user name of
    `basic`; `field` is the name of the header or query parameter of `header` and `query`; `prefix` stands before the
    secret in a `header`.
    """

    name: str
    kind: Literal["bearer", "basic", "header", "query", "aws", "hmac", "client_cert"]
    hosts: tuple[str, ...]
    source: Source
    user: str = ""
    field: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """What one principal may use at once. `buffered`: bytes kept of the bodies of its requests under way, in all."""

    connections: int = 256
    requests: int = 128
    buffered: int = 64 * 1024 * 1024


# What there is to tell about a held request.
Happening = Literal["asked", "approved", "denied", "expired", "cancelled"]
HAPPENINGS: tuple[Happening, ...] = ("asked", "approved", "denied", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class WebhookNotifier:
    """A URL that is told by POST, signed with `secret`. `ca` is whose certificates are trusted there (PEM)."""

    url: str
    secret: SecretSource
    ca: Path | None = None
    on: tuple[Happening, ...] = ("asked",)


@dataclass(frozen=True, slots=True)
class SlackNotifier:
    """An incoming webhook of Slack; whoever knows its URL can write there, so it is a secret."""

    url: SecretSource
    on: tuple[Happening, ...] = ("asked",)


@dataclass(frozen=True, slots=True)
class MailNotifier:
    """Mail (SMTP): `security` is how the connection is encrypted; the password, where there is one, is of `user`."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: SecretSource | None = None
    ca: Path | None = None
    on: tuple[Happening, ...] = ("asked",)


@dataclass(frozen=True, slots=True)
class CommandNotifier:
    """A command with its arguments, which gets the notice as JSON on its standard input."""

    command: tuple[str, ...]
    on: tuple[Happening, ...] = ("asked",)


Notifier = WebhookNotifier | SlackNotifier | MailNotifier | CommandNotifier


@dataclass(frozen=True, slots=True)
class Approvals:
    """Who may approve what is held, where, and how long anybody waits. Times in seconds, sizes in bytes.

    Approvers' tokens are of the gateway's issuers, for `audience`; the development issuer's count with `dev` only.
    `requester` is a JSONPath over the claims of the caller's token: whom it names asks too. `wait` is for how long a
    connection waits, `timeout` for how long anybody is asked. `listen` is the address of the API and the page, `url`
    what its links begin with, `tls` its certificate with chain, and key. `pending` and `per_principal` are how many
    may be held at once, `body` is how large the body may be of a request that is shown to a person.
    """

    audience: str = "lockgate-approvals"
    wait: float = 45.0
    timeout: float = 900.0
    listen: tuple[str, int] | None = None
    url: str = ""
    tls: tuple[Path, Path] | None = None
    dev: bool = False
    requester: str | None = None
    sign_in: SignIn | None = None
    pending: int = 1000
    per_principal: int = 100
    body: int = 256 * 1024
    notify: tuple[Notifier, ...] = ()


@dataclass(frozen=True, slots=True)
class SignIn:
    """How approvers sign in on the page: the OpenID provider, by its issuer, and the client that the page is there."""

    issuer: str
    client_id: str
    client_secret: SecretSource | None = None
    scope: str = "openid"


@dataclass(frozen=True, slots=True)
class Keeping:
    """What becomes of record files: closed at `rotate` bytes, compressed, encrypted with a secret, and deleted when all
    their records are older than `keep` seconds (None: never).
    """

    rotate: int = 256 * 1024 * 1024
    keep: float | None = None
    encrypt: SecretSource | None = None
    compress: bool = True


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """After how many records how far the chain has come is signed, and where that goes beside the chain itself."""

    every: int = 1000
    file: Path | None = None
    webhook: WebhookNotifier | None = None


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
    limits: GatewayLimits = GatewayLimits()
    recordings_reserve: int = 64 * 1024 * 1024
    keeping: Keeping = Keeping()
    checkpoints: Checkpoints = Checkpoints()
    approvals: Approvals = Approvals()
