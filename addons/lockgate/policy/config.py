"""`gateway.yaml` and `targets.yaml`: from checked entries to what the gateway works with. Pure.

Each function appends what it finds wrong to `problems` and goes on with the rest.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from lockgate import model
from lockgate.errors import Problem
from lockgate.masking import paths
from lockgate.model import GatewayConfig
from lockgate.policy.approvals import approvals
from lockgate.policy.checked import Checked
from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.credentials import INSIDE, beside, inside, placed, sources_in
from lockgate.policy.schema.addresses import Origin
from lockgate.policy.schema.credentials import Credential, Credentials
from lockgate.policy.schema.gateway import Checkpoints, Gateway, Issuer, Saml
from lockgate.policy.schema.targets import Target, Targets, Tls
from lockgate.policy.schema.values import NAME

MAX_ISSUERS = 100
LIST_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# The names of the development issuer; its entry has none.
DEV = model.Issuer("lockgate-dev", "lockgate", ("EdDSA",), "$.roles[*]", dev=True)
OWN = "lockgate"  # whom the gateway's own tokens are of, which it gives out for assertions

OWN_NAME = f"the gateway's own tokens are of {OWN}, where SAML assertions are taken: the issuer needs another name"


def gateway(checked: Checked[Gateway, Issuer], directory: Path, problems: list[Problem]) -> GatewayConfig | None:
    document = checked.document
    issuers: dict[str, model.Issuer] = {}
    if len(checked.entries) > MAX_ISSUERS:
        problems.append(document.problem(("issuers",), f"more than {MAX_ISSUERS} issuers: take some out", key=True))
    for path, entry in checked.entries[:MAX_ISSUERS]:
        found = issuer(entry, directory)
        if found.issuer in issuers:
            problems.append(document.problem(path, f"the issuer {found.issuer} is named twice: remove one"))
        if entry.roles is not None:
            try:
                paths.parse(entry.roles)
            except ValueError as error:
                problems.append(document.problem((*path, "roles"), str(error)))
        if found.issuer == OWN and found.saml is None and any(other.saml for _, other in checked.entries):
            problems.append(document.problem((*path, "issuer"), OWN_NAME))
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
    limits = checked.model.limits
    config = GatewayConfig(
        issuers=tuple(issuers.values()),
        recordings_dir=recordings.dir,
        recordings_max_body=recordings.max_body,
        recordings_reserve=recordings.reserve,
        keeping=model.Keeping(
            recordings.rotate,
            recordings.keep,
            placed(recordings.encrypt, directory) if recordings.encrypt else None,
            compress=recordings.compress,
        ),
        checkpoints=checkpoints(recordings.checkpoints, directory),
        state=checked.model.state,
        lists=dict(checked.model.lists),
        limits=model.GatewayLimits(limits.connections, limits.requests, limits.buffered),
        approvals=approvals(checked.model.approvals, document, issuers, directory, problems),
    )
    problems += [document.problem((section,), INSIDE, key=True) for section in sections_with_secrets(config, directory)]
    return config


def sections_with_secrets(config: GatewayConfig, directory: Path) -> list[str]:
    """The sections that name a secret within the rules directory."""
    told, recorded = config.approvals, (config.keeping, config.checkpoints.webhook)
    parts = {"approvals": (told.sign_in, *told.notify), "recordings": recorded}
    return [
        section
        for section, each in parts.items()
        if any(inside(source, directory) for part in each for source in sources_in(part))
    ]


def checkpoints(entry: Checkpoints, directory: Path) -> model.Checkpoints:
    hook = entry.webhook
    return model.Checkpoints(
        every=entry.every,
        file=Path(entry.file) if entry.file else None,
        webhook=model.WebhookNotifier(hook.url, placed(hook.secret, directory), beside(hook.ca, directory))
        if hook
        else None,
    )


def issuer(entry: Issuer, directory: Path) -> model.Issuer:
    if entry.dev:
        return DEV
    return model.Issuer(
        issuer=entry.issuer or "",
        audience=entry.audience or "",
        algorithms=tuple(entry.algorithms or ()),
        roles=entry.roles or "",
        jwks_file=beside(entry.jwks_file, directory),
        jwks=entry.jwks,
        ca=beside(entry.ca, directory),
        keys_max_age=entry.keys_max_age,
        alias=dict(entry.alias),
        leeway=entry.leeway,
        max_ttl=entry.max_ttl,
        saml=saml(entry.saml, directory) if entry.saml else None,
    )


def saml(entry: Saml, directory: Path) -> model.Saml:
    return model.Saml(Path(os.path.normpath(directory / entry.metadata)), entry.recipient, entry.direct)


def targets(
    checked: Checked[Targets, Target],
    directory: Path,
    known: Checked[Credentials, Credential] | None,
    names: frozenset[str] | None,
    problems: list[Problem],
) -> dict[str, tuple[model.Target, ...]]:
    """The targets by name, once for each origin. `names` are those of all credentials, None where that is not known."""
    specs = {str(path[-1]): entry for path, entry in known.entries} if known else {}
    origins: dict[Origin, str] = {}
    found = {}
    for path, entry in checked.entries:
        document, name = checked.document, str(path[-1])
        if name.lower() == "any" or not NAME.fullmatch(name):
            message = "a target's name has letters, digits and . _ - only, and is not any"
            problems.append(document.problem(path, message, key=True))
        for index, origin in enumerate(entry.origins):
            if origin in origins:
                message = f"the target {origins[origin]} has this origin already: one target for each origin"
                problems.append(document.problem((*path, "url") if entry.url else (*path, "urls", index), message))
            origins.setdefault(origin, name)
            for place, named in named_by(entry):
                if names is not None and (
                    wrong := misnamed(named, place, shown_to(entry, origin, place), specs, names)
                ):
                    problems.append(document.problem((*path, *place), wrong))
        found[name] = tuple(target(name, entry, origin, directory) for origin in entry.origins)
    return found


def named_by(entry: Target) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where a target names a credential, and which."""
    if entry.credential is not None:
        yield ("credential",), entry.credential
    if entry.tls and entry.tls.client_cert is not None:
        yield ("tls", "client_cert"), entry.tls.client_cert


def shown_to(entry: Target, origin: Origin, place: tuple[str, ...]) -> list[str]:
    """The names of whoever is given the credential at `place`: the target's host, and the name that its certificate is
    verified for instead. Of a client certificate nothing secret is shown.
    """
    other = entry.tls.server_name if entry.tls and place == ("credential",) else None
    return [origin.host, other] if other else [origin.host]


def misnamed(
    name: str, place: tuple[str, ...], hosts: list[str], specs: Mapping[str, Credential], names: frozenset[str]
) -> str | None:
    """Why a target may not name this credential; None where it may, or where the credential's own entry is wrong."""
    if name not in names:
        return f"unknown credential {name}: {suggestion(name, names)}"
    if name not in specs:
        return None
    host = next((host for host in hosts if host not in specs[name].hosts), None)
    if host is not None:
        return f"the credential {name} is not for {host}: add the host to its hosts, or name another credential"
    if specs[name].client_cert and place == ("credential",):
        return f"the credential {name} is a client certificate: name it in tls, as client_cert"
    if not specs[name].client_cert and place != ("credential",):
        return f"the credential {name} is no client certificate: name it as the target's credential"
    return None


def target(name: str, entry: Target, origin: Origin, directory: Path) -> model.Target:
    limits = model.Limits()
    tls = entry.tls or Tls()
    return model.Target(
        name=name,
        scheme=origin.scheme,
        host=origin.host,
        port=origin.port,
        credential=entry.credential,
        limits=model.Limits(
            entry.limits.request or limits.request, entry.limits.response or limits.response, entry.limits.response
        ),
        private=entry.private,
        connect=entry.connect,
        pass_cookies=entry.cookies == "pass",
        tls=model.TargetTls(
            Path(os.path.normpath(directory / tls.ca)) if tls.ca else None,
            tls.server_name,
            tls.client_cert,
            tls.min_version,
        ),
        methods=frozenset(entry.methods),
        lenient_paths=entry.paths == "lenient",
        content_types=frozenset(entry.content_types),
        http2=entry.http2,
        grpc=entry.grpc,
    )
