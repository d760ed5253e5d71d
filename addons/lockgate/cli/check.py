"""`lockgate check`: whether the gateway would take a rules directory, and everything that is wrong with it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from lockgate.errors import RulesInvalid
from lockgate.policy.load import load

FOUND = 1


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default="rules", metavar="[DIR]")
@click.option("--json", "as_json", is_flag=True, help="Print an object: generation, problems.")
@click.pass_context
def check(ctx: click.Context, directory: Path, as_json: bool) -> None:
    """Check a rules directory (`rules` where none is given), and name every error with its place.

    Exits with 1 where there are any: the gateway would not start with them.
    """
    try:
        generation = load(directory)
    except RulesInvalid as invalid:
        if as_json:
            click.echo(json.dumps({"generation": None, "problems": [asdict(problem) for problem in invalid.problems]}))
        else:
            for problem in invalid.problems:
                click.echo(f"{directory}/{problem}")
        ctx.exit(FOUND)
    if as_json:
        click.echo(json.dumps({"generation": generation.id, "problems": []}))
    else:
        click.echo(f"ok: generation {generation.id[:12]}, {len(generation.targets)} targets")
