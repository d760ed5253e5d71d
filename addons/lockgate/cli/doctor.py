"""`lockgate doctor`: what is wrong with an installation, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import shlex
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from lockgate.cli.printed import say
from lockgate.cli.run import CA, gateway_address
from lockgate.credentials.registry import Credentials
from lockgate.doctor import files, identity, installation, targets
from lockgate.doctor.finding import Finding, wrong
from lockgate.doctor.gateway import examined
from lockgate.errors import SetupError
from lockgate.identity.dev import key_path, mint
from lockgate.launch import certificates, tokens
from lockgate.launch.environment import secret_variables
from lockgate.launch.tokens import Source
from lockgate.model import CredentialSpec, OAuth2
from lockgate.policy.generation import Generation

TOKEN_LIFE = 300  # seconds


@click.command()
@click.option(
    "--rules", type=click.Path(path_type=Path, file_okay=False), default="rules", show_default=True, help="The rules."
)
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), help="Its state, if not where its rules say."
)
@click.option("--recordings", type=click.Path(path_type=Path, file_okay=False), help="The recordings, likewise.")
@click.option(
    "--gateway", callback=gateway_address, default="http://127.0.0.1:8080", show_default=True, help="Where it listens."
)
@click.option("--ca", type=click.Path(path_type=Path), default=CA, show_default=True, help="The gateway's CA (PEM).")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="Try it with a development token of this role.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Try it with the token in this file.")
@click.option(
    "--as", "prefix", default="", metavar="COMMAND", help="What starts a process as the agent: 'sudo -u agent'."
)
@click.option("--json", "as_json", is_flag=True, help="Print a list of findings: level, subject, detail, remedy.")
def doctor(
    rules: Path,
    state: Path | None,
    recordings: Path | None,
    gateway: tuple[str, int],
    ca: Path,
    roles: tuple[str, ...],
    token_file: Path | None,
    prefix: str,
    as_json: bool,
) -> int:
    """Look over an installation: versions, rules, keys, file modes, clock, targets, the gateway, the clients here.

    With a token (--role or --token-file) requests are made through the gateway: one that must be denied, and one by
    each client found on this machine. Nothing is changed, and no target is asked for anything but a connection.

    \b
    lockgate doctor --role support
    lockgate doctor --token-file agent-token --as "sudo -u agent"

    Exit code 1 where something is wrong; notes are for you to judge.
    """
    found: list[Finding] = []

    def tell(findings: list[Finding]) -> None:
        found.extend(findings)
        if not as_json:
            for finding in findings:
                show(finding)

    tell(installation.versions())
    about_rules, generation = installation.rules(rules)
    tell(about_rules)
    if generation is not None:
        places = (state or Path(generation.gateway.state), recordings or Path(generation.gateway.recordings_dir))
        for findings in of_rules(generation, rules, *places, ca.expanduser().parent, shlex.split(prefix)):
            tell(findings)
        tell(of_gateway(generation, gateway, ca, token_source(generation, places[0], roles, token_file)))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    return 1 if any(finding.level == "wrong" for finding in found) else 0


def of_rules(
    generation: Generation, rules: Path, state: Path, recordings: Path, confdir: Path, prefix: list[str]
) -> Iterator[list[Finding]]:
    """Finding by finding, since each may take its time."""
    yield [
        files.unwritable("rules' files", [rules]),
        files.private("state", [state]),
        files.private("recordings", [recordings]),
        files.private("CA key", [confdir / "mitmproxy-ca.pem", confdir / "mitmproxy-ca.p12"]),
    ]
    yield asyncio.run(of_identity(generation, state))
    hidden = secret_variables(generation.credentials.values())
    for each in generation.targets.values():
        for target in each:
            yield [targets.reached(target)]
            yield [targets.around(target, prefix, hidden)]


async def of_identity(generation: Generation, state: Path) -> list[Finding]:
    issuers = generation.gateway.issuers
    found = [await identity.issuer(entry, state) for entry in issuers]
    found.append(await identity.clock(issuers, lambda: datetime.now(UTC)))
    # Nothing is written under `state`: a refresh token that is exchanged here would be lost to the gateway.
    with tempfile.TemporaryDirectory() as elsewhere:
        credentials = Credentials(Path(elsewhere), b"")
        specs = [spec for spec in generation.credentials.values() if not spends(spec)]
        found += [await identity.credential(spec, generation.targets, credentials) for spec in specs]
    return found


def spends(spec: CredentialSpec) -> bool:
    """Whether to try it may use it up."""
    return isinstance(spec.source, OAuth2) and spec.source.refresh_token is not None


def of_gateway(generation: Generation, address: tuple[str, int], ca: Path, source: Source | None) -> list[Finding]:
    try:
        trusted = certificates.bundle([ca.expanduser()])
    except SetupError as error:
        return [wrong("gateway's CA", str(error), "Start the gateway once, which makes it; or name it with --ca.")]
    return asyncio.run(examined(address, trusted, source, secret_variables(generation.credentials.values())))


def token_source(generation: Generation, state: Path, roles: tuple[str, ...], token_file: Path | None) -> Source | None:
    if roles and token_file:
        raise click.UsageError("one of --role and --token-file is enough")
    if token_file:
        return partial(tokens.from_file, token_file)
    if roles and not any(issuer.dev for issuer in generation.gateway.issuers):
        raise click.UsageError("--role needs the development issuer, which the rules do not have; use --token-file")
    if roles:
        if not key_path(state).exists():
            raise click.UsageError(
                f"{state} has no key of the development issuer: name the gateway's state with --state"
            )
        return partial(tokens.minted, lambda: mint(state, roles, TOKEN_LIFE, time.time(), "doctor"))
    return None


def show(finding: Finding) -> None:
    say(f"{finding.level:5}  {finding.subject}: {finding.detail}", hang=7)
    if finding.remedy:
        say(finding.remedy, indent=7)
