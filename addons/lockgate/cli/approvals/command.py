"""`lockgate approvals`: what is held, shown and decided, over the gateway's approvals API."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from lockgate.bodies.visible import visible
from lockgate.cli.approvals.asking import request
from lockgate.cli.approvals.client import Client, NotDone, authorities, bearer, dump, origin
from lockgate.cli.approvals.shown import (
    COLUMNS,
    GRANT_COLUMNS,
    cells,
    grant_cells,
    identified,
    members,
    missing,
    print_table,
    shortened,
    tell,
    understood,
    what,
)
from lockgate.cli.approvals.watching import watch_lines, watch_table
from lockgate.cli.printed import duration, say
from lockgate.cli.revoke import period
from lockgate.errors import RulesInvalid
from lockgate.policy.load import load

APPROVALS, GRANTS = "/api/approvals", "/api/grants"
STATES = ("pending", "approved", "denied", "expired", "used", "cancelled", "all")
SAYS_NO = (HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT)  # to what was well said: not theirs to decide, or too late


@click.group()
def approvals() -> None:
    """What is held until a person decides: list it, show it, approve or deny it.

    As an approver, with your token in LOCKGATE_TOKEN or --token-file. The gateway's approvals are at LOCKGATE_URL, or
    where `approvals.listen` in its rules says.
    """


approvals.add_command(request)


def connecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where the gateway's approvals are, and who asks."""
    for option in (
        click.option(
            "--rules",
            type=click.Path(path_type=Path, file_okay=False),
            default="rules",
            show_default=True,
            help="The gateway's rules, which say where its approvals are; not read with LOCKGATE_URL.",
        ),
        click.option("--token-file", type=click.Path(path_type=Path), help="Your token; or LOCKGATE_TOKEN."),
        click.option("--ca", type=click.Path(path_type=Path), help="The CA to trust (PEM); or SSL_CERT_FILE."),
    ):
        command = option(command)
    return command


def connected(rules: Path, token_file: Path | None, ca: Path | None) -> Client:
    """The approvals API. Raises UsageError, ClickException."""
    named = os.environ.get("LOCKGATE_URL")
    url = origin(named, "LOCKGATE_URL") if named else listening(rules)
    return Client(url, bearer(token_file), authorities(ca), else_see="approvals.listen, or LOCKGATE_URL")


def listening(rules: Path) -> str:
    try:
        url = load(rules).gateway.approvals.url
    except RulesInvalid as invalid:
        raise click.UsageError(f"{invalid}\nMend the rules, or set LOCKGATE_URL to the gateway's approvals") from None
    if not url:
        where = rules / "gateway.yaml"
        raise click.UsageError(
            f"{where} has no `listen` under `approvals:`, where persons decide; add it, or set LOCKGATE_URL"
        )
    return origin(url, "the address of the approvals in the rules")


@approvals.command("list")
@click.option("--state", type=click.Choice(STATES), default="pending", show_default=True, help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="As the API has them, as JSON.")
@connecting
def list_(state: str, as_json: bool, rules: Path, token_file: Path | None, ca: Path | None) -> None:
    """List what is held, the oldest first. Exits with 0, whether anything is or not."""
    with connected(rules, token_file, ca) as client:
        found = members(client.ask("GET", APPROVALS, query={"state": state}), "approvals")
    if as_json:
        dump(found)
        return
    if not found:
        click.echo("Nothing is pending." if state == "pending" else "There are none.", err=True)
        return
    short = shortened([str(each["id"]) for each in found])
    with understood():
        print_table(COLUMNS, [cells(each, short[each["id"]], now()) for each in found])


@approvals.command()
@click.argument("identifier", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As the API has it, as JSON.")
@connecting
def show(identifier: str, as_json: bool, rules: Path, token_file: Path | None, ca: Path | None) -> None:
    """Show all of what is held: who asks, why it is held, and the request as the target would get it.

    ID is its id, or enough of its beginning.
    """
    with connected(rules, token_file, ca) as client:
        approval = whole(client, found_id(client, identifier))
    if as_json:
        dump(approval)
        return
    with understood():
        tell(approval, now())


@approvals.command()
@click.argument("identifier", metavar="ID")
@click.option("--reason", default="", help="Why; some rules ask for it. It is recorded.")
@click.option("--grant", callback=period, metavar="DURATION", help="Let what the rule holds pass for 10m, 1h, too.")
@click.option("--digest", help="Of what you looked at, as `show` prints it: approves that, and asks nothing.")
@click.option("--yes", is_flag=True, help="Do not ask; what is shown is approved.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON; needs --digest.")
@connecting
def approve(identifier: str, reason: str, grant: int | None, **options: Any) -> int:
    """Approve what is held, after showing it. Exits with 1 where that does not count: too late, not yours to decide.

    \b
    lockgate approvals approve 7fQx2k
    lockgate approvals approve 7fQx2k --reason "ticket 4711" --grant 30m
    """
    said = {"decision": "approve", "reason": reason} | ({"grant": duration(grant)} if grant else {})
    return decide(identifier, said, **options)


@approvals.command()
@click.argument("identifier", metavar="ID")
@click.option("--reason", default="", help="Why. It is recorded, and the agent is told.")
@click.option("--digest", help="Of what you looked at, as `show` prints it: denies that, and asks nothing.")
@click.option("--yes", is_flag=True, help="Do not ask; what is shown is denied.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON; needs --digest.")
@connecting
def deny(identifier: str, reason: str, **options: Any) -> int:
    """Deny what is held, after showing it. Exits with 1 where that does not count: too late, not yours to decide."""
    return decide(identifier, {"decision": "deny", "reason": reason}, **options)


def decide(
    identifier: str,
    said: dict[str, str],
    *,
    digest: str | None,
    yes: bool,
    as_json: bool,
    rules: Path,
    token_file: Path | None,
    ca: Path | None,
) -> int:
    """Say what a person decides about what they were shown. The exit code."""
    require_looked(digest, yes=yes, as_json=as_json)
    with connected(rules, token_file, ca) as client:
        approval_id = found_id(client, identifier)
        try:
            if digest is None:
                digest = looked_at(whole(client, approval_id), said, yes=yes)
            document = {**said, "digest": digest}
            after = client.ask("POST", place(APPROVALS, approval_id), document=document)
        except NotDone as error:
            if error.status not in SAYS_NO:
                raise
            click.echo(f"Not decided: {error.message}", err=True)
            return 1
    if as_json:
        dump(after)
    else:
        with understood():
            say(outcome(after, said["decision"]))
    return 0


def require_looked(digest: str | None, *, yes: bool, as_json: bool) -> None:
    """Raises UsageError where nobody would have looked at what is decided."""
    if as_json and digest is None:
        raise click.UsageError("--json needs --digest: that of what was looked at, as `show --json` has it")
    if digest is None and not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("there is no terminal to ask on: give --digest, of what was looked at, or --yes")


def looked_at(approval: Any, said: dict[str, str], *, yes: bool) -> str:
    """The digest of what is shown here. Raises NotDone where it is not theirs to decide, UsageError where a reason is
    asked for and not given, Abort where they do not want to.
    """
    with understood():
        tell(approval, now())
        if not approval["you"]["may_decide"]:
            raise NotDone(HTTPStatus.FORBIDDEN, visible(str(approval["you"]["why_not"])))
        if any(hold["require_reason"] for hold in approval["holds"]) and not said["reason"].strip():
            raise click.UsageError("the rule asks for a reason: give --reason")
        digest = approval["digest"]
    click.echo()
    if not yes:
        click.confirm(f"{said['decision'].capitalize()} it?", abort=True)
    return str(digest)


def outcome(approval: Any, decision: str) -> str:
    """What has become of it, in a line."""
    about = f"{approval['id']}: {what(approval)}"
    if decision == "deny":
        return f"Denied {about}."
    if approval["state"] == "pending":
        return f"Approved {about}; it still needs {', and '.join(missing(approval)) or 'somebody else'}."
    return f"Approved {about}."


@approvals.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each change.")
@connecting
def watch(as_json: bool, rules: Path, token_file: Path | None, ca: Path | None) -> None:
    """Follow what is held, until Ctrl-C: as a table on a terminal, else a line for each change."""
    with connected(rules, token_file, ca) as client:
        if sys.stdout.isatty() and not as_json:
            watch_table(client)
        else:
            watch_lines(client, as_json=as_json)


@approvals.command()
@click.option("--json", "as_json", is_flag=True, help="As the API has them, as JSON.")
@connecting
def grants(as_json: bool, rules: Path, token_file: Path | None, ca: Path | None) -> None:
    """List what was granted ahead and is in force: what of it holds no request of whom, and until when."""
    with connected(rules, token_file, ca) as client:
        found = members(client.ask("GET", GRANTS), "grants")
    if as_json:
        dump(found)
        return
    if not found:
        click.echo("Nothing is granted.", err=True)
        return
    short = shortened([str(each["id"]) for each in found])
    with understood():
        print_table(GRANT_COLUMNS, [grant_cells(each, short[each["id"]], now()) for each in found])


@approvals.command("end-grant")
@click.argument("identifier", metavar="ID")
@click.option("--reason", default="", help="Why. It is recorded.")
@click.option("--json", "as_json", is_flag=True, help="The ended grant as JSON.")
@connecting
def end_grant(
    identifier: str, reason: str, as_json: bool, rules: Path, token_file: Path | None, ca: Path | None
) -> int:
    """Take a grant back: from now on the rule holds again. ID is its id, or enough of its beginning."""
    with connected(rules, token_file, ca) as client:
        grant_id = identified(members(client.ask("GET", GRANTS), "grants"), identifier, "grant")
        try:
            ended = client.ask("DELETE", place(GRANTS, grant_id), document={"reason": reason})
        except NotDone as error:
            if error.status not in SAYS_NO:
                raise
            click.echo(f"Not ended: {error.message}", err=True)
            return 1
    if as_json:
        dump(ended)
    else:
        say(f"Ended {grant_id}.")
    return 0


def found_id(client: Client, given: str) -> str:
    return identified(members(client.ask("GET", APPROVALS, query={"state": "all"}), "approvals"), given, "approval")


def whole(client: Client, approval_id: str) -> Any:
    return client.ask("GET", place(APPROVALS, approval_id))


def place(collection: str, identifier: str) -> str:
    return f"{collection}/{quote(identifier, safe='')}"


def now() -> datetime:
    return datetime.now(UTC)
