"""`lockgate explain`: what would be decided of one request, by which rule, and why not by the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO

import click

from lockgate.bodies.json import parse
from lockgate.cli.printed import (
    dump,
    field,
    heading,
    hold_document,
    hold_text,
    mask_document,
    mask_text,
    moment,
    origin,
    say,
    show_document,
)
from lockgate.cli.simulate import Simulated, loaded, require_known, simulate
from lockgate.errors import BodyUnreadable
from lockgate.model import Principal, Target, Verdict
from lockgate.policy.cases import ISSUER, SUBJECT, Request, Url, principal, url, with_type
from lockgate.policy.explain import Account, Bearing, accounts
from lockgate.policy.generation import Generation
from lockgate.policy.reshaping import listed
from lockgate.policy.schema.values import HEADER_NAME
from lockgate.policy.schema.values import instant as parse_instant

REFUSED = 1
REST_SHOWN = 8  # rules that are not about the request, without --all


def header_fields(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = []
    for value in values:
        name, colon, content = value.partition(":")
        if not colon or not HEADER_NAME.fullmatch(name):
            raise click.BadParameter("a header field is written as in 'x-source: batch'", ctx, param)
        found.append((name, content.strip(" \t")))
    return tuple(found)


def claims_given(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for value in values:
        name, equals, content = value.partition("=")
        if not equals or not name:
            raise click.BadParameter("a claim is NAME=JSON, as in 'dept=\"sales\"'", ctx, param)
        if name in found:
            raise click.BadParameter(f"{name} is given twice: give a list as one, '{name}=[1, 2]'", ctx, param)
        try:
            found[name] = parse(content.encode())
        except BodyUnreadable:
            message = f"what {name} is given is no JSON: text has quotes, as in '{name}=\"sales\"'"
            raise click.BadParameter(message, ctx, param) from None
    return found


def instant(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else parse_instant(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@dataclass(frozen=True, slots=True)
class Explained:
    """A request, what would become of it, and every rule of its principal's roles."""

    generation: Generation
    principal: Principal
    request: Request
    at: datetime
    simulated: Simulated
    accounts: tuple[Account, ...]


@click.command()
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="A role; may be given repeatedly.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path),
    default="rules",
    show_default=True,
    metavar="DIR",
    help="The rules directory.",
)
@click.option(
    "--header", "headers", callback=header_fields, multiple=True, metavar="'NAME: VALUE'", help="A header field."
)
@click.option(
    "--body",
    type=click.File("rb"),
    metavar="FILE",
    help="The request's body; - reads standard input. It is application/json, unless a --header says otherwise.",
)
@click.option("--subject", default=SUBJECT, show_default=True, help="Who the caller is.")
@click.option("--issuer", default=ISSUER, show_default=True, help="Who says so.")
@click.option(
    "--claim", "claims", callback=claims_given, multiple=True, metavar="NAME=JSON", help="A claim of the token."
)
@click.option(
    "--at", callback=instant, metavar="INSTANT", help="When, as in 2030-01-01T00:00:00Z; now where not given."
)
@click.option("--all", "whole", is_flag=True, help="Name every rule, also those that are not about such a request.")
@click.option("--json", "as_json", is_flag=True, help="Print an object; it has every rule.")
@click.option(
    "--recordings",
    type=click.Path(path_type=Path),
    default="recordings",
    show_default=True,
    metavar="DIR",
    help="Where the request with this ID is recorded.",
)
@click.argument("method", metavar="ID | METHOD")
@click.argument("address", metavar="URL", required=False)
@click.pass_context
def explain(
    ctx: click.Context,
    roles: tuple[str, ...],
    rules: Path,
    headers: tuple[tuple[str, str], ...],
    body: BinaryIO | None,
    subject: str,
    issuer: str,
    claims: dict[str, Any],
    at: datetime | None,
    whole: bool,
    as_json: bool,
    recordings: Path,
    method: str,
    address: str | None,
) -> None:
    """Say what would be decided of a request, or why a recorded one was decided as it was. Nothing is sent.

    Of a request, exits with 0 where it is allowed, and with 1 where it is denied, held, or refused before any rule is
    asked:

    \b
    lockgate explain --role support GET https://api.crm.example/v1/customers/7
    echo '{"amount": 700}' | lockgate explain --role support --body - \\
        POST https://api.crm.example/v1/refunds && echo allowed

    A recorded request, by its ID, is decided again by the rules that decided it. Exits with 1 where that does not come
    out as it was recorded:

    \b
    lockgate explain 8f14e45f-ceea-467f-a8d3-6f1f0d2b1c5e --recordings /var/lib/lockgate/recordings
    """
    if address is None:
        require_no_request(ctx)
        from lockgate.cli.explain_recorded import explain_recorded

        ctx.exit(explain_recorded(method, recordings, whole, as_json))
    if not roles:
        raise click.UsageError("Missing option '--role'.")
    generation = loaded(rules)
    require_known(generation, roles)
    content = body.read() if body else b""
    try:
        request = Request(method, url(address), with_type(headers, content), content)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    explained = explain_request(generation, principal(roles, subject, issuer, claims), request, at or datetime.now(UTC))
    if as_json:
        dump(document(explained))
    else:
        tell(explained, rules, whole)
    decision = explained.simulated.decision
    ctx.exit(0 if decision and decision.verdict is Verdict.ALLOW else REFUSED)


OF_A_REQUEST = ("roles", "rules", "headers", "body", "subject", "issuer", "claims", "at")


def require_no_request(ctx: click.Context) -> None:
    """Raise UsageError where something is given that the record of a request says itself."""
    given = click.core.ParameterSource.COMMANDLINE
    for param in ctx.command.params:
        if param.name in OF_A_REQUEST and ctx.get_parameter_source(param.name) is given:
            raise click.UsageError(f"{param.opts[0]} goes with METHOD URL: what is recorded says it itself")


def explain_request(generation: Generation, who: Principal, request: Request, at: datetime) -> Explained:
    simulated = simulate(generation, who, request, at)
    found: tuple[Account, ...] = ()
    if simulated.action and simulated.decision:
        found = accounts(generation.policy, who.roles, simulated.action, simulated.decision)
    return Explained(generation, who, request, at, simulated, found)


def document(explained: Explained) -> dict[str, Any]:
    """All of it, for --json."""
    simulated, request = explained.simulated, explained.request
    decision, refusal, action = simulated.decision, simulated.refusal, simulated.action
    return {
        "verdict": simulated.verdict,
        "rule": decision.rule if decision else None,
        "refusal": refusal
        and {"status": refusal.status, "detail": refusal.detail, "next_steps": refusal.next_steps or None},
        "principal": {
            "issuer": explained.principal.issuer,
            "subject": explained.principal.subject,
            "roles": list(explained.principal.roles),
        },
        "at": moment(explained.at),
        "generation": explained.generation.id,
        "request": {
            "method": request.method,
            "path": action.resource if action else None,
            "unseen_headers": list(simulated.unseen),
        },
        "target": target_document(simulated.target),
        "rules": [account_document(account) for account in explained.accounts],
        "masks": [mask_document(mask) for mask in decision.masks] if decision else [],
        "shows": [show_document(show) for show in decision.shows] if decision else [],
        "redactions": list(decision.redactions) if decision else [],
    }


def target_document(target: Target | None) -> dict[str, Any] | None:
    if target is None:
        return None
    shown = {"credential": target.credential, "client_cert": target.tls.client_cert}
    return {"name": target.name, "origin": origin(target), **shown}


def account_document(account: Account) -> dict[str, Any]:
    rule = account.rule
    return {
        "rule": rule.name,
        "source": rule.source,
        "verdict": rule.verdict,
        "decides": account.bearing is Bearing.DECIDES,
        "matched": account.matched,
        "outcome": account.outcome or account.bearing.name.lower().replace("_", "-"),
        "why_not": account.reason or None,
        "query": sorted(rule.query) if rule.query is not None else None,
        "approval": hold_document(rule.hold),
    }


def tell(explained: Explained, rules: Path, whole: bool) -> None:
    """All of it, for a person: the verdict, what the agent gets, which rules came to it, and those that did not."""
    tell_verdict(explained, rules)
    tell_request(explained)
    by_bearing: dict[bool, list[Account]] = {True: [], False: []}
    for account in explained.accounts:
        by_bearing[account.bearing <= Bearing.CONSIDERED].append(account)
    near, rest = by_bearing[True], by_bearing[False]
    if near:
        heading("rules about this request")
    for account in near:
        tell_account(account, rules)
    shown = rest if whole else rest[:REST_SHOWN]
    if shown:
        heading("rules that are not about it")
    for account in shown:
        tell_account(account, rules)
    if len(rest) > len(shown):
        say(f"and {len(rest) - len(shown)} more: --all names them", 2)


def tell_verdict(explained: Explained, rules: Path) -> None:
    simulated = explained.simulated
    decision, refusal = simulated.decision, simulated.refusal
    say(f"{simulated.verdict.upper()}  {because(explained, rules)}")
    if refusal is not None:
        field("agent gets", f"{refusal.status} {refusal.detail} {refusal.next_steps}".rstrip())
    for account in explained.accounts:
        hold = account.rule.hold
        if decision and decision.verdict is Verdict.HOLD and account.bearing is Bearing.DECIDES and hold:
            field("approval", f"{hold_text(hold)}  ({account.rule.name})")


def because(explained: Explained, rules: Path) -> str:
    simulated = explained.simulated
    if simulated.decision is None:
        return "refused before any rule is asked"
    name = simulated.decision.rule
    if name is None:
        return simulated.decision.reason or "no rule allows it"
    sources = {account.rule.name: account.rule.source for account in explained.accounts}
    return f"by {name} ({rules}/{sources[name]})"


def tell_request(explained: Explained) -> None:
    simulated, request, who = explained.simulated, explained.request, explained.principal
    target, action, decision = simulated.target, simulated.action, simulated.decision
    path = action.resource if action else request.url.path
    field("request", f"{request.method} {path}")
    if target is not None:
        credential = f", credential {' and '.join(target.shown)}" if target.shown else ", no credential"
        field("target", f"{target.name}, {origin(target)}{credential}")
    elif near := nearest(explained.generation, request.url):
        field("did you mean", near)
    field("caller", f"{who.subject} as {', '.join(who.roles)}, says {who.issuer}")
    field("at", moment(explained.at))
    if simulated.unseen:
        field("taken off", f"{', '.join(simulated.unseen)}: no rule and no target sees them")
    if decision is None or decision.verdict is Verdict.DENY:
        return
    for account in explained.accounts:
        if account.bearing <= Bearing.CONSIDERED and account.rule.query is not None:
            field("parameters", f"{listed(account.rule.query)} only  ({account.rule.name})")
    for mask in decision.masks:
        field("masked", f"{mask_text(mask)}  ({mask.rule})")
    for show in decision.shows:
        field("shown only", f"{', '.join(show.paths)}  ({show.rule})")
    if decision.redactions:
        field("not recorded", ", ".join(decision.redactions))


def nearest(generation: Generation, url: Url) -> str | None:
    """The origin of a target that is spelt most like the one asked for."""
    origins = [origin(target) for targets in generation.targets.values() for target in targets]
    found = get_close_matches(f"{url.scheme}://{url.host}", origins, 1)
    return found[0] if found else None


def tell_account(account: Account, rules: Path) -> None:
    rule = account.rule
    say(f"{rule.verdict:<5}  {rule.name}  {rules}/{rule.source}", 2, 7)
    if account.bearing is Bearing.DECIDES and not account.reason:
        say("matches, and decides", 9)
    else:
        say(f"matches, but {account.reason}" if account.matched else account.reason, 9)
