"""`lockgate token`: a short-lived token of the development issuer, for trying things on this machine."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import click

from lockgate.identity.dev import AUDIENCE, ISSUER, mint
from lockgate.model import GatewayConfig
from lockgate.policy.load import load

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 30 * UNITS["d"]


def duration(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """A positive whole number with a unit, `30s` `15m` `1h` `7d`, as seconds."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration; write 30s, 15m, 1h or 7d", ctx, param)
    seconds = int(match[1]) * UNITS[match[2]]
    if seconds > LONGEST:
        raise click.BadParameter(f"{value!r} is longer than 30d", ctx, param)
    return seconds


@click.command()
@click.option("--role", "roles", multiple=True, required=True, metavar="ROLE", help="A role; may be given repeatedly.")
@click.option("--subject", default="dev", show_default=True, help="Whom the token names.")
@click.option(
    "--ttl",
    callback=duration,
    default="1h",
    metavar="DURATION",
    show_default=True,
    help="How long it is valid: 30s, 15m, 1h, 7d.",
)
@click.option(
    "--rules",
    type=click.Path(path_type=Path, file_okay=False),
    default="rules",
    show_default=True,
    help="The rules of the gateway that will verify it.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where that gateway keeps its state, if not where its rules say.",
)
@click.option("--approver", is_flag=True, help="For deciding what is held, not for an agent's requests.")
@click.option("--json", "as_json", is_flag=True, help="Print an object: token, issuer, subject, roles, expires_at.")
def token(
    roles: tuple[str, ...], subject: str, ttl: int, rules: Path, state: Path | None, approver: bool, as_json: bool
) -> None:
    """Print a token of the local development issuer.

    The gateway honours it only from this machine, and only where rules/gateway.yaml names the issuer `- dev: true`;
    an approver's only where it says `dev: true` under `approvals:` too.

    \b
    export HTTPS_PROXY=http://agent:$(lockgate token --role support)@127.0.0.1:8080
    export LOCKGATE_TOKEN=$(lockgate token --approver --role finance --subject ada)
    """
    if not all((*roles, subject)):
        raise click.UsageError("a role or subject must not be empty")
    gateway = load(rules).gateway
    require_dev_issuer(gateway, rules, ttl)
    if approver and not gateway.approvals.dev:
        where = rules / "gateway.yaml"
        raise click.UsageError(f"{where} takes no development tokens for approvals; add `dev: true` under `approvals:`")
    audience = gateway.approvals.audience if approver else AUDIENCE
    now = int(time.time())
    minted = mint(state or Path(gateway.state), roles, ttl, now, subject, audience)
    if as_json:
        document = {"token": minted, "issuer": ISSUER, "subject": subject, "roles": roles, "expires_at": now + ttl}
        click.echo(json.dumps(document))
        return
    click.echo(minted)
    if sys.stdout.isatty():
        click.echo(f"Valid for {ttl} seconds, from this machine only. Whoever has it is {subject}.", err=True)


def require_dev_issuer(gateway: GatewayConfig, rules: Path, ttl: int) -> None:
    """Raise UsageError where the gateway would refuse the token."""
    dev = next((issuer for issuer in gateway.issuers if issuer.dev), None)
    if dev is None:
        where = rules / "gateway.yaml"
        raise click.UsageError(f"{where} has no development issuer; add `- dev: true` under `issuers:`")
    if dev.max_ttl is not None and ttl > dev.max_ttl:
        raise click.UsageError(f"the development issuer's max_ttl is {dev.max_ttl:g} seconds; --ttl is {ttl}")
