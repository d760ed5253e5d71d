"""What can be reached: `targets.yaml`. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from lockgate.model import RecordKind
from lockgate.policy.schema import Model
from lockgate.policy.schema.addresses import Host, Origin, Url, address
from lockgate.policy.schema.values import Flag, Lines, MaskMap, MediaTypes, Methods, NameText, Size, Text


class Limits(Model):
    request: Size | None = None
    """The largest body that is sent on."""
    response: Size | None = None
    """The largest body that is taken from the target, as sent and as decoded.
    Without it 10 MiB of what is read whole, and any size of what goes on as it comes."""


class Tls(Model):
    ca: Text | None = None
    """The file of the CA certificates that are trusted instead of the public ones, in PEM. Example: ca.pem"""
    server_name: Host | None = None
    """The name that its certificate must be for, instead of the host of its url. Example: crm.internal"""
    client_cert: NameText | None = None
    """The entry of credentials.yaml, a client_cert, that is shown to it. Example: crm-mtls"""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """The lowest version of TLS: 1.2 or 1.3; 1.2 where it says nothing. Example: \"1.3\""""


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
    paths: Literal["strict", "lenient"] = "strict"
    """What becomes of a path with several spellings, such as /a/../b or /a%2Fb: it is refused, or with lenient brought
    to one, which is decided on and sent."""
    methods: Methods = Field(default_factory=list)
    """Methods that it takes beside GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS and QUERY. Rules name each; any is none
    of them. Example: [PROPFIND, MKCOL]"""
    content_types: MediaTypes = Field(default_factory=list)
    """Types of bodies that it takes beside application/json, application/x-www-form-urlencoded and multipart/form-data,
    where any rule about it reads bodies. Of these rules read those that end in +json.
    Example: [application/merge-patch+json, text/csv]"""
    tls: Tls | None = None
    """How it is verified, and what is shown to it. Example: {ca: ca.pem, client_cert: crm-mtls}"""
    http2: Flag = False
    """Whether it is offered HTTP/2; HTTP/1.1 only otherwise. Example: true"""
    grpc: Flag = False
    """Whether it speaks gRPC, and nothing else: the method's path is the resource, messages are not looked into.
    Example: true"""
    mask: MaskMap = Field(default_factory=dict)
    """What happens to values of every answer of this target, by JSONPath. Example: {$..ssn: redact}"""
    show: Lines = Field(default_factory=list)
    """JSONPaths: of every answer of this target only what they find is kept."""
    detect: Lines = Field(default_factory=list)
    """Kinds of values that are taken out of every text of its answers: email, phone, card, iban, jwt, pem, key.
    Example: [jwt, pem, key]"""
    redact_request: Lines = Field(default_factory=list)
    """What of every request to it is not recorded: JSONPaths over its body, query.NAME, headers.NAME."""
    record: RecordKind | None = None
    """What is recorded of requests to it and their answers: full (where it says nothing), headers (no bodies), or
    digest (the path without its query, and keyed digests). Example: headers"""

    @property
    def origins(self) -> list[Origin]:
        return self.urls or ([self.url] if self.url else [])

    @model_validator(mode="after")
    def one_address(self) -> Self:
        if (self.url is None) == (self.urls is None):
            raise ValueError("a target has exactly one of url and urls")
        return self

    @model_validator(mode="after")
    def tls_where_there_is_some(self) -> Self:
        if self.tls is not None and any(origin.scheme == "http" for origin in self.origins):
            raise ValueError("tls is for https: leave it out, or write https in the url")
        return self

    @model_validator(mode="after")
    def http2_over_tls(self) -> Self:
        if (self.http2 or self.grpc) and any(origin.scheme == "http" for origin in self.origins):
            raise ValueError("http2 and grpc are for https: write https in the url, or leave them out")
        return self


class Targets(Model):
    """`targets.yaml`."""

    targets: dict[str, Any]
    """What can be reached, by the names that rules use. Example: {crm: {url: https://api.crm.example}}"""
