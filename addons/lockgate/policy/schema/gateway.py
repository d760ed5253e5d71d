"""The gateway itself: `gateway.yaml`. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from lockgate.policy.schema import Model
from lockgate.policy.schema.addresses import Published, published
from lockgate.policy.schema.approvals import ApprovalsEntry
from lockgate.policy.schema.notify import hook
from lockgate.policy.schema.values import (
    Algorithm,
    Count,
    Duration,
    Flag,
    KeysMaxAge,
    NamedList,
    NameText,
    Size,
    Source,
    Text,
    TextSource,
    named_list,
    wait,
)

OF_TOKENS = ("algorithms", "jwks", "jwks_file", "ca", "keys_max_age")  # what an issuer of assertions has no use for


class Saml(Model):
    metadata: Text
    """The file of the identity provider's metadata, relative to this one; read again when it changes. Its certificates
    are what assertions are verified with. Example: idp.xml"""
    recipient: Text = "https://lockgate.invalid/saml"
    """The Recipient that its assertions for us name; https://lockgate.invalid/saml where it says nothing.
    Example: https://lockgate.invalid/saml"""
    direct: Flag = False
    """Whether an assertion itself is taken on every request, and not only once, to be exchanged for a token. Whoever
    gets hold of it can then use it until it ends. Example: false"""


class Issuer(Model):
    """One entry of `issuers`: an issuer of tokens, or the development issuer."""

    dev: Flag = False
    """The issuer of `lockgate token`, honoured from this machine only. It takes nothing else. Example: true"""
    issuer: Text | None = None
    """The token's iss, exactly. Example: https://login.example/realms/agents"""
    audience: Text | None = None
    """What must be in the token's aud. Example: lockgate"""
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] | None = None
    """The signatures that are taken; never the token's own choice. Example: [RS256, ES256]"""
    roles: Text | None = None
    """Where the roles are: a JSONPath over the verified claims. Example: $.realm_access.roles[*]"""
    jwks: Published | None = None
    """Where its public keys are, over https; found by OpenID Connect Discovery where neither this nor jwks_file is
    given. Example: https://login.example/keys"""
    jwks_file: Text | None = None
    """The file of its public keys, relative to this one; read again when it changes. Example: jwks.json"""
    ca: Text | None = None
    """The CA of the server that its keys are fetched from (PEM), where it is one of your own; relative to this file.
    Example: /etc/ssl/internal-ca.pem"""
    keys_max_age: KeysMaxAge = 3600.0
    """For how long fetched keys serve on while they cannot be fetched anew, from 10m to 7d; 1h where it says nothing.
    Example: 4h"""
    alias: dict[str, NameText] = Field(default_factory=dict)
    """The issuer's names of roles, and ours. Example: {Support Agents: support}"""
    leeway: Duration = 30.0
    """How far its clock may be off; 30s where it says nothing."""
    max_ttl: Duration | None = None
    """No token may live longer, from iat to exp."""
    saml: Saml | None = None
    """Makes it a SAML 2.0 identity provider: issuer is then its entityID, and audience ours; its assertions are
    exchanged for short-lived tokens of the gateway's own. Example: {metadata: idp.xml}"""

    @model_validator(mode="after")
    def whole(self) -> Self:
        needed = ("issuer", "audience", *(() if self.saml else ("algorithms",)), "roles")
        if self.dev:
            beside = sorted(self.model_fields_set - {"dev"})
            if beside:
                raise ValueError(f"the development issuer takes nothing else: leave {', '.join(beside)} out")
            return self
        missing = [key for key in needed if getattr(self, key) is None]
        if missing:
            raise ValueError(f"the issuer lacks {', '.join(missing)}")
        if self.saml:
            beside = [key for key in OF_TOKENS if key in self.model_fields_set]
            if beside:
                raise ValueError(f"a SAML identity provider issues no tokens: leave {', '.join(beside)} out")
            return self
        if self.jwks_file and self.jwks:
            raise ValueError("an issuer has one of jwks and jwks_file: leave the other out")
        if self.jwks_file and {"ca", "keys_max_age"} & self.model_fields_set:
            raise ValueError("ca and keys_max_age are for keys that are fetched, not for a jwks_file: leave them out")
        if not self.jwks_file and not self.jwks:
            self.require_discoverable()
        return self

    def require_discoverable(self) -> None:
        try:
            if "?" in published(self.issuer):
                raise ValueError
        except ValueError:
            raise ValueError(
                "its keys can be discovered only where issuer is an https URL without query: name its jwks or jwks_file"
            ) from None


class CheckpointHook(Model):
    url: Annotated[str, BeforeValidator(hook)]
    """Where each checkpoint is posted to. Example: https://audit.example/lockgate"""
    secret: Source
    """What the posts are signed with. Example: env:AUDIT_SECRET"""
    ca: Text | None = None
    """PEM file of whose certificates are trusted there, beside the rules. Example: ca.pem"""


class Checkpoints(Model):
    every: Count = 1000
    """After how many records how far the chain has come is signed; 1000 where it says nothing. Example: 100"""
    file: Text | None = None
    """A file, on another volume, that each checkpoint is added to as a line. Example: /mnt/audit/lockgate.jsonl"""
    webhook: CheckpointHook | None = None
    """A URL that each checkpoint is posted to. Example: {url: https://audit.example/x, secret: "env:AUDIT_SECRET"}"""


class Recordings(Model):
    dir: Text = "recordings"
    """Where the recordings are written, relative to the working directory; recordings where it says nothing."""
    max_body: Size = 10 * 2**20
    """How much of each message is recorded; 10MiB where it says nothing."""
    reserve: Size = 64 * 2**20
    """How much of the disk is kept free of records of callers that nobody knows, whose refusals are then only counted;
    64MiB where it says nothing. Example: 1GiB"""
    rotate: Size = 256 * 2**20
    """The size at which a record file is closed and a new one begun, as with each UTC day; 256MiB where it says
    nothing. Example: 64MiB"""
    compress: Flag = True
    """Whether closed files are compressed (zstd); they are where it says nothing. Example: false"""
    keep: Annotated[float, BeforeValidator(wait)] | None = None
    """For how long records are kept: whole files are deleted when all of their records are older. For good where it
    says nothing. Example: 90d"""
    encrypt: TextSource | None = None
    """What closed files are encrypted with (AES-256-GCM): a random secret. Example: file:/run/secrets/recordings"""
    checkpoints: Checkpoints = Field(default_factory=Checkpoints)
    """How often it is signed how far the records go, and where that is pushed to.
    Example: {every: 100, file: /mnt/audit/lockgate.jsonl}"""


class CallerLimits(Model):
    connections: Count = 256
    """Open connections; 256 where it says nothing. Example: 32"""
    requests: Count = 128
    """Requests under way, streams and WebSockets among them; 128 where it says nothing. Example: 16"""
    buffered: Size = 64 * 2**20
    """Bytes kept of the bodies of requests under way; 64MiB where it says nothing. Example: 8MiB"""


class Gateway(Model):
    """`gateway.yaml`."""

    issuers: list[Any]
    """Who issues agents' tokens. Example: [{dev: true}]"""
    lists: dict[str, Annotated[NamedList, PlainValidator(named_list)]] = Field(default_factory=dict)
    """Lists for conditions, read as lists.NAME: text, or numbers where it says so.
    Example: {eu: [AT, DE], fees: {numbers: [1, 2.5]}}"""
    recordings: Recordings = Field(default_factory=Recordings)
    """Where and how much is recorded."""
    limits: CallerLimits = Field(default_factory=CallerLimits)
    """What one principal may use at once. Example: {connections: 32, requests: 16}"""
    approvals: ApprovalsEntry = Field(default_factory=ApprovalsEntry)
    """Who approves what is held, and where. Example: {listen: 127.0.0.1:8765, wait: 45s}"""
    state: Text = ".lockgate"
    """Where the gateway keeps what it makes for itself, relative to the working directory; .lockgate
    where it says nothing."""
