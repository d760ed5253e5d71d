"""`lockgate recordings list`: recorded requests, a line each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lockgate.cli.recordings.filters import Filters, options
from lockgate.cli.recordings.rows import indexed, paths_of, print_rows, report_damage, rows_of


@click.command("list")
@click.argument("paths", nargs=-1, metavar="[DIR|FILES]...", type=click.Path(exists=True, path_type=Path))
@options
@click.option("-n", "--number", default=50, show_default=True, help="How many of the newest; 0 shows all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(paths: tuple[Path, ...], number: int, as_json: bool, **filters: Any) -> None:
    """List recorded requests, the newest last. DIR is `recordings` where none is given."""
    wanted = Filters(**filters)
    damaged: list[str] = []
    found: list[dict[str, Any]] = []
    total = 0
    for path in reversed(paths_of(paths)):
        for row in indexed(path, damaged, newest_first=True) if path.is_dir() else reversed([*rows_of(path, damaged)]):
            if not wanted.match(row):
                continue
            total += 1
            if not number or len(found) < number:
                found.append(row.summary)
            elif wanted == Filters():
                break  # nobody need know how many more there are
    found.reverse()
    if as_json:
        for row in found:
            click.echo(json.dumps(row))
    else:
        print_rows(found)
        if total > len(found):
            of = "more" if wanted == Filters() else total
            click.echo(f"the newest {len(found)} of {of}; -n 0 shows all", err=True)
    report_damage(damaged)
