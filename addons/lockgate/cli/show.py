"""`lockgate show`: everything that a role may do, its own rules, inherited ones and guardrails together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lockgate.cli.printed import (
    dump,
    field,
    heading,
    hold_document,
    hold_text,
    mask_document,
    mask_text,
    moment,
    origin,
    say,
    show_document,
)
from lockgate.cli.simulate import loaded, require_known
from lockgate.model import Verdict
from lockgate.policy.explain import one_line
from lockgate.policy.generation import Generation
from lockgate.policy.overlaps import lines_meet
from lockgate.policy.reshaping import listed
from lockgate.policy.rules import GUARDRAILS, Line, Policy, Rule

ORDER = (Verdict.ALLOW, Verdict.HOLD, Verdict.DENY)


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a rule, of which one target is looked at. `inherited`: it stands in a role that another extends."""

    rule: Rule
    line: Line
    inherited: bool
    expired: bool

    @property
    def order(self) -> tuple[object, ...]:
        return (ORDER.index(self.rule.verdict), *self.line.text.split()[::-1], self.rule.name)

    @property
    def what(self) -> str:
        """Verb and resource as written; everything, where no resource is."""
        verbs, _, *resource = self.line.text.split()
        return f"{verbs} {resource[0] if resource else 'everything'}"


@click.command()
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="A role; may be given repeatedly.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path),
    default="rules",
    show_default=True,
    metavar="DIR",
    help="The rules directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print an object: roles, or roles, inherited, targets.")
def show(roles: tuple[str, ...], rules: Path, as_json: bool) -> None:
    """Show everything that a role may do, by target; without --role, which roles there are.

    Several roles are joined, as the gateway joins those of a token:

    \b
    lockgate show --role support
    """
    generation = loaded(rules)
    require_known(generation, roles)
    if not roles:
        found = [role_document(generation.policy, name) for name in sorted(generation.policy.lineages)]
        dump({"roles": found}) if as_json else tell_roles(found)
        return
    now = datetime.now(UTC)
    targets = {
        name: each for name in sorted(generation.targets) if (each := parts(generation.policy, roles, name, now))
    }
    inherited = sorted(generation.policy.owners(roles).keys() - {*roles, GUARDRAILS})
    if as_json:
        shown = [target_document(generation, name, each) for name, each in targets.items()]
        dump({"roles": list(roles), "inherited": inherited, "targets": shown})
        return
    say(f"{', '.join(roles)}, with what is inherited from {', '.join(inherited)}" if inherited else ", ".join(roles))
    for name, each in targets.items():
        tell_target(generation, name, each, rules)
    nothing = sorted(generation.targets.keys() - targets.keys())
    if nothing:
        click.echo()
        say(f"nothing is allowed at {', '.join(nothing)}")


def role_document(policy: Policy, name: str) -> dict[str, Any]:
    """A role in short: what it extends, near and far, and how many rules of each verdict its own file has."""
    own = policy.rules.get(name, ())
    counts = {str(verdict): sum(rule.verdict is verdict for rule in own) for verdict in ORDER}
    return {"role": name, "extends": sorted(policy.lineages[name][1:]), "rules": counts}


def tell_roles(found: Sequence[dict[str, Any]]) -> None:
    if not found:
        say("there are no roles: write roles/NAME.yaml")
        return
    width = max(len(role["role"]) for role in found) + 2
    for role in found:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in role["rules"].items() if count) or "no rules"
        extends = f"; extends {', '.join(role['extends'])}" if role["extends"] else ""
        say(f"{role['role']:<{width}}{counts}{extends}", 0, width)


def parts(policy: Policy, roles: Sequence[str], target: str, now: datetime) -> list[Part]:
    """Every line about a target that binds someone with `roles`, allows first; none where nothing is let through."""
    found = [
        Part(rule, line, owner not in {*roles, GUARDRAILS}, rule.expires is not None and now >= rule.expires)
        for owner in policy.owners(roles)
        for rule in policy.rules.get(owner, ())
        for line in rule.lines
        if target in line.targets
    ]
    if all(part.rule.verdict is Verdict.DENY for part in found):
        return []
    return sorted(found, key=lambda part: part.order)


def cuts(part: Part, beside: Sequence[Part]) -> list[Part]:
    """The lines that may take something from one: denies, and from an allow holds too."""
    stricter = ORDER[ORDER.index(part.rule.verdict) + 1 :]
    return [
        other
        for other in beside
        if other.rule.verdict in stricter and not other.expired and lines_meet(other.line, part.line)
    ]


def target_document(generation: Generation, name: str, found: Sequence[Part]) -> dict[str, Any]:
    everywhere = generation.policy.alterations[name]
    return {
        "target": name,
        "origins": [origin(target) for target in generation.targets[name]],
        "credential": generation.targets[name][0].credential,
        "client_cert": generation.targets[name][0].tls.client_cert,
        "masks": [mask_document(mask) for mask in everywhere.masks],
        "shows": [show_document(each) for each in everywhere.shows],
        "redactions": list(everywhere.redactions),
        "lines": [part_document(part, found) for part in found],
    }


def part_document(part: Part, beside: Sequence[Part]) -> dict[str, Any]:
    rule, line = part.rule, part.line
    return {
        "verdict": rule.verdict,
        "line": line.text,
        "rule": rule.name,
        "source": rule.source,
        "inherited": part.inherited,
        "when": rule.when.text if rule.when else None,
        "unless": rule.unless.text if rule.unless else None,
        "expires": moment(rule.expires) if rule.expires else None,
        "expired": part.expired,
        "reason": rule.reason,
        "approval": hold_document(rule.hold),
        "query": sorted(rule.query) if rule.query is not None else None,
        "masks": [mask_document(mask) for mask in rule.masks],
        "shows": [show_document(each) for each in rule.shows],
        "redactions": list(rule.redactions),
        "cut_by": [
            {"verdict": cut.rule.verdict, "line": cut.line.text, "rule": cut.rule.name} for cut in cuts(part, beside)
        ],
    }


def tell_target(generation: Generation, name: str, found: Sequence[Part], rules: Path) -> None:
    heading(name)
    everywhere = generation.policy.alterations[name]
    for target in generation.targets[name]:
        field("at", origin(target))
    field("credential", " and ".join(generation.targets[name][0].shown) or "none")
    for mask in everywhere.masks:
        field("masked", f"{mask_text(mask)}  ({mask.rule})")
    for each in everywhere.shows:
        field("shown only", f"{', '.join(each.paths)}  ({each.rule})")
    if everywhere.redactions:
        field("not recorded", ", ".join(everywhere.redactions))
    for part in found:
        click.echo()
        tell_part(part, found, rules)


def tell_part(part: Part, beside: Sequence[Part], rules: Path) -> None:
    rule = part.rule
    say(f"{rule.verdict:<5}  {part.what}", 2, 7)
    say(f"{rule.name}{' (inherited)' if part.inherited else ''}  {rules}/{rule.source}", 9)
    if rule.expires:
        say(f"{'expired' if part.expired else 'expires'} {moment(rule.expires)}", 9)
    for key, condition in (("when", rule.when), ("unless", rule.unless)):
        if condition is not None:
            say(f"{key} {one_line(condition.text)}", 9)
    if rule.hold is not None:
        say(f"approval {hold_text(rule.hold)}", 9)
    if rule.query is not None:
        say(f"takes {listed(rule.query)} only", 9)
    for mask in rule.masks:
        say(f"masked {mask_text(mask)}", 9)
    for each in rule.shows:
        say(f"shown only {', '.join(each.paths)}", 9)
    if rule.redactions:
        say(f"not recorded {', '.join(rule.redactions)}", 9)
    if rule.reason:
        say(f"reason {one_line(rule.reason)}", 9)
    for cut in cuts(part, beside):
        say(f"less {cut.rule.verdict} {cut.what}  ({cut.rule.name})", 9)
