"""Recorded requests as rows: read, summed up, and safe to print whatever an agent wrote."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lockgate.bodies.visible import visible

DIRECTORY = "recordings"
COLUMNS = ("time", "id", "verdict", "status", "who", "roles", "target", "request")


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


def text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")
