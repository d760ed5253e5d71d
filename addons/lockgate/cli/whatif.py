"""`lockgate whatif`: what changed rules would have done with what was recorded."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from lockgate.bodies.visible import visible
from lockgate.cli import past
from lockgate.cli.printed import dump, field, heading, say
from lockgate.cli.simulate import loaded
from lockgate.cli.whatif_page import page
from lockgate.history.again import Judge
from lockgate.history.changes import change
from lockgate.history.tally import Group, Key, Tally
from lockgate.history.walk import Walk
from lockgate.policy.rules import Policy

FOUND = 1
SHOWN = 20  # groups of a kind, without --all


@click.command()
@click.argument("rules", metavar="RULES_DIR", type=click.Path(path_type=Path))
@past.options
@click.option("--strict", is_flag=True, help="Exit with 1 also where something could not be decided again.")
@click.option("--all", "whole", is_flag=True, help=f"Name every group, not the {SHOWN} largest of a kind.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a report too.")
@click.option("--json", "as_json", is_flag=True, help="Print an object.")
@click.pass_context
def whatif(
    ctx: click.Context,
    rules: Path,
    paths: tuple[Path, ...],
    since: datetime | None,
    strict: bool,
    whole: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Decide recorded requests under the rules in RULES_DIR, and report what would come out otherwise.

    Each is held against what the rules that decided it then said. The recordings are `recordings` where none are given.
    Exits with 1 where anything is newly allowed or unmasked, so that it can guard a change of the rules:

    \b
    lockgate whatif new-rules /var/lib/lockgate/recordings --since 30d --html report.html
    """
    generation = loaded(rules)
    judge = Judge(generation)
    walk = past.walk_of(paths, since)
    tally = Tally()
    with past.progress(walk) as requests:
        for request, generations in requests:
            found = change(request, judge, partial(walk.judge, generations))
            if found is not None:
                tally.add(found)
    result = document(tally, walk, generation.policy, generation.id)
    if html is not None:
        write(html, page(result))
    if as_json:
        dump(result)
    else:
        tell(result, whole)
    if tally.widened or tally.unmasked or (strict and (tally.unknown or walk.damaged)):
        ctx.exit(FOUND)


def write(path: Path, text: str) -> None:
    """Raises ClickException."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None


def document(tally: Tally, walk: Walk, policy: Policy, generation: str) -> dict[str, Any]:
    """All of it, for --json and the report. Text from recordings is as `visible` shows it."""
    silent = set(tally.silent)
    names = {rule.name for rules in policy.rules.values() for rule in rules}
    return {
        "generation": generation,
        "requests": tally.requests,
        "same": tally.same,
        "newly_allowed": tally.widened,
        "unmasked": tally.unmasked,
        "unknown": tally.unknown,
        "not_kept": {visible(name): count for name, count in tally.wanting.most_common()},
        "damaged": walk.damaged,
        "rules_not_kept": [visible(each) for each in walk.missing],
        "flips": [{"then": then, "now": now, "requests": n} for (then, now), n in tally.flips.most_common()],
        "groups": [group(key, each) for key, each in sorted(tally.groups.items(), key=largest)],
        "rules_that_match_no_more": [visible(name) for name in sorted(silent & names)],
        "rules_gone": [visible(name) for name in sorted(silent - names)],
    }


def largest(item: tuple[Key, Group]) -> tuple[int, Key]:
    return -item[1].count, item[0]


def group(key: Key, found: Group) -> dict[str, Any]:
    return {
        "kind": visible(key.kind),
        "role": visible(key.role),
        "rule_then": visible(key.rule_then) or None,
        "rule_now": visible(key.rule_now) or None,
        "requests": found.count,
        "example": visible(found.example),
        "request": visible(found.request),
        "why": visible(found.why) or None,
    }


def tell(result: dict[str, Any], whole: bool) -> None:
    tell_figures(result)
    kinds: dict[str, list[dict[str, Any]]] = {}
    for each in result["groups"]:
        kinds.setdefault(each["kind"], []).append(each)
    for kind, groups in sorted(kinds.items(), key=order):
        heading(f"{kind}  ({sum(each['requests'] for each in groups)})")
        for each in groups if whole else groups[:SHOWN]:
            tell_group(each)
        if not whole and len(groups) > SHOWN:
            say(f"and {len(groups) - SHOWN} more: --all names them", 2)
    for name, label in (("rules_that_match_no_more", "match no more"), ("rules_gone", "are gone")):
        if result[name]:
            heading(f"rules that matched and {label}")
        for each in result[name]:
            say(each, 2)


def tell_figures(result: dict[str, Any]) -> None:
    say(f"{result['requests']} requests decided again, {result['same']} as before")
    for name, label in (("newly_allowed", "newly allowed"), ("unmasked", "unmasked"), ("unknown", "not known")):
        if result[name]:
            field(label, str(result[name]), 16)
    if result["not_kept"]:
        field("not kept", ", ".join(f"{name} ({count})" for name, count in result["not_kept"].items()), 16)
    if result["damaged"]:
        field("damaged", f"{result['damaged']} records cannot be read: lockgate recordings verify", 16)
    for each in result["rules_not_kept"]:
        field("rules", each, 16)


def order(item: tuple[str, list[dict[str, Any]]]) -> tuple[bool, str]:
    """What lets more through first."""
    kind, _ = item
    return not (kind.endswith("-> allow") or kind.startswith("unmasked")), kind


def tell_group(each: dict[str, Any]) -> None:
    rules = " -> ".join(dict.fromkeys(rule or "no rule" for rule in (each["rule_then"], each["rule_now"])))
    say(f"{each['requests']:>6}  {each['role'] or 'no role'}  {rules}", 2, 8)
    say(f"such as {each['example']}: {each['request']}" + (f"  ({each['why']})" if each["why"] else ""), 10)
