"""Recorded requests as rows: read, summed up, and safe to print whatever an agent wrote."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from lockgate.bodies.visible import visible
from lockgate.recordings.files import RecordFile, in_order
from lockgate.recordings.index import Index, Row, in_a_line
from lockgate.recordings.summary import moment

DIRECTORY = "recordings"
SHOWN_FROM = 16 * 1024 * 1024  # bytes: what is smaller is read in a moment
COLUMNS = ("time", "id", "verdict", "status", "who", "roles", "target", "request")


def paths_of(paths: Sequence[Path]) -> list[Path]:
    """What to read: `recordings` where nothing is named. Raises UsageError where there is no such directory."""
    if not paths and not Path(DIRECTORY).is_dir():
        raise click.UsageError(f"there is no directory {DIRECTORY} here; name one")
    return list(paths) or [Path(DIRECTORY)]


def indexed(directory: Path, damaged: list[str], *, newest_first: bool = False) -> Iterator[Row]:
    """The records of a directory in a line each, by its index, with a bar on a terminal while that is made."""
    with closing(Index(directory)) as index:
        with progress("indexing", sum(path.stat().st_size for path in in_order(directory))) as advance:
            index.update(advance)
        damaged += index.damaged
        yield from index.rows(newest_first=newest_first)


def rows_of(path: Path, damaged: list[str]) -> Iterator[Row]:
    """The records of one file in a line each."""
    file = RecordFile(path)
    for record in file:
        try:
            yield Row(path, record.offset, in_a_line(record))
        except ValueError:
            damaged.append(f"{path}: the record at offset {record.offset} cannot be read")
    if file.tail and not file.tail.torn:
        damaged.append(f"{path}: nothing can be read from offset {file.tail.offset} on")


def states(paths: Sequence[Path], damaged: list[str]) -> Iterator[dict[str, Any]]:
    """The recorded flows, in order. What cannot be read is noted in `damaged`; a torn tail is not worth a word."""
    for path in paths_of(paths):
        for name in in_order(path) if path.is_dir() else [path]:
            file = RecordFile(name)
            for record in file:
                if record.state is None or not isinstance(record.state.get("id"), str):
                    damaged.append(f"{name}: the record at offset {record.offset} cannot be read")
                else:
                    yield record.state
            if file.tail and not file.tail.torn:
                damaged.append(f"{name}: nothing can be read from offset {file.tail.offset} on")


class Advance(Protocol):
    def __call__(self, size: int, /) -> None: ...


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """A bar on a terminal, of bytes; nothing on a pipe, nor for what takes no time."""
    console = Console(stderr=True)
    if not console.is_terminal or total < SHOWN_FROM:
        yield lambda _: None
        return
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda size: shown.advance(task, size)


def report_damage(damaged: Sequence[str]) -> None:
    for line in damaged:
        click.echo(line, err=True)
    if damaged:
        sys.exit(1)


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
