"""`lockgate recordings follow`: requests as they are recorded."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from lockgate.cli.recordings.filters import Filters, options
from lockgate.cli.recordings.rows import DIRECTORY, cells
from lockgate.recordings.index import Index

LOOK = 0.3  # seconds between two looks


@click.command()
@click.argument(
    "directory", default=DIRECTORY, metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@options
@click.option("-n", "--number", default=10, show_default=True, help="How many of the newest to begin with.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def follow(directory: Path, number: int, as_json: bool, **filters: Any) -> None:
    """Print requests as they are recorded, until interrupted. Goes on over new files and restarts of the gateway."""
    wanted = Filters(**filters)
    index = Index(directory)
    index.update()
    shown = index.count()
    first = [row for row in index.rows(newest_first=True) if wanted.match(row)][:number]
    for row in reversed(first):
        show(row.summary, as_json=as_json)
    while True:
        time.sleep(LOOK)
        index.update()
        count = index.count()
        rows = index.rows(newest_first=True)
        fresh = [row for row, _ in zip(rows, range(count - shown), strict=False)]
        for row in reversed(fresh):
            if wanted.match(row):
                show(row.summary, as_json=as_json)
        shown = count


def show(row: dict[str, Any], *, as_json: bool) -> None:
    click.echo(json.dumps(row) if as_json else "  ".join(cells(row)))
