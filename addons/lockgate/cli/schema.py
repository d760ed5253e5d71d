"""`lockgate schema`: the rules' schema for editors, on standard output."""

from __future__ import annotations

from pathlib import Path

import click

from lockgate.policy.json_schema import written_out

FOUND = 1


@click.command()
@click.option(
    "--check",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Print nothing; exit with 1 where FILE is not what would be printed.",
    metavar="FILE",
)
@click.pass_context
def schema(ctx: click.Context, file: Path | None) -> None:
    """Print the JSON Schema of the rules' files, for editors to complete and check them by.

    \b
    lockgate schema > rules/schema.json
    """
    if file is None:
        click.echo(written_out(), nl=False)
    elif file.read_text(encoding="utf-8", errors="replace") != written_out():
        click.echo(f"{file} is not the schema of this version: write it anew with `lockgate schema > {file}`")
        ctx.exit(FOUND)
