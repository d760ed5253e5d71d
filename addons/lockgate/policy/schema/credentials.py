"""The gateway's own credentials: `credentials.yaml`. Pure."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from lockgate.model import SecretSource
from lockgate.policy.schema import Model
from lockgate.policy.schema.addresses import Host, Service
from lockgate.policy.schema.values import (
    Algorithm,
    HeaderValue,
    PemSource,
    Source,
    Text,
    TextSource,
    Ttl,
    Wait,
    claim,
    content,
    header_name,
    user,
    word,
)

REGISTERED_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
CREDENTIAL_KINDS = ("bearer", "basic", "header", "query", "oauth2", "jwt", "aws", "hmac", "client_cert")


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


class ClientKey(Model):
    echo: ClassVar[bool] = False
    key: PemSource
    """Where the private key is kept, as PEM. Example: file:/run/secrets/lockgate-client.pem"""
    algorithm: Algorithm
    """What it signs with. Example: RS256"""
    kid: Text | None = None
    """The key's name at who verifies it, in the JWT's header."""


class OAuth2(Model):
    """An access token that the gateway asks a token endpoint for (RFC 6749)."""

    echo: ClassVar[bool] = False
    token_url: Service
    """The token endpoint. Example: https://login.crm.example/oauth2/token"""
    client_id: Text
    """Who the gateway is there. Example: lockgate"""
    client_secret: TextSource | None = None
    """Where the client's secret is kept. Example: env:CRM_CLIENT_SECRET"""
    client_key: ClientKey | None = None
    """In place of a secret: a key that the client signs a JWT with (private_key_jwt, RFC 7523).
    Example: {key: "file:/run/secrets/client.pem", algorithm: RS256}"""
    auth: Literal["basic", "post"] | None = None
    """How the secret is shown: basic, in a header, or post, in the body; basic where it says nothing."""
    refresh_token: TextSource | None = None
    """Where a refresh token is kept, which is then used in place of client credentials. One that the endpoint gives in
    its place is kept under state. Example: file:/run/secrets/crm-refresh"""
    scope: Text | None = None
    """What is asked for. Example: crm.read crm.write"""
    audience: Text | None = None
    """For which API, where the endpoint asks so. Example: https://api.crm.example"""
    resource: Text | None = None
    """For which API, as RFC 8707 has it. Example: https://api.crm.example"""
    ca: Text | None = None
    """The CA of the endpoint's certificate (PEM), where it is one of your own; relative to this file."""

    @model_validator(mode="after")
    def one_client(self) -> Self:
        if self.client_secret and self.client_key:
            raise ValueError("a client has one of client_secret and client_key: leave the other out")
        if not (self.client_secret or self.client_key or self.refresh_token):
            raise ValueError("a client shows who it is: name its client_secret or client_key")
        if self.auth and not self.client_secret:
            raise ValueError("auth says how a client_secret is shown: leave it out")
        return self


class Jwt(Model):
    """A JWT that the gateway signs, sent as it is or exchanged for an access token (RFC 7523)."""

    echo: ClassVar[bool] = False
    key: PemSource
    """Where the private key is kept, as PEM. Example: file:/run/secrets/github-app.pem"""
    algorithm: Algorithm
    """What it signs with. Example: RS256"""
    kid: Text | None = None
    """The key's name at who verifies it, in the JWT's header."""
    issuer: Text
    """The claim iss: who the gateway is. Example: Iv23liA1b2C3d4E5f6G7"""
    subject: Text | None = None
    """The claim sub: for whom it acts."""
    audience: Text | None = None
    """The claim aud; the token_url where there is one and this says nothing."""
    claims: dict[str, Annotated[Any, PlainValidator(claim)]] = Field(default_factory=dict)
    """Claims beside those that have a key of their own: text, or lists of text. Example: {scope: crm.read}"""
    ttl: Ttl = 300.0
    """For how long it is good, from 1m to 24h; 5m where it says nothing."""
    token_url: Service | None = None
    """Where it is exchanged for an access token. Example: https://login.crm.example/oauth2/token"""
    scope: Text | None = None
    """What is asked for there. Example: crm.read crm.write"""
    ca: Text | None = None
    """The CA of the token_url's certificate (PEM), where it is one of your own; relative to this file."""

    @model_validator(mode="after")
    def fitting_keys(self) -> Self:
        if not self.token_url and (self.scope or self.ca):
            raise ValueError("scope and ca are for a token_url: leave them out")
        if REGISTERED_CLAIMS & self.claims.keys():
            raise ValueError("claims has no iss, sub, aud, exp, nbf, iat and jti: those are made from the other keys")
        return self


class Aws(Model):
    echo: ClassVar[bool] = False
    access_key_id: Source
    """Where the access key id is kept, as in env:NAME."""
    secret_access_key: Source
    """Where the secret access key is kept, as in env:NAME; never the key itself."""
    session_token: Source | None = None
    """Where the session token of temporary keys is kept, as in env:NAME."""
    region: Annotated[str, BeforeValidator(word)]
    """The region that is signed for. Example: eu-central-1"""
    service: Annotated[str, BeforeValidator(word)]
    """The service's signing name: s3, dynamodb, sqs, execute-api, ... Example: s3"""


class Hmac(Model):
    echo: ClassVar[bool] = False
    secret: Source
    """Where the secret is kept, as in env:NAME; never the secret itself."""
    key_id: Source | None = None
    """Where the key's id is kept, for {key_id}, as in env:NAME."""
    content: Annotated[str, BeforeValidator(content)]
    """What of the request is signed. Example: \"{timestamp}.{body}\""""
    headers: Annotated[dict[Annotated[str, BeforeValidator(header_name)], HeaderValue], Field(min_length=1)]
    """The header fields that carry the signature, the timestamp and the key's id.
    Example: {X-Signature: \"v1={signature}\", X-Timestamp: \"{timestamp}\"}"""
    algorithm: Literal["sha256", "sha512"] = "sha256"
    """The hash: sha256 or sha512; sha256 where it says nothing. Example: sha256"""
    encoding: Literal["hex", "base64"] = "hex"
    """How the signature is written: hex or base64; hex where it says nothing. Example: hex"""
    secret_encoding: Literal["text", "base64"] = "text"
    """How the secret is written: text or base64; text where it says nothing. Example: text"""
    timestamp: Literal["seconds", "milliseconds", "rfc3339"] = "seconds"
    """How a timestamp is written: seconds or milliseconds (since 1970), or rfc3339; seconds where it says nothing.
    Example: seconds"""

    @model_validator(mode="after")
    def verifiable(self) -> Self:
        if len({name.lower() for name in self.headers}) < len(self.headers):
            raise ValueError("two headers differ in letter case alone, which makes them one: leave one out")
        shown = "".join(self.headers.values())
        if "{signature}" not in shown:
            raise ValueError("no header carries the {signature}: write it into the value of one of headers")
        for known in ("{timestamp}", "{key_id}"):
            if known in self.content and known not in shown:
                raise ValueError(f"the target cannot know the {known} that is signed: send it in one of headers")
        if "{key_id}" in shown and self.key_id is None:
            raise ValueError("{key_id} is used, and no key_id says where it is kept")
        return self


class ClientCert(Model):
    echo: ClassVar[bool] = False
    cert: Text
    """The certificate's file, with its chain behind it, in PEM. Example: /etc/lockgate/crm.pem"""
    key: PemSource
    """Where its private key is kept, in PEM without a passphrase, as in env:NAME."""


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
    oauth2: OAuth2 | None = None
    """An access token, asked for at a token endpoint, sent as Authorization: Bearer."""
    jwt: Jwt | None = None
    """A JWT that the gateway signs, or what it is exchanged for, sent as Authorization: Bearer."""
    aws: Aws | None = None
    """Signs each request as AWS wants it (SigV4)."""
    hmac: Hmac | None = None
    """Signs each request with a shared secret (HMAC)."""
    client_cert: ClientCert | None = None
    """Shown in the TLS handshake with a target that names it in its tls.
    Example: {cert: /etc/lockgate/crm.pem, key: \"env:CRM_KEY\"}"""
    cache: Wait | None = None
    """For how long a secret of exec, vault or keyring is used; 5m where it says nothing."""

    @model_validator(mode="after")
    def one_kind(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in CREDENTIAL_KINDS) != 1:
            raise ValueError(f"a credential has exactly one of {', '.join(CREDENTIAL_KINDS)}")
        return self


class Vault(Model):
    """The Vault that sources name with `vault:`."""

    echo: ClassVar[bool] = False
    address: Service
    """Its address. Example: https://vault.internal:8200"""
    token: Source = SecretSource("env", "VAULT_TOKEN")
    """Where the gateway's token for it is kept; env:VAULT_TOKEN where it says nothing.
    Example: file:/run/vault/token"""
    namespace: Text | None = None
    """Its namespace, where it has some. Example: team-a"""
    ca: Text | None = None
    """The CA of its certificate (PEM), where it is one of your own; relative to this file."""

    @model_validator(mode="after")
    def token_from_elsewhere(self) -> Self:
        if self.token.kind == "vault":
            raise ValueError("the token for Vault is not kept in Vault: name another source")
        return self


class Credentials(Model):
    """`credentials.yaml`."""

    credentials: dict[str, Any]
    """The gateway's own credentials, by the names that targets use.
    Example: {crm-token: {bearer: \"env:CRM_TOKEN\", hosts: [api.crm.example]}}"""
    vault: Vault | None = None
    """The Vault that vault:MOUNT/PATH#FIELD is read from. Example: {address: \"https://vault.internal:8200\"}"""
