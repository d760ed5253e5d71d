"""`lockgate suggest`: the least rules that allow what recordings show a role did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from lockgate.bodies.visible import visible
from lockgate.cli import past
from lockgate.cli.printed import dump
from lockgate.cli.simulate import loaded, require_known
from lockgate.errors import RulesInvalid, RulesNotKept
from lockgate.history.again import Judge
from lockgate.history.changes import label
from lockgate.history.kept import NotKept, case_of
from lockgate.history.shapes import EVIDENCE
from lockgate.history.suggestion import Evidence, Suggested, least_rules
from lockgate.history.walk import Walk
from lockgate.model import Verdict
from lockgate.policy.load import assemble
from lockgate.policy.rules import Rule

VERDICTS = ("allow", "hold", "deny")


@dataclass(frozen=True, slots=True)
class Idle:
    """What might go, of the rules as they are: rules that nothing matched, masks that never applied, holds that were
    approved each time.
    """

    rules: list[str]
    masks: list[str]
    holds: list[str]


@click.command()
@click.option("--role", required=True, metavar="ROLE", help="Whose rules.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path),
    default="rules",
    show_default=True,
    metavar="DIR",
    help="The rules directory as it is.",
)
@past.options
@click.option(
    "--evidence",
    type=click.IntRange(2, 1000),
    default=EVIDENCE,
    show_default=True,
    metavar="N",
    help="How many different ids in one place of a path make it a *.",
)
@click.option("--json", "as_json", is_flag=True, help="Print an object.")
def suggest(
    role: str, rules: Path, paths: tuple[Path, ...], since: datetime | None, evidence: int, as_json: bool
) -> None:
    """Print a role's file with the least rules that allow what it was allowed to do, and what might go.

    It narrows the rules in --rules: it never allows more than they do. It has all that the role needs of the roles it
    extends, and extends none. The recordings are `recordings` where none are given:

    \b
    lockgate suggest --role support --since 90d > support.yaml
    lockgate whatif new-rules     # with support.yaml in its place: nothing that was done is lost
    """
    generation = loaded(rules)
    require_known(generation, (role,))
    found = Evidence(generation, role, evidence)
    walk = past.walk_of(paths, since)
    gather(found, walk)
    suggested = least_rules(found)
    text = role_file(found, suggested, walk)
    try:
        assemble({**generation.files, f"roles/{role}.yaml": text.encode()}, rules.absolute())
    except RulesInvalid as invalid:
        message = f"what would be suggested is no rules file ({invalid.problems[0].message}): nothing is printed"
        raise click.ClickException(message) from None
    if as_json:
        dump(document(found, suggested, walk, text))
    else:
        click.echo(text, nl=False)


def gather(found: Evidence, walk: Walk) -> None:
    judge = Judge(found.generation)
    with past.progress(walk) as requests:
        for request, generations in requests:
            said = request.said.get("principal")
            if not isinstance(said, dict) or not found.concerns(map(str, said.get("roles") or ())):
                continue
            before = None
            try:
                before = partial(walk.judge, generations)(request.generation)
            except RulesNotKept:
                pass
            try:
                case = case_of(request, before.generation.policy.claims if before else frozenset())
            except NotKept:
                continue
            if case is not None:
                then = "hold" if request.approved else str((request.decision or {}).get("verdict", "refused"))
                found.add(request, case.principal.roles, then, judge.decide(case, before))


def idle(found: Evidence) -> Idle:
    rules = [rule for owner in found.owners for rule in found.generation.policy.rules.get(owner, ())]
    return Idle(
        [rule.name for rule in rules if not found.matched[rule.name]],
        [f"{name} of {rule.name}" for rule in rules if found.matched[rule.name] for name in unapplied(found, rule)],
        [
            f"{rule.name} ({found.approved[rule.name]} times)"
            for rule in rules
            if rule.verdict is Verdict.HOLD and 0 < found.matched[rule.name] == found.approved[rule.name]
        ],
    )


def unapplied(found: Evidence, rule: Rule) -> Iterator[str]:
    for name in map(label, rule.masks):
        if (rule.name, name) not in found.masks:
            yield name


def role_file(found: Evidence, suggested: list[Suggested], walk: Walk) -> str:
    """The file: every text in quotes, as JSON has it, which YAML reads alike; what was counted as comments."""
    lines = [
        f"# The least rules for what {found.role} was allowed to do in {found.allowed} of {found.requests} requests.",
        *([f"# {found.refused_now} that were allowed then the rules refuse now: left out."] * bool(found.refused_now)),
        *([f"# {walk.damaged} records cannot be read: lockgate recordings verify."] * bool(walk.damaged)),
    ]
    might_go = idle(found)
    for title, names in (
        ("Nothing matched", might_go.rules),
        ("Never applied", might_go.masks),
        ("Always approved", might_go.holds),
    ):
        lines += [f"# {title}: {visible(name)}" for name in names]
    lines += ["", f"role: {quoted(found.role)}", "rules:" if suggested else "rules: []"]
    for each in suggested:
        lines += ["", *rule_lines(each)]
    return "\n".join(lines) + "\n"


def rule_lines(suggested: Suggested) -> Iterator[str]:
    yield f"  # {visible(suggested.note)}"
    first = True
    for key, value in suggested.entry.items():
        margin, first = ("  - " if first else "    "), False
        if key in VERDICTS and suggested.notes:
            yield f"{margin}{key}:"
            for at, line in enumerate(value):
                yield f"      - {quoted(line)}  # {visible(suggested.notes[at])}"
        else:
            yield f"{margin}{key}: {quoted(value)}"


def quoted(value: Any) -> str:
    return json.dumps(value)


def document(found: Evidence, suggested: list[Suggested], walk: Walk, text: str) -> dict[str, Any]:
    might_go = idle(found)
    return {
        "role": found.role,
        "generation": found.generation.id,
        "requests": found.requests,
        "allowed": found.allowed,
        "refused_now": found.refused_now,
        "damaged": walk.damaged,
        "rules": [dict(each.entry) for each in suggested],
        "file": text,
        "unmatched_rules": might_go.rules,
        "unapplied_masks": might_go.masks,
        "holds_always_approved": might_go.holds,
    }
