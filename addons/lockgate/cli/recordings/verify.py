"""`lockgate recordings verify`: whether every record is there, unaltered, in order, and signed for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from lockgate.bodies.visible import visible
from lockgate.cli.recordings.rows import DIRECTORY, progress
from lockgate.cli.recordings.verify_export import opened
from lockgate.cli.recordings.verify_export import report as report_export
from lockgate.recordings import trust
from lockgate.recordings.chain import Link
from lockgate.recordings.checkpoints import read_lines
from lockgate.recordings.files import in_order
from lockgate.recordings.signing import Verifier
from lockgate.recordings.verify import Report
from lockgate.recordings.verify import verify as verify_directory

STATE = ".lockgate"


@click.command()
@click.argument("directory", required=False, metavar="[DIR]", type=click.Path(exists=True, path_type=Path))
@click.option("--partial", is_flag=True, help="Older records were moved away: take any number to start from.")
@click.option("--head", metavar="NUMBER:HASH", help="The chain's head as noted earlier: it must be in it.")
@click.option(
    "--checkpoints",
    "pushed",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Checkpoints as the gateway pushed them, a line each: the chain must have come that far.",
)
@click.option(
    "--key",
    metavar="PEM",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The gateway's public key (`lockgate recordings key`), where its state is not at hand.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"The gateway's state, which knows its key and its last checkpoint; {STATE} where there is one.",
)
@click.option(
    "--export",
    "exported",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An export: whether it is what the recordings say; without recordings, whether it is as it was signed.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def verify(
    directory: Path | None,
    partial: bool,
    head: str | None,
    pushed: Path | None,
    key: Path | None,
    state: Path | None,
    exported: Path | None,
    as_json: bool,
) -> None:
    """Verify that every record is there, unaltered and in order, and that checkpoints are signed by the gateway.

    Exits with 1 and names the first record that was altered, removed, reordered, inserted or rolled back.
    """
    export = opened(exported) if exported else None
    if export and directory is None and not Path(DIRECTORY).is_dir():
        verifier, _ = trusted(key, state)
        if verifier is None:
            raise click.UsageError("there is nothing to hold the export against: name DIR, --key or --state")
        report_export(export, None, verifier, as_json=as_json, must_sign=True)
    directory = directory or Path(DIRECTORY)
    if not directory.is_dir():
        raise click.UsageError(f"{directory} is not a directory: the chain goes over all files of one")
    verifier, known = trusted(key, state)
    try:
        if head:
            known.append(Link.decode(head.encode()))
    except ValueError as error:
        raise click.UsageError(f"--head: {error}") from None
    if pushed is not None:
        try:
            known += read_lines(pushed.read_bytes().splitlines(), verifier)
        except ValueError as error:
            raise click.ClickException(f"{pushed}: {error}") from None
    if export:
        known.append(export.manifest.head)
    with progress("verifying", sum(path.stat().st_size for path in in_order(directory))) as advance:
        report = verify_directory(directory, partial=partial, known=known, verifier=verifier, progress=advance)
    if export and not report.fault:
        report_export(export, directory, verifier, as_json=as_json, must_sign=key is not None)
    click.echo(json.dumps(document(report, verifier), indent=2)) if as_json else tell(report, directory, verifier)
    sys.exit(1 if report.fault or (key and not report.signed) else 0)


def trusted(key: Path | None, state: Path | None) -> tuple[Verifier | None, list[Link]]:
    """Whose signatures count, and how far the chain is known to have come. Raises ClickException, SetupError."""
    if key is not None:
        try:
            return Verifier.of_pem(key.read_bytes()), []
        except ValueError as error:
            raise click.ClickException(f"{key}: {error}") from None
    found = trust.known(state or Path(STATE))
    if found is None:
        if state is not None:
            raise click.ClickException(f"{state} has no signing key: the gateway makes it at its first start")
        return None, []
    return found.verifier, [found.reached]


def document(report: Report, verifier: Verifier | None) -> dict[str, Any]:
    fault, place = report.fault, report.place
    return {
        "ok": fault is None,
        "files": report.files,
        "records": report.records,
        "first": report.first,
        "head": str(report.head) if report.head else None,
        "key": verifier.key_id if verifier else None,
        "signed": str(report.signed) if report.signed else None,
        "pruned": str(report.pruned) if report.pruned else None,
        "writing": report.writing,
        "torn": {"file": str(report.torn.path), "offset": report.torn.offset} if report.torn else None,
        "fault": fault
        and {
            "kind": fault.kind,
            "detail": fault.detail,
            "file": str(place.path) if place else None,
            "offset": place.offset if place else None,
            "number": place.number if place else None,
            "id": place.flow_id if place else None,
        },
    }


def tell(report: Report, directory: Path, verifier: Verifier | None) -> None:
    if report.torn:
        why = "it is being written" if report.writing else "the next start of the gateway repairs it"
        click.echo(f"{report.torn.path}: the last record is not whole; {why}")
    fault, place = report.fault, report.place
    if fault is not None:
        where = f"{directory}: at the end"
        if place:
            name = f"record {place.number}" if place.number is not None else "a record"
            identity = f", {visible(place.flow_id)}" if place.flow_id else ""
            where = f"{place.path}: {name} (offset {place.offset}{identity})"
        click.echo(f"{where}: {fault.kind}: {fault.detail}")
        return
    click.echo(f"ok: {report.records} records in {report.files} files; head {report.head or 'none'}")
    if report.pruned:
        click.echo(f"pruned: records up to {report.pruned.number}, as a tombstone says")
    if verifier is None:
        click.echo("signatures were not checked: no key is at hand; give --state or --key")
    elif report.signed is None:
        click.echo(f"nothing in it is signed with key {verifier.key_id}")
    else:
        click.echo(f"signed up to record {report.signed.number} with key {verifier.key_id}")
