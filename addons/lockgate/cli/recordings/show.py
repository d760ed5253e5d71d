"""`lockgate recordings show`: the story of one request."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lockgate.bodies.encodings import decode
from lockgate.bodies.visible import visible, visible_bytes
from lockgate.cli.recordings.rows import indexed, paths_of, report_damage, rows_of
from lockgate.errors import BodyUnreadable
from lockgate.recordings.dump import MAX_BODY, header
from lockgate.recordings.files import RecordFile
from lockgate.recordings.index import Row
from lockgate.recordings.story import story
from lockgate.recordings.summary import mapping, moment, projection, request_line, summary, text
from lockgate.recordings.verify import details

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
    places = paths_of(paths)
    rows = [row for path in places for row in named(identifier, path, damaged)]
    exact = [row for row in rows if identifier in (row.summary["id"], row.summary["flow"])]
    rows = exact or rows
    if not exact and len({row.summary["flow"] for row in rows}) > 1:
        ids = ", ".join(visible(str(row.summary["id"])) for row in rows[:5])
        raise click.UsageError(f"{identifier} is the beginning of several ids: {ids}")
    found = [state for row in rows if (state := RecordFile(row.path).at(row.offset).state) is not None]
    if not found:
        report_damage(damaged)
        raise click.ClickException(f"no request {identifier} is recorded here")
    if as_json:
        click.echo(json.dumps([summary(state) | {"lockgate": projection(state)} for state in found], indent=2))
        return
    for state in found:
        tell(state, sys.maxsize if full else BODY_SHOWN, approved(places, projection(state)))


def named(identifier: str, path: Path, damaged: list[str]) -> Iterator[Row]:
    """The records whose ids begin so."""
    for row in indexed(path, damaged) if path.is_dir() else rows_of(path, damaged):
        if any(str(row.summary[key]).startswith(identifier) for key in ("id", "flow")):
            yield row


def approved(places: Sequence[Path], said: Mapping[str, Any]) -> list[str]:
    """What persons did about a request that was held, step by step, where its approval's id is known."""
    wanted = mapping(said.get("approval")).get("id")
    lines: list[str] = []
    for path in places if wanted else ():
        for row in indexed(path, []) if path.is_dir() else rows_of(path, []):
            if row.summary["event"] == "approval":
                step = details(RecordFile(row.path).at(row.offset))
                if isinstance(step, dict) and step.get("id") == wanted and step.get("step") != "closed":
                    lines.append(f"  {moment(row.summary['time']).replace('+00:00', 'Z')}  {told(step)}")
    return lines


def told(step: Mapping[str, Any]) -> str:
    vote, shown = mapping(step.get("vote")), mapping(step.get("to"))
    parts = [str(step.get("step"))]
    if vote:
        parts.append(
            f"{vote.get('decision')} by {vote.get('subject')} via {vote.get('via')} from {vote.get('address')}"
        )
        parts += [f"because {vote['reason']}"] if vote.get("reason") else []
    if shown:
        parts.append(f"to {shown.get('subject')}")
    return visible(", ".join(parts))


def tell(state: dict[str, Any], body_limit: int, approved: Sequence[str]) -> None:
    """The story of one recorded flow, on standard output."""
    for line in story(state):
        click.echo(line)
    if approved:
        click.echo("approval:")
    for line in approved:
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
    try:
        return decode(content, header(entry, b"content-encoding") or None, 10 * MAX_BODY)
    except BodyUnreadable:
        return content


def body(content: bytes, limit: int) -> None:
    for line in visible_bytes(content, limit):
        click.echo(line)
