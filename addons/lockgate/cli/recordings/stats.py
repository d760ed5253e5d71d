"""`lockgate recordings stats`: how many requests there were, what became of them, and how long they took."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lockgate.bodies.visible import visible
from lockgate.cli.recordings.filters import Filters, options
from lockgate.cli.recordings.rows import indexed, paths_of, report_damage, rows_of

COLUMNS = ("requests", "allowed", "denied", "held", "waited p50", "waited max", "p50", "p95")


@dataclass(slots=True)
class Count:
    """What is counted of one role, rule or target. `waited` in seconds, `took` in milliseconds."""

    requests: int = 0
    allowed: int = 0
    denied: int = 0
    held: int = 0
    waited: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        self.requests += 1
        self.allowed += row["verdict"] == "allow"
        self.denied += row["verdict"] == "deny" or (row["verdict"] is None and row["status"] is not None)
        self.held += bool(row["held"])
        if row["waited"] is not None:
            self.waited.append(row["waited"])
        if row["took"] is not None and not row["held"]:  # how long persons took is told of by itself
            self.took.append(row["took"])

    def document(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "allowed": self.allowed,
            "denied": self.denied,
            "held": self.held,
            "waited": {"p50": quantile(self.waited, 50), "max": max(self.waited, default=None)},
            "milliseconds": {"p50": quantile(self.took, 50), "p95": quantile(self.took, 95)},
        }


@click.command()
@click.argument("paths", nargs=-1, metavar="[DIR|FILES]...", type=click.Path(exists=True, path_type=Path))
@options
@click.option("--by", type=click.Choice(["role", "rule", "target", "subject"]), default="role", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The numbers as JSON.")
def stats(paths: tuple[Path, ...], by: str, as_json: bool, **filters: Any) -> None:
    """Count recorded requests by role, rule, target or subject: denials, holds and waits, and latencies in
    milliseconds from the request's first byte to the answer's last.

    Who has several roles counts for each of them.
    """
    wanted = Filters(**filters)
    damaged: list[str] = []
    counts: dict[str, Count] = {}
    for path in paths_of(paths):
        for row in indexed(path, damaged) if path.is_dir() else rows_of(path, damaged):
            if row.summary["event"] is None and wanted.match(row):
                for name in named(row.summary, by):
                    counts.setdefault(name, Count()).add(row.summary)
    found = {name: counts[name].document() for name in sorted(counts, key=lambda name: (-counts[name].requests, name))}
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        print_counts(found, by)
    report_damage(damaged)


def named(row: dict[str, Any], by: str) -> Iterator[str]:
    values = row["roles"] if by == "role" else [row[by]]
    yield from (str(value) for value in values if value is not None) if any(values) else ("-",)


def quantile(values: list[float], percent: int) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 3)


def print_counts(found: dict[str, dict[str, Any]], by: str) -> None:
    lines = [
        (
            visible(name),
            *(str(told[column]) for column in COLUMNS[:4]),
            *(number(told["waited"][column], "s") for column in ("p50", "max")),
            *(number(told["milliseconds"][column], "ms") for column in ("p50", "p95")),
        )
        for name, told in found.items()
    ]
    console = Console()
    if console.is_terminal:
        table = Table(by, *COLUMNS, box=None, pad_edge=False)
        for line in lines:
            table.add_row(*map(Text, line))
        console.print(table)
        return
    widths = [max(len(line[column]) for line in [(by, *COLUMNS), *lines]) for column in range(len(COLUMNS) + 1)]
    for line in [(by, *COLUMNS), *lines]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:g} {unit}"
