"""`credentials.yaml`: from checked entries to what the gateway works with. Pure."""

from __future__ import annotations

import os.path
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from lockgate import model
from lockgate.errors import Problem
from lockgate.model import CredentialSpec, SecretSource
from lockgate.policy.checked import Checked
from lockgate.policy.schema.credentials import Aws, Credential, Credentials, Hmac, Jwt, OAuth2, Vault

FETCHED = ("exec", "vault", "keyring")  # sources whose secrets are used for a while
INSIDE = "a secret must lie outside the rules directory, whose text is kept with the records"


def specs_of(
    checked: Checked[Credentials, Credential], directory: Path, problems: list[Problem]
) -> dict[str, CredentialSpec]:
    """Every entry by its name. What is found wrong is appended to `problems`."""
    document = checked.document
    server = vault(checked.model.vault, directory) if checked.model and checked.model.vault else None
    if server and inside(server.token, directory):
        problems.append(document.problem(("vault",), INSIDE, key=True))
    found = {}
    for path, entry in checked.entries:
        spec = credential(str(path[-1]), entry, directory)
        spec = with_sources(spec, partial(placed, directory=directory, lifetime=entry.cache, server=server))
        sources = sources_in(spec)
        if any(inside(source, directory) for source in sources):
            problems.append(document.problem(path, INSIDE, key=True))
        if checked.model and not server and any(source.kind == "vault" for source in sources):
            message = "which Vault is not said: add vault: {address: https://...} beside credentials"
            problems.append(document.problem(path, message, key=True))
        if entry.cache and not any(source.kind in FETCHED for source in sources):
            message = "cache is for secrets of exec, vault and keyring; others are read for each request: leave it out"
            problems.append(document.problem((*path, "cache"), message, key=True))
        found[spec.name] = spec
    return found


def credential(name: str, entry: Credential, directory: Path) -> CredentialSpec:
    """As the entry has it: its sources are not placed yet."""
    hosts = tuple(entry.hosts)
    if entry.basic:
        return CredentialSpec(name, "basic", hosts, entry.basic.password, user=entry.basic.user)
    if entry.header:
        header = entry.header
        return CredentialSpec(name, "header", hosts, header.value, field=header.name, prefix=header.prefix)
    if entry.query:
        return CredentialSpec(name, "query", hosts, entry.query.value, field=entry.query.name)
    if entry.bearer:
        return CredentialSpec(name, "bearer", hosts, entry.bearer)
    if entry.oauth2:
        return CredentialSpec(name, "bearer", hosts, oauth2(entry.oauth2, directory))
    if entry.jwt:
        return CredentialSpec(name, "bearer", hosts, jwt(entry.jwt, directory))
    if entry.aws:
        return CredentialSpec(name, "aws", hosts, aws(entry.aws))
    if entry.hmac:
        return CredentialSpec(name, "hmac", hosts, hmac(entry.hmac))
    if entry.client_cert:
        files = model.CertificateFiles(
            Path(os.path.normpath(directory / entry.client_cert.cert)), entry.client_cert.key
        )
        return CredentialSpec(name, "client_cert", hosts, files)
    raise AssertionError("the schema requires one kind")


def oauth2(entry: OAuth2, directory: Path) -> model.OAuth2:
    key = entry.client_key
    return model.OAuth2(
        token_url=entry.token_url,
        client_id=entry.client_id,
        client_secret=entry.client_secret,
        client_key=model.SigningKey(key.key, key.algorithm, key.kid or "") if key else None,
        refresh_token=entry.refresh_token,
        auth=entry.auth or "basic",
        scope=entry.scope or "",
        audience=entry.audience or "",
        resource=entry.resource or "",
        ca=beside(entry.ca, directory),
    )


def jwt(entry: Jwt, directory: Path) -> model.SignedJwt:
    return model.SignedJwt(
        signing=model.SigningKey(entry.key, entry.algorithm, entry.kid or ""),
        issuer=entry.issuer,
        subject=entry.subject or "",
        audience=entry.audience or "",
        claims=tuple(entry.claims.items()),
        ttl=entry.ttl,
        token_url=entry.token_url or "",
        scope=entry.scope or "",
        ca=beside(entry.ca, directory),
    )


def aws(entry: Aws) -> model.AwsKeys:
    return model.AwsKeys(
        access_key_id=entry.access_key_id,
        secret_access_key=entry.secret_access_key,
        region=entry.region,
        service=entry.service,
        session_token=entry.session_token,
    )


def hmac(entry: Hmac) -> model.HmacKey:
    return model.HmacKey(
        secret=entry.secret,
        content=entry.content,
        headers=tuple(entry.headers.items()),
        key_id=entry.key_id,
        algorithm=entry.algorithm,
        encoding=entry.encoding,
        secret_encoding=entry.secret_encoding,
        timestamp=entry.timestamp,
    )


def vault(entry: Vault, directory: Path) -> model.Vault:
    return model.Vault(
        address=entry.address.rstrip("/"),
        token=placed(entry.token, directory),
        namespace=entry.namespace or "",
        ca=beside(entry.ca, directory),
    )


def beside(name: str | None, directory: Path) -> Path | None:
    """A path relative to the rules file that names it."""
    return Path(os.path.normpath(directory / name)) if name else None


def placed(
    source: SecretSource, directory: Path, lifetime: float | None = None, server: model.Vault | None = None
) -> SecretSource:
    """The source with what its entry and its file say of it: a file's path is relative to them."""
    if source.kind == "file":
        return replace(source, name=os.path.normpath(directory / source.name))
    if source.kind in FETCHED:
        return replace(source, lifetime=lifetime or source.lifetime, vault=server if source.kind == "vault" else None)
    return source


def inside(source: SecretSource, directory: Path) -> bool:
    return source.kind == "file" and Path(source.name).is_relative_to(directory)


def sources_in(value: Any) -> tuple[SecretSource, ...]:
    """Every source of a secret in what an entry says, whatever its kind."""
    found: list[SecretSource] = []

    def noted(source: SecretSource) -> SecretSource:
        found.append(source)
        return source

    with_sources(value, noted)
    return tuple(found)


def with_sources[T](value: T, change: Callable[[SecretSource], SecretSource]) -> T:
    """`value` with every source of a secret in it changed."""
    if isinstance(value, SecretSource):
        return cast("T", change(value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    members = {each.name: with_sources(getattr(value, each.name), change) for each in fields(value)}
    return replace(value, **members)
