"""Lines for people: wrapped on a terminal, whole where they are piped; nothing in them moves the cursor."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from datetime import UTC, datetime
from typing import Any

import click

from lockgate.bodies.visible import visible
from lockgate.model import Hold, Mask, Show, Target

WIDEST = 100  # columns: longer lines are hard to follow
COLOURS = {
    "allow": "green",
    "hold": "yellow",
    "deny": "red",
    "unreadable": "red",
    "expired": "yellow",
    "note": "yellow",
}


def say(text: str = "", indent: int = 0, hang: int = 2) -> None:
    """Print one line, or several that stand under its beginning. A first word that means a verdict has its colour."""
    margin = " " * indent
    shown = visible(text)
    lines = [margin + shown]
    if sys.stdout.isatty():
        width = max(40, min(shutil.get_terminal_size().columns, WIDEST))
        lines = textwrap.wrap(
            shown, width, initial_indent=margin, subsequent_indent=margin + " " * hang, break_on_hyphens=False
        ) or [""]
    word = shown.partition(" ")[0]
    colour = COLOURS.get(word.rstrip(":").lower())
    if colour:
        lines[0] = lines[0].replace(word, click.style(word, fg=colour, bold=True), 1)
    for line in lines:
        click.echo(line.rstrip())


def field(name: str, value: str, width: int = 13) -> None:
    """One `name  value` line, of a block whose values stand under each other."""
    say(f"{name:<{width}}{value}", 2, width)


def heading(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)


def mask_text(mask: Mask) -> str:
    """A mask as it is written in the rules: `$..email: keep_last 4`, `detect: card`."""
    if mask.kind == "detect":
        return f"detect: {mask.argument}"
    argument = "" if mask.argument is None else f" {json.dumps(mask.argument, ensure_ascii=False)}"
    return f"{mask.path}: {mask.kind}{argument}"


def hold_text(hold: Hold) -> str:
    """Who may approve a hold: `by 2 of finance or audit, within 15m`."""
    who = " or ".join(hold.approvers) or "anybody who may approve"
    waits = f", within {duration(hold.timeout)}" if hold.timeout else ""
    why = ", each with a reason" if hold.require_reason else ""
    grant = f", or ahead for up to {duration(hold.max_grant)}" if hold.max_grant else ""
    return f"by {hold.quorum} of {who}{waits}{why}{grant}"


def duration(seconds: float) -> str:
    """As the rules write it: `15m`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def moment(at: datetime) -> str:
    """An instant in UTC, to the second (RFC 3339)."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def origin(target: Target) -> str:
    return f"{target.scheme}://{target.authority}"


def mask_document(mask: Mask) -> dict[str, Any]:
    return {"path": mask.path, "kind": mask.kind, "argument": mask.argument, "rule": mask.rule}


def show_document(show: Show) -> dict[str, Any]:
    return {"paths": list(show.paths), "rule": show.rule}


def hold_document(hold: Hold | None) -> dict[str, Any] | None:
    """Times in seconds."""
    if hold is None:
        return None
    return {
        "approvers": list(hold.approvers),
        "quorum": hold.quorum,
        "timeout": hold.timeout,
        "require_reason": hold.require_reason,
        "max_grant": hold.max_grant,
    }


def dump(document: Any) -> None:
    """A document for programs, on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
