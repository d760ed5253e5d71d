"""`lockgate check`: whether the gateway would take a rules directory, and everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lockgate.cli.printed import moment, say
from lockgate.errors import RulesInvalid
from lockgate.policy.generation import Generation
from lockgate.policy.load import load

FOUND = 1


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default="rules", metavar="[DIR]")
@click.option(
    "--json", "as_json", is_flag=True, help="Print an object: generation, problems, notes, roles, rules, targets."
)
@click.pass_context
def check(ctx: click.Context, directory: Path, as_json: bool) -> None:
    """Check a rules directory (`rules` where none is given), and name every error with its place.

    Exits with 1 where there are any: the gateway would not start with them. Rules that have expired, or that a
    guardrail denies whole, are noted; they are no errors.

    \b
    lockgate check rules
    """
    try:
        generation = load(directory)
    except RulesInvalid as invalid:
        if as_json:
            problems = [asdict(problem) for problem in invalid.problems]
            click.echo(json.dumps({"generation": None, "problems": problems, "notes": []}))
        else:
            for problem in invalid.problems:
                click.echo(f"{directory}/{problem}")
        ctx.exit(FOUND)
    notes = [*overruled(generation), *expired(generation, datetime.now(UTC))]
    counts = counted(generation)
    if as_json:
        click.echo(json.dumps({"generation": generation.id, "problems": [], "notes": notes, **counts}))
        return
    numbers = ", ".join(f"{count} {name[:-1] if count == 1 else name}" for name, count in counts.items())
    click.echo(f"ok: generation {generation.id[:12]}, {numbers}")
    for note in notes:
        say(f"note: {directory}/{note['file']}:{note['line']}: {note['message']}")


def overruled(generation: Generation) -> Iterator[dict[str, Any]]:
    """A note of each line that a guardrail denies whole."""
    for note in generation.notes:
        yield {"file": note.file, "line": note.line, "message": note.message}


def expired(generation: Generation, now: datetime) -> Iterator[dict[str, Any]]:
    """A note of each rule that no longer counts."""
    for rules in generation.policy.rules.values():
        for rule in rules:
            if rule.expires is not None and now >= rule.expires:
                file, _, line = rule.source.rpartition(":")
                since = moment(rule.expires)
                message = f"{rule.name} expired at {since}, and counts as not there: leave it out, or move expires"
                yield {"file": file, "line": int(line), "message": message}


def counted(generation: Generation) -> dict[str, int]:
    """How much there is; rules are those of the guardrails too."""
    return {
        "roles": len(generation.policy.lineages),
        "rules": sum(map(len, generation.policy.rules.values())),
        "targets": len(generation.targets),
    }
