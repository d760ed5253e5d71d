"""`lockgate recordings prune`: delete old record files, and leave a signed word of it."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from lockgate.cli.recordings.rows import DIRECTORY
from lockgate.cli.token import duration
from lockgate.errors import SetupError
from lockgate.recordings import trust
from lockgate.recordings.checkpoints import Marking
from lockgate.recordings.disk import is_locked
from lockgate.recordings.files import LOCK, base, in_order
from lockgate.recordings.generations import forget
from lockgate.recordings.keeping import due
from lockgate.recordings.keeping import prune as delete
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.tombstones import EVENT, Pruned, tombstone


@click.command()
@click.argument(
    "directory", default=DIRECTORY, metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--older-than", "seconds", required=True, callback=duration, metavar="DURATION", help="Of records: 30d, 12h."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=".lockgate",
    show_default=True,
    help="The gateway's state, whose key signs for what goes.",
)
@click.option("--json", "as_json", is_flag=True, help="What goes, as JSON.")
def prune(directory: Path, seconds: int, dry_run: bool, state: Path, as_json: bool) -> None:
    """Delete record files all of whose records are older, oldest first, while no gateway runs.

    A signed tombstone in the chain says what went, so that what is left still verifies. A gateway that runs prunes by
    itself: recordings.keep in gateway.yaml.
    """
    if not dry_run and is_locked(directory / LOCK):
        raise click.ClickException(
            f"{directory}: a gateway records here: stop it first, or let it prune by itself with recordings.keep"
        )
    before = datetime.now(UTC) - timedelta(seconds=seconds)
    paths = in_order(directory)
    found = due(directory, before, {base(path) for path in paths[:-1]})  # the last one says where the chain goes on
    if found and not dry_run:
        bury(directory, state, found, before, f"older than {seconds / 86400:g} days")
    if as_json:
        click.echo(json.dumps([told(each) for each in found], indent=2))
        return
    for each in found:
        verb = "would go" if dry_run else "deleted"
        click.echo(f"{each.name}: records {each.first.number} to {each.last.number}, {each.size} bytes: {verb}")
    if not found:
        click.echo(f"nothing in {directory} is old enough")


def bury(directory: Path, state: Path, files: list[Pruned], before: datetime, why: str) -> None:
    """Raises SetupError, RecordingUnavailable."""
    if trust.known(state) is None:
        raise SetupError(f"{state} has no signing key: name the gateway's state with --state")
    signer = trust.signer(state)
    recorder = Recorder(directory, marking=Marking(signer, reached=trust.reached(state, signer.verifier)))
    recorder.start({"by": "lockgate recordings prune"})
    try:
        asyncio.run(recorder.durable_event(EVENT, tombstone(signer, files, why, time.time())))
        delete(directory, files)  # before a gateway may begin here
        forget(directory, None, before.timestamp())
    finally:
        recorder.close()


def told(each: Pruned) -> dict[str, object]:
    return {"file": each.name, "first": each.first.number, "last": each.last.number, "bytes": each.size}
