"""`lockgate revoke`: refuses from now on what a token would still allow, and takes that back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import click

from lockgate.cli.printed import dump, moment, say
from lockgate.cli.token import duration
from lockgate.errors import RulesInvalid, SetupError
from lockgate.identity.revocations import Revocation, change
from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.load import load


def period(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    return None if value is None else duration(ctx, param, value)


@click.command()
@click.option("--jti", metavar="ID", help="One token, by its jti: `lockgate recordings show` has it as token_id.")
@click.option("--subject", metavar="SUBJECT", help="Every token of a subject.")
@click.option("--role", metavar="ROLE", help="Everybody who has a role.")
@click.option("--target", metavar="TARGET", help="A target: for everybody, or for whom the others name.")
@click.option("--issuer", metavar="URL", help="With --jti, --subject or --role: only those of this issuer.")
@click.option(
    "--for", "seconds", callback=period, metavar="DURATION", help="For 30s, 15m, 1h, 7d; without it, for good."
)
@click.option("--reason", default="", help="Why; it is recorded, the agent does not see it.")
@click.option("--list", "only_list", is_flag=True, help="List what is revoked.")
@click.option("--lift", metavar="ID", help="Take a revocation back.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, file_okay=False),
    default="rules",
    show_default=True,
    help="The gateway's rules, which say where its state is.",
)
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), help="Its state, if not where its rules say."
)
@click.option("--json", "as_json", is_flag=True, help="Print all that is revoked now, as a list.")
def revoke(
    jti: str | None,
    subject: str | None,
    role: str | None,
    target: str | None,
    issuer: str | None,
    seconds: int | None,
    reason: str,
    only_list: bool,
    lift: str | None,
    rules: Path,
    state: Path | None,
    as_json: bool,
) -> int:
    """Refuse from now on what a token would still allow.

    A running gateway takes it with the next request, in tunnels that are open too, and before the next part of a stream
    that is under way. Several of --jti, --subject, --role and --target together are about what fits all of them.

    \b
    lockgate revoke --subject support-agent --for 1h
    lockgate revoke --role support --target crm --reason "ticket 4711"
    lockgate revoke --list
    lockgate revoke --lift 3f9c1a
    """
    whom = [value for value in (jti, subject, role) if value is not None]
    named = [*whom, *([] if target is None else [target])]
    require_one(named, whom, only_list, lift, issuer)
    directory = state or state_of(rules, target, role)
    now = time.time()
    until = now + seconds if seconds else None
    added = Revocation(token_hex(3), now, jti, subject, issuer, role, target, until, reason)

    def alter(held: list[Revocation]) -> list[Revocation]:
        if lift is not None and lift not in {each.id for each in held}:
            raise click.UsageError(f"nothing is revoked by the id {lift}; see --list")
        return [each for each in held if each.id != lift] + ([added] if named else [])

    require_gateway(directory)
    try:
        entries = change(directory, now, alter)
    except OSError as error:
        raise SetupError(f"{error.filename or directory}: {error.strerror}.") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        dump([each.document() for each in entries])
    elif only_list:
        show(entries)
    else:
        say(f"Revoked: {line(added)}" if named else f"Lifted: {lift}")
    return 0


def require_one(named: list[str], whom: list[str], only_list: bool, lift: str | None, issuer: str | None) -> None:
    """Raise UsageError unless there is exactly one thing to do."""
    if sum((bool(named), only_list, lift is not None)) != 1:
        raise click.UsageError("say what to revoke (--jti, --subject, --role, --target), or --list, or --lift ID")
    if "" in named:
        raise click.UsageError("an empty name is nobody's")
    if issuer and not whom:
        raise click.UsageError("--issuer narrows --jti, --subject or --role")


def show(entries: Sequence[Revocation]) -> None:
    for each in entries:
        say(line(each))
    if not entries:
        click.echo("Nothing is revoked.", err=True)


def state_of(rules: Path, target: str | None, role: str | None) -> Path:
    """The state directory that the rules name. Raises UsageError for a `target` or `role` that they do not have."""
    try:
        generation = load(rules)
    except RulesInvalid as invalid:
        detail = f"{invalid}\nThe rules here have errors: mend them, or name the gateway's state with --state"
        raise click.UsageError(detail) from None
    if role is not None and not generation.policy.knows(role):
        known = suggestion(role, generation.policy.lineages)
        raise click.UsageError(
            f"{rules} has no role {role}: {known}; a role counts by its name there, not its issuer's"
        )
    if target is not None and target not in generation.targets:
        raise click.UsageError(f"{rules} has no target {target}: {suggestion(target, generation.targets)}")
    return Path(generation.gateway.state)


def require_gateway(directory: Path) -> None:
    """Raises SetupError where no gateway would ever look at what is revoked."""
    if not (directory / "hash.key").exists():
        where = "run it where the gateway was started, or name its state with --state"
        raise SetupError(f"No gateway keeps its state in {directory}: {where}.")


def line(entry: Revocation) -> str:
    parts = {"token": entry.jti, "subject": entry.subject, "role": entry.role, "target": entry.target}
    about = ", ".join(f"{name} {value}" for name, value in parts.items() if value)
    issuer = f" of {entry.issuer}" if entry.issuer else ""
    ends = f", until {moment(datetime.fromtimestamp(entry.until, UTC))}" if entry.until else ""
    return f"{entry.id}  {about}{issuer}{ends}{f': {entry.reason}' if entry.reason else ''}"
