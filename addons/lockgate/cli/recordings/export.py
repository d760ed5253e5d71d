"""`lockgate recordings export`: recorded requests as HAR, OCSF events or CSV, which verify against the chain."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from lockgate import __version__
from lockgate.bodies.visible import visible
from lockgate.cli.past import since as instant
from lockgate.cli.recordings.rows import DIRECTORY, progress
from lockgate.cli.recordings.verify import STATE
from lockgate.recordings import trust
from lockgate.recordings.exports.entry import Leaving
from lockgate.recordings.exports.manifest import FORMATS, Manifest, Plan
from lockgate.recordings.exports.selection import Selection
from lockgate.recordings.exports.write import Lines, write
from lockgate.recordings.files import in_order
from lockgate.recordings.signing import Signer


def leaving(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> Leaving:
    found = Leaving(tuple(dict.fromkeys(value)))
    try:
        found.require_compilable()
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    return found


@click.command()
@click.argument("directory", default=DIRECTORY, metavar="[DIR]", type=click.Path(exists=True, path_type=Path))
@click.option("--format", "kind", type=click.Choice(sorted(FORMATS)), required=True, help="HAR 1.2, OCSF events, CSV.")
@click.option("--since", callback=instant, metavar="WHEN", help="Only requests since then: 7d, 2030-01-31.")
@click.option("--until", callback=instant, metavar="WHEN", help="Only requests before then.")
@click.option("--role", help="Only requests of a principal with this role.")
@click.option("--subject", help="Only requests of this subject.")
@click.option("--target", help="Only requests to this target.")
@click.option("--verdict", type=click.Choice(["allow", "hold", "deny"]), help="Only requests that came to this.")
@click.option("--rule", help="Only requests that this rule decided.")
@click.option("--status", help="Only this status, or a class of them: 403, 4xx.")
@click.option(
    "--redact",
    "left_out",
    multiple=True,
    callback=leaving,
    metavar="WHAT",
    help="Leave this out too: '$.path' in bodies, header:NAME, query:NAME; may be repeated.",
)
@click.option("--no-bodies", is_flag=True, help="Leave out every body.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"The gateway's state, with the key to sign with; {STATE} where there is one.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here, not to stdout.")
def export(
    directory: Path,
    kind: str,
    since: datetime | None,
    until: datetime | None,
    left_out: Leaving,
    no_bodies: bool,
    state: Path | None,
    output: Path | None,
    **filters: str | None,
) -> None:
    """Export recorded requests, each with the number and hash of its record.

    The last line is a manifest: what was asked for, how far the chain had come, and a digest of all before it, signed
    where the gateway's key is at hand. `lockgate recordings verify --export FILE` checks it. Works while the gateway
    writes. Exits with 1 where records could not be read.
    """
    if not directory.is_dir():
        raise click.UsageError(f"{directory} is not a directory: an export verifies against the chain of one")
    selection = Selection(moment(since), moment(until), **filters)
    plan = Plan(kind, selection, Leaving(left_out.redact, bodies=not no_bodies))
    signer = signer_of(state)
    size = sum(path.stat().st_size for path in in_order(directory))
    with writing(output) as out, progress("exporting", size) as advance:
        lines = Lines(directory, plan, progress=advance)
        manifest = write(lines, out, __version__, time.time(), signer)
    tell(lines, manifest, signed=signer is not None)


def moment(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def signer_of(state: Path | None) -> Signer | None:
    """The gateway's; None where there is no state here. Raises ClickException, SetupError."""
    directory = state or Path(STATE)
    if (directory / f"{trust.KEY}.key").exists():
        return trust.signer(directory)
    if state is not None:
        raise click.ClickException(f"{state} has no signing key: the gateway makes it at its first start")
    return None


@contextmanager
def writing(output: Path | None) -> Iterator[Callable[[bytes], object]]:
    """A file that is whole or not there, for its owner alone; or standard output. Raises ClickException."""
    if output is None:
        yield sys.stdout.buffer.write
        return
    name: Path | None = None
    try:
        descriptor, made = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        name = Path(made)
        with os.fdopen(descriptor, "wb") as file:
            yield file.write
        name.replace(output)
    except OSError as error:
        raise click.ClickException(f"{error.filename or output}: {error.strerror}") from None
    finally:
        if name is not None:
            name.unlink(missing_ok=True)


def tell(lines: Lines, manifest: Manifest, *, signed: bool) -> None:
    for line in lines.damaged:
        click.echo(visible(line), err=True)
    how = "signed" if signed else "not signed: no key is at hand; give --state"
    click.echo(f"{manifest.entries} requests of records {manifest.first} to {manifest.head.number}; {how}", err=True)
    if lines.damaged:
        sys.exit(1)
