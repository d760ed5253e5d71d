"""`lockgate recordings show`: the story of one request."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lockgate.bodies.visible import visible, visible_bytes
from lockgate.cli.recordings.rows import (
    mapping,
    moment,
    names,
    projection,
    report_damage,
    request_line,
    row_id,
    states,
    summary,
    text,
)

BODY_SHOWN = 16 * 1024


@click.command()
@click.argument("identifier", metavar="ID")
@click.argument("paths", nargs=-1, metavar="[DIR|FILES]...", type=click.Path(exists=True, path_type=Path))
@click.option("--full", is_flag=True, help=f"Bodies whole, not their first {BODY_SHOWN // 1024} KiB.")
@click.option("--json", "as_json", is_flag=True, help="What the gateway recorded of it, as JSON.")
def show(identifier: str, paths: tuple[Path, ...], full: bool, as_json: bool) -> None:
    """Tell one request's story: who, what, which rules, what was masked, what went over the wire.

    ID is a request's id, or enough of its beginning.
    """
    damaged: list[str] = []
    found = [state for state in states(paths, damaged) if any(name.startswith(identifier) for name in names(state))]
    exact = [state for state in found if identifier in names(state)]
    found = exact or found
    if not exact and len({state["id"] for state in found}) > 1:
        ids = ", ".join(visible(row_id(state)) for state in found[:5])
        raise click.UsageError(f"{identifier} is the beginning of several ids: {ids}")
    if not found:
        report_damage(damaged)
        raise click.ClickException(f"no request {identifier} is recorded here")
    if as_json:
        click.echo(json.dumps([summary(state) | {"lockgate": projection(state)} for state in found], indent=2))
        return
    for state in found:
        tell(state, sys.maxsize if full else BODY_SHOWN)


def tell(state: dict[str, Any], body_limit: int) -> None:
    """The story of one recorded flow, on standard output."""
    lockgate = projection(state)
    for line in (*story(state, lockgate), *(rules_considered(lockgate))):
        click.echo(line)
    request, response = state.get("request"), state.get("response")
    if isinstance(request, dict) and state.get("type") == "http":
        heading("request")
        click.echo(visible(f"{request_line(state)} {text(request.get('http_version'))}"))
        message(request, body_limit)
    if isinstance(response, dict) and state.get("type") == "http":
        heading("response")
        click.echo(
            visible(f"{text(response.get('http_version'))} {response['status_code']} {text(response['reason'])}")
        )
        message(response, body_limit)
    messages = state.get("messages") or mapping(state.get("websocket")).get("messages") or ()
    for entry in messages:
        sides = [part for part in entry if isinstance(part, bool)]
        heading("message from the agent" if sides and sides[0] else "message to the agent")
        body(next((part for part in entry if isinstance(part, bytes)), b""), body_limit)


def heading(name: str) -> None:
    click.echo()
    click.secho(name, bold=True)


def story(state: dict[str, Any], lockgate: dict[str, Any]) -> Iterator[str]:
    """Who, what, and what came of it: one `name: value` a line, members without a value left out."""
    row = summary(state)
    principal = mapping(lockgate.get("principal"))
    decision = mapping(lockgate.get("decision"))
    refusal = mapping(lockgate.get("refusal"))
    chain = mapping(lockgate.get("chain"))
    facts = {
        "id": row["id"],
        "flow": state["id"] if state["id"] != row["id"] else None,
        "time": moment(row["time"]).replace("+00:00", "Z"),
        "event": lockgate.get("event"),
        "who": principal.get("subject"),
        "issuer": principal.get("issuer"),
        "roles": ", ".join(map(str, row["roles"])),
        "token": principal.get("token_id"),
        "client": lockgate.get("client"),
        "target": lockgate.get("target"),
        "actions": "; ".join(" ".join(map(str, action)) for action in row["actions"]),
        "verdict": decision.get("verdict"),
        "rule": decision.get("rule"),
        "reason": decision.get("reason"),
        "refused": f"{refusal.get('status')} {refusal.get('detail')}" if refusal else None,
        "stage": lockgate.get("stage"),
        "sent": {True: "yes", False: "no"}.get(lockgate.get("sent", "")),
        "upstream": lockgate.get("upstream_status"),
        "error": row["error"],
        "masked": listed(lockgate.get("masks")),
        "scrubbed": lockgate.get("scrubbed"),
        "injected": ", ".join(map(str, lockgate.get("injected") or ())),
        "redacted": listed({side: ", ".join(found) for side, found in (lockgate.get("redacted") or {}).items()}),
        "streamed": listed(lockgate.get("streamed")),
        "truncated": listed(lockgate.get("truncated"), " bytes"),
        "withheld": listed(lockgate.get("withheld")),
        "decoded": listed(lockgate.get("decoded")),
        "timings": listed(lockgate.get("timings"), " ms"),
        "generation": lockgate.get("generation"),
        "record": chain.get("number"),
    }
    for name, value in facts.items():
        if value not in (None, "", 0):
            yield f"{name + ':':<12}{visible(str(value))}"


def listed(entries: dict[str, Any] | None, unit: str = "") -> str:
    return ", ".join(f"{name}: {value}{unit}" for name, value in (entries or {}).items())


def rules_considered(lockgate: dict[str, Any]) -> Iterator[str]:
    """Each rule that fitted an action, where it stands, and how it came out."""
    considered = mapping(lockgate.get("decision")).get("considered") or ()
    if considered:
        yield "considered:"
    for entry in considered:
        detail = f" ({entry['detail']})" if entry.get("detail") else ""
        yield visible(f"  {entry['verdict']} {entry['rule']} at {entry['source']}: {entry['outcome']}{detail}")


def message(entry: dict[str, Any], body_limit: int) -> None:
    for name, value in entry["headers"]:
        click.echo(visible(f"{text(name)}: {text(value)}"))
    content = entry.get("content")
    if content is None:
        click.echo("\n(no body was recorded)")
    elif content:
        click.echo()
        body(readable(entry, content), body_limit)


def readable(entry: dict[str, Any], content: bytes) -> bytes:
    """The body without its content encoding, where it has one that can be taken off."""
    from lockgate.bodies.encodings import decode
    from lockgate.errors import BodyUnreadable
    from lockgate.recordings.dump import MAX_BODY, header

    try:
        return decode(content, header(entry, b"content-encoding") or None, 10 * MAX_BODY)
    except BodyUnreadable:
        return content


def body(content: bytes, limit: int) -> None:
    for line in visible_bytes(content, limit):
        click.echo(line)
