"""`lockgate recordings`: what the gateway recorded, listed, told and verified. Reads only; works while it writes."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lockgate.bodies.visible import visible, visible_bytes
from lockgate.recordings.chain import Link

DIRECTORY = "recordings"
BODY_SHOWN = 16 * 1024
COLUMNS = ("time", "id", "verdict", "status", "who", "roles", "target", "request")


@click.group()
def recordings() -> None:
    """What the gateway recorded: list it, tell one request's story, verify that nothing was changed."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What `list` shows; an empty filter lets everything through."""

    verdict: str | None
    role: str | None
    target: str | None
    status: str | None

    def match(self, row: dict[str, Any]) -> bool:
        return (
            self.verdict in (None, row["verdict"])
            and (self.role is None or self.role in row["roles"])
            and self.target in (None, row["target"])
            and (self.status is None or fits_status(self.status, row["status"]))
        )


def fits_status(wanted: str, status: int | None) -> bool:
    """`403`, or a class of statuses: `4xx`."""
    text = "" if status is None else str(status)
    return text == wanted or (wanted.lower().endswith("xx") and len(text) == 3 and text[0] == wanted[0])


@recordings.command("list")
@click.argument("paths", nargs=-1, metavar="[DIR|FILES]...", type=click.Path(exists=True, path_type=Path))
@click.option("--verdict", type=click.Choice(["allow", "hold", "deny"]), help="Only requests that came to this.")
@click.option("--role", help="Only requests of a principal with this role.")
@click.option("--target", help="Only requests to this target.")
@click.option("--status", help="Only this status, or a class of them: 403, 4xx.")
@click.option("-n", "--number", default=50, show_default=True, help="How many of the newest; 0 shows all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(
    paths: tuple[Path, ...],
    verdict: str | None,
    role: str | None,
    target: str | None,
    status: str | None,
    number: int,
    as_json: bool,
) -> None:
    """List recorded requests, the newest last. DIR is `recordings` where none is given."""
    filters = Filters(verdict, role, target, status)
    damaged: list[str] = []
    rows: deque[dict[str, Any]] = deque(maxlen=number if number > 0 else None)
    total = 0
    for state in states(paths, damaged):
        row = summary(state)
        if filters.match(row):
            total += 1
            rows.append(row)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
    else:
        print_rows(rows)
        if total > len(rows):
            click.echo(f"{len(rows)} of {total}; -n 0 shows all", err=True)
    report_damage(damaged)


@recordings.command()
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


@recordings.command()
@click.argument("directory", default=DIRECTORY, metavar="[DIR]", type=click.Path(exists=True, path_type=Path))
@click.option("--partial", is_flag=True, help="Older records were moved away: take any number to start from.")
@click.option("--head", metavar="NUMBER:HASH", help="The chain's head as noted earlier: it must be in it.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def verify(directory: Path, partial: bool, head: str | None, as_json: bool) -> None:
    """Verify that every record is there, unaltered and in order. Exits with 1 and names the first that is not."""
    from lockgate.recordings.verify import verify as verify_directory

    if not directory.is_dir():
        raise click.UsageError(f"{directory} is not a directory: the chain goes over all files of one")
    try:
        report = verify_directory(directory, partial=partial, known=Link.decode(head.encode()) if head else None)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    fault, place = report.fault, report.place
    if as_json:
        result = {
            "ok": fault is None,
            "files": report.files,
            "records": report.records,
            "first": report.first,
            "head": str(report.head) if report.head else None,
            "writing": report.writing,
            "torn": {"file": str(report.torn.path), "offset": report.torn.offset} if report.torn else None,
            "fault": fault
            and {
                "kind": fault.kind,
                "detail": fault.detail,
                "file": str(place.path) if place else None,
                "offset": place.offset if place else None,
                "number": place.number if place else None,
                "id": place.flow_id if place else None,
            },
        }
        click.echo(json.dumps(result, indent=2))
        sys.exit(0 if fault is None else 1)
    if report.torn:
        why = "it is being written" if report.writing else "the next start of the gateway repairs it"
        click.echo(f"{report.torn.path}: the last record is not whole; {why}")
    if fault is None:
        click.echo(f"ok: {report.records} records in {report.files} files; head {report.head or 'none'}")
        return
    where = f"{directory}: at the end"
    if place:
        name = f"record {place.number}" if place.number is not None else "a record"
        identity = f", {visible(place.flow_id)}" if place.flow_id else ""
        where = f"{place.path}: {name} (offset {place.offset}{identity})"
    click.echo(f"{where}: {fault.kind}: {fault.detail}")
    sys.exit(1)


def states(paths: Sequence[Path], damaged: list[str]) -> Iterator[dict[str, Any]]:
    """The recorded flows, in order. What cannot be read is noted in `damaged`; a torn tail is not worth a word."""
    from lockgate.recordings.files import RecordFile, in_order

    if not paths:
        if not Path(DIRECTORY).is_dir():
            raise click.UsageError(f"there is no directory {DIRECTORY} here; name one")
        paths = [Path(DIRECTORY)]
    for path in paths:
        for name in in_order(path) if path.is_dir() else [path]:
            file = RecordFile(name)
            for record in file:
                if record.state is None or not isinstance(record.state.get("id"), str):
                    damaged.append(f"{name}: the record at offset {record.offset} cannot be read")
                else:
                    yield record.state
            if file.tail and not file.tail.torn:
                damaged.append(f"{name}: nothing can be read from offset {file.tail.offset} on")


def report_damage(damaged: Sequence[str]) -> None:
    for line in damaged:
        click.echo(line, err=True)
    if damaged:
        sys.exit(1)


def mapping(value: Any) -> dict[str, Any]:
    """A dictionary, empty where there is none: anybody's flow can be listed."""
    return value if isinstance(value, dict) else {}


def projection(state: dict[str, Any]) -> dict[str, Any]:
    return mapping(mapping(state.get("metadata")).get("lockgate"))


def row_id(state: dict[str, Any]) -> str:
    request_id = projection(state).get("request_id")
    return request_id if isinstance(request_id, str) and request_id else str(state["id"])


def names(state: dict[str, Any]) -> tuple[str, str]:
    return row_id(state), str(state["id"])


def summary(state: dict[str, Any]) -> dict[str, Any]:
    """One request in a line: `status` is what the agent got, None where nobody knows."""
    lockgate = projection(state)
    principal = mapping(lockgate.get("principal"))
    decision = mapping(lockgate.get("decision"))
    refusal = mapping(lockgate.get("refusal"))
    event = lockgate.get("event")
    return {
        "time": lockgate.get("time", state.get("timestamp_created")),
        "id": row_id(state),
        "verdict": decision.get("verdict"),
        "rule": decision.get("rule"),
        "status": None if event else refusal.get("status", mapping(state.get("response")).get("status_code")),
        "subject": principal.get("subject"),
        "roles": list(principal.get("roles") or ()),
        "target": lockgate.get("target"),
        "request": f"event {event}" if event else request_line(state),
        "actions": lockgate.get("actions") or [],
        "error": mapping(state.get("error")).get("msg"),
    }


def request_line(state: dict[str, Any]) -> str:
    request = state.get("request")
    if state.get("type") != "http" or not isinstance(request, dict):
        return str(state.get("type", ""))
    method = request["method"].decode("utf-8", "backslashreplace")
    if method == "CONNECT":
        return f"CONNECT {request['authority'].decode('utf-8', 'backslashreplace')}"
    path = request["path"].decode("utf-8", "backslashreplace")
    if projection(state).get("target"):
        return f"{method} {path}"
    return f"{method} {text(request.get('scheme'))}://{request.get('host')}{path}"


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row's columns, with everything that an agent controls made safe to print."""
    request = visible(str(row["request"]))
    return (
        visible(moment(row["time"]).replace("+00:00", "Z")),
        visible(str(row["id"])),
        visible(str(row["verdict"] or "-")),
        visible(str(row["status"] if row["status"] is not None else ("error" if row["error"] else "-"))),
        visible(str(row["subject"] or "-")),
        visible(",".join(map(str, row["roles"])) or "-"),
        visible(str(row["target"] or "-")),
        request if len(request) <= 120 else f"{request[:119]}…",
    )


def print_rows(rows: Sequence[dict[str, Any]] | deque[dict[str, Any]]) -> None:
    lines = [cells(row) for row in rows]
    console = Console()
    if console.is_terminal:
        table = Table(*COLUMNS, box=None, pad_edge=False)
        for line in lines:
            table.add_row(*(Text(cell, style=colour(cell)) for cell in line))
        console.print(table)
        return
    table_lines = [COLUMNS, *lines]
    widths = [max(len(line[column]) for line in table_lines) for column in range(len(COLUMNS))]
    for line in table_lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def colour(cell: str) -> str:
    return {"allow": "green", "hold": "yellow", "deny": "red", "error": "red"}.get(cell, "")


def moment(value: Any) -> str:
    """A time as it was recorded, in UTC; seconds since the epoch in flows of anybody's."""
    if isinstance(value, str):
        return value
    try:
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="milliseconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return "-"


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


def text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")
