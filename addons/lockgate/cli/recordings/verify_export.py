"""`lockgate recordings verify --export FILE`: whether an export is what the recordings say, or was signed here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NoReturn

import click

from lockgate.bodies.visible import visible
from lockgate.recordings.exports.check import Export, ExportFault, entries_fault, origin_fault, read_export
from lockgate.recordings.exports.write import Lines
from lockgate.recordings.signing import Verifier


def opened(path: Path) -> Export:
    """Raises ClickException where it is no export that can be checked."""
    try:
        return read_export(path)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path}: {error}") from None


def fault_of(export: Export, directory: Path | None, verifier: Verifier | None) -> ExportFault | None:
    """What is wrong with an export. Its entries are made again where there are recordings."""
    manifest = export.manifest
    trusted = verifier if export.claims_signature else None
    if trusted is not None and not export.is_signed_by(trusted):
        return origin_fault(export, trusted)
    if directory is not None:
        lines = Lines(directory, manifest.plan, since=manifest.first, last=manifest.head.number)
        if (fault := entries_fault(export, lines)) is not None:
            return fault
    return origin_fault(export, trusted)


def report(
    export: Export, directory: Path | None, verifier: Verifier | None, *, as_json: bool, must_sign: bool
) -> NoReturn:
    """Say what came of it; end with 1 where something is wrong."""
    fault = fault_of(export, directory, verifier)
    signed = verifier is not None and export.is_signed_by(verifier)
    manifest = export.manifest
    if as_json:
        found = fault and {"kind": fault.kind, "line": fault.line, "detail": fault.detail}
        said = {
            "ok": fault is None,
            "export": str(export.path),
            "manifest": manifest.document(),
            "signed": signed,
            "compared": directory is not None,
            "fault": found,
        }
        click.echo(json.dumps(said, indent=2))
    elif fault is not None:
        click.echo(f"{export.path}: line {fault.line}: {fault.kind}: {visible(fault.detail)}")
    else:
        against = (
            f"as {directory} says" if directory else "as it was made; no recordings were at hand to compare it with"
        )
        click.echo(f"ok: {manifest.entries} entries of records {manifest.first} to {manifest.head.number}, {against}")
        said_of = f"signed with key {verifier.key_id}" if signed and verifier else "its signature was not checked"
        click.echo(said_of if export.claims_signature else "it is not signed")
    sys.exit(1 if fault is not None or (must_sign and not signed) else 0)
