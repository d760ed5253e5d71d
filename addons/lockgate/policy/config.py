"""`gateway.yaml`, `targets.yaml` and `credentials.yaml`: from checked entries to what the gateway works with. Pure.

Each function appends what it finds wrong to `problems` and goes on with the rest.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from pathlib import Path

from lockgate import model
from lockgate.errors import Problem
from lockgate.masking import paths
from lockgate.model import CredentialSpec, GatewayConfig, SecretSource
from lockgate.policy import schema
from lockgate.policy.checked import Checked
from lockgate.policy.conditions.describe import suggestion

LIST_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# The names of the development issuer; its entry has none.
DEV = model.Issuer("lockgate-dev", "lockgate", ("EdDSA",), "$.roles[*]", dev=True)


def gateway(
    checked: Checked[schema.Gateway, schema.Issuer], directory: Path, problems: list[Problem]
) -> GatewayConfig | None:
    document = checked.document
    issuers: dict[str, model.Issuer] = {}
    for path, entry in checked.entries:
        found = issuer(entry, directory)
        if found.issuer in issuers:
            problems.append(document.problem(path, f"the issuer {found.issuer} is named twice: remove one"))
        if entry.roles is not None:
            try:
                paths.parse(entry.roles)
            except ValueError as error:
                problems.append(document.problem((*path, "roles"), str(error)))
        issuers[found.issuer] = found
    if checked.model is None:
        return None
    if not checked.model.issuers:
        problems.append(document.problem(("issuers",), "no issuer: nobody could be identified; name one, or dev: true"))
    for name in checked.model.lists:
        if not LIST_NAME.fullmatch(name):
            message = "a list's name has letters, digits and _ only, as conditions write it: lists.name"
            problems.append(document.problem(("lists", name), message, key=True))
    recordings = checked.model.recordings
    return GatewayConfig(
        tuple(issuers.values()), recordings.dir, recordings.max_body, checked.model.state, dict(checked.model.lists)
    )


def issuer(entry: schema.Issuer, directory: Path) -> model.Issuer:
    if entry.dev:
        return DEV
    return model.Issuer(
        issuer=entry.issuer or "",
        audience=entry.audience or "",
        algorithms=tuple(entry.algorithms or ()),
        roles=entry.roles or "",
        jwks_file=Path(os.path.normpath(directory / (entry.jwks_file or ""))),
        alias=dict(entry.alias),
        leeway=entry.leeway,
        max_ttl=entry.max_ttl,
    )


def credentials(
    checked: Checked[schema.Credentials, schema.Credential], directory: Path, problems: list[Problem]
) -> dict[str, CredentialSpec]:
    found = {}
    for path, entry in checked.entries:
        name = str(path[-1])
        spec = credential(name, entry)
        source = placed(spec.source, directory)
        if source.kind == "file" and Path(source.name).is_relative_to(directory):
            message = "a secret must lie outside the rules directory, whose text is kept with the records"
            problems.append(checked.document.problem(path, message, key=True))
        found[name] = CredentialSpec(name, spec.kind, spec.hosts, source, spec.user, spec.field, spec.prefix)
    return found


def credential(name: str, entry: schema.Credential) -> CredentialSpec:
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
    raise AssertionError("the schema requires one kind")


def placed(source: SecretSource, directory: Path) -> SecretSource:
    """A file's path is relative to the rules file that names it."""
    if source.kind == "env":
        return source
    return SecretSource("file", os.path.normpath(directory / source.name))


def targets(
    checked: Checked[schema.Targets, schema.Target],
    known: Checked[schema.Credentials, schema.Credential] | None,
    names: frozenset[str] | None,
    problems: list[Problem],
) -> dict[str, tuple[model.Target, ...]]:
    """The targets by name, once for each origin. `names` are those of all credentials, None where that is not known."""
    specs = {str(path[-1]): entry for path, entry in known.entries} if known else {}
    origins: dict[schema.Origin, str] = {}
    found = {}
    for path, entry in checked.entries:
        document, name = checked.document, str(path[-1])
        if name.lower() == "any" or not schema.NAME.fullmatch(name):
            message = "a target's name has letters, digits and . _ - only, and is not any"
            problems.append(document.problem(path, message, key=True))
        for index, origin in enumerate(entry.origins):
            if origin in origins:
                message = f"the target {origins[origin]} has this origin already: one target for each origin"
                problems.append(document.problem((*path, "url") if entry.url else (*path, "urls", index), message))
            origins.setdefault(origin, name)
            if entry.credential is not None and names is not None:
                wrong = misnamed(entry.credential, origin.host, specs, names)
                if wrong:
                    problems.append(document.problem((*path, "credential"), wrong))
        found[name] = tuple(target(name, entry, origin) for origin in entry.origins)
    return found


def misnamed(name: str, host: str, specs: Mapping[str, schema.Credential], names: frozenset[str]) -> str | None:
    """Why a target may not name this credential; None where it may, or where the credential's own entry is wrong."""
    if name not in names:
        return f"unknown credential {name}: {suggestion(name, names)}"
    if name in specs and host not in specs[name].hosts:
        return f"the credential {name} is not for {host}: add the host to its hosts, or name another credential"
    return None


def target(name: str, entry: schema.Target, origin: schema.Origin) -> model.Target:
    limits = model.Limits()
    return model.Target(
        name=name,
        scheme=origin.scheme,
        host=origin.host,
        port=origin.port,
        credential=entry.credential,
        limits=model.Limits(entry.limits.request or limits.request, entry.limits.response or limits.response),
        private=entry.private,
        connect=entry.connect,
        pass_cookies=entry.cookies == "pass",
    )
