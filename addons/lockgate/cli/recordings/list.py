"""`lockgate recordings list`: recorded requests, a line each."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lockgate.cli.recordings.rows import print_rows, report_damage, states, summary


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


@click.command("list")
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
