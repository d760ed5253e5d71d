"""What commands about recorded requests share: which recordings, since when, and how far they have come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from lockgate.history.generations import Generations
from lockgate.history.records import Past
from lockgate.history.walk import Walk
from lockgate.policy.schema.values import duration, instant

RECORDINGS = Path("recordings")
EVERY = 64  # records between two looks at the progress bar


def since(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """An instant, or how long ago."""
    if value is None:
        return None
    try:
        return datetime.now(UTC) - timedelta(seconds=duration(value))
    except (ValueError, OverflowError):
        pass
    try:
        return instant(value)
    except ValueError:
        message = "how long ago, or since when: 7d, 12h, 2030-01-31, 2030-01-31T12:00:00Z"
        raise click.BadParameter(message, ctx, param) from None


def options[F: Callable[..., Any]](command: F) -> F:
    """The arguments that say which recordings."""
    given = click.argument("paths", nargs=-1, metavar="[DIR|FILES]...", type=click.Path(exists=True, path_type=Path))
    when = click.option("--since", callback=since, metavar="WHEN", help="Only requests since then: 7d, 2030-01-31.")
    return given(when(command))


def walk_of(paths: tuple[Path, ...], when: datetime | None, holding: bytes = b"") -> Walk:
    """Raises ClickException where there are no recordings."""
    try:
        walk = Walk(paths or (RECORDINGS,), when, holding)
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be read: {error.strerror}") from None
    if not walk.files:
        raise click.ClickException(f"there are no recordings in {', '.join(map(str, paths or (RECORDINGS,)))}")
    return walk


@contextmanager
def progress(walk: Walk) -> Iterator[Iterator[tuple[Past, Generations]]]:
    """The requests, with a bar on a terminal's stderr. Raises ClickException where a file cannot be read."""
    bar = click.progressbar(length=walk.size, file=sys.stderr, hidden=not sys.stderr.isatty(), label="deciding again")
    with bar:
        try:
            yield moving(walk, bar.update)
        except OSError as error:
            raise click.ClickException(f"{error.filename} cannot be read: {error.strerror}") from None


def moving(walk: Walk, update: Callable[[int], None]) -> Iterator[tuple[Past, Generations]]:
    shown = 0
    for number, found in enumerate(walk):
        yield found
        if number % EVERY == 0:
            update(walk.read - shown)
            shown = walk.read
    update(walk.read - shown)
