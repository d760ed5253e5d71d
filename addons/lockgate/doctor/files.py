"""Who may read and write what the gateway keeps and is told."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from lockgate.doctor.finding import Finding, ok, wrong

LISTED = 5  # paths named in a finding


def private(subject: str, places: Iterable[Path]) -> Finding:
    """Whether everything under `places` is the owner's alone: secrets, and what was recorded."""
    return judged(subject, places, 0o077, "chmod -R go= ")


def unwritable(subject: str, places: Iterable[Path]) -> Finding:
    """Whether nobody but the owner can change what is under `places`: who changes the rules decides everything."""
    return judged(subject, places, 0o022, "chmod -R go-w ")


def judged(subject: str, places: Iterable[Path], forbidden: int, command: str) -> Finding:
    places = [place for place in places if place.exists()]
    named = " ".join(map(str, places))
    if not places:
        return ok(subject, "not there yet")
    try:
        open_to_others = [path for path in walk(places) if path.lstat().st_mode & forbidden]
        owned_by_others = [path for path in walk(places) if path.lstat().st_uid not in (0, os.geteuid())]
    except OSError as error:
        return wrong(
            subject, f"{error.filename}: {error.strerror}", "Run the doctor as the user that the gateway runs as."
        )
    if owned_by_others:
        remedy = f"chown -R {os.geteuid()} {named}, or run the doctor as the user that the gateway runs as."
        return wrong(subject, f"another user owns {listed(owned_by_others)}", remedy)
    if open_to_others:
        return wrong(subject, f"open to group or others: {listed(open_to_others)}", command + named)
    return ok(subject, f"{named}: the owner's alone" if forbidden & 0o044 else f"{named}: only the owner may write")


def walk(places: Iterable[Path]) -> Iterator[Path]:
    """The places and all below them; what a link leads to is somebody else's."""
    for place in places:
        yield place
        if not place.is_symlink() and place.is_dir():
            yield from (path for path in place.rglob("*") if not stat.S_ISLNK(path.lstat().st_mode))


def listed(paths: list[Path]) -> str:
    shown = ", ".join(map(str, paths[:LISTED]))
    return shown if len(paths) <= LISTED else f"{shown} and {len(paths) - LISTED} more"
