"""The least rules that allow what recordings show a role did: those that allowed it, on no more than it was done on.

What allowed a request is kept with its condition, its masks and its approvers, and only the lines of it are narrowed,
so that nothing is suggested which the rules do not allow already. Denies are kept as they are, and so are holds that
may hold back what an allow lets through. Pure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lockgate.history.again import Again
from lockgate.history.records import Past, mapping
from lockgate.history.shapes import EVIDENCE, Shapes
from lockgate.model import Action, Outcome, Verdict
from lockgate.policy import documents, patterns
from lockgate.policy.generation import Generation
from lockgate.policy.index import PathIndex
from lockgate.policy.patterns import Pattern, Resource
from lockgate.policy.rules import Entry, Line, Policy, Rule, names_for
from lockgate.policy.shadows import Denies, Shadows

BINDING = (Outcome.MATCHED, Outcome.UNEVALUABLE)
MAX_STARS = 50  # paths of one rule that have a * in them, which are told apart by a condition

Place = tuple[str, str]
"""A verb and a target."""


@dataclass(slots=True)
class Use:
    """What was done under one rule. `stars` are paths with a `*` in them, which no pattern names, by place."""

    places: dict[Place, Shapes] = field(default_factory=dict)
    stars: dict[Place, Counter[str]] = field(default_factory=dict)
    whole: set[Place] = field(default_factory=set)
    requests: int = 0

    def add(self, action: Action, evidence: int) -> None:
        self.requests += 1
        place = (action.verb, action.target)
        if "*" not in action.resource:
            self.places.setdefault(place, Shapes(evidence)).add(action.resource)
            return
        stars = self.stars.setdefault(place, Counter())
        if len(stars) < MAX_STARS or action.resource in stars:
            stars[action.resource] += 1
        else:
            self.whole.add(place)


@dataclass(slots=True)
class Evidence:
    """What recordings say of one role. Rules are known by their names; `masks` are those that applied, by rule."""

    generation: Generation
    role: str
    least: int = EVIDENCE
    requests: int = 0
    allowed: int = 0
    refused_now: int = 0
    uses: dict[str, Use] = field(default_factory=dict)
    matched: Counter[str] = field(default_factory=Counter)
    approved: Counter[str] = field(default_factory=Counter)
    masks: set[tuple[str, str]] = field(default_factory=set)

    @property
    def owners(self) -> tuple[str, ...]:
        """The role, and those that it extends."""
        return self.generation.policy.lineages[self.role]

    def concerns(self, roles: Iterable[str]) -> bool:
        """Whether somebody with these roles has the rules of this one."""
        lineages = self.generation.policy.lineages
        return any(self.role in lineages.get(role, ()) for role in roles)

    def add(self, past: Past, roles: tuple[str, ...], then: str, again: Again) -> None:
        """`then` is the recorded verdict, a hold that was approved a hold; `again` is by the rules that are there."""
        self.requests += 1
        if again.decision is None or again.action is None:
            self.refused_now += then in ("allow", "hold")
            return
        names = {each.rule for each in again.decision.considered if each.outcome is Outcome.MATCHED}
        self.matched.update(names)
        self.approved.update(names & past.approved)
        labels = mapping(past.said.get("masks")) or {}
        self.masks.update((name, str(label)) for name in names for label in labels)
        if then not in ("allow", "hold"):
            return
        if again.verdict == "deny" and not again.unknown:
            self.refused_now += 1
            return
        done = then == "allow" or bool(past.approved)
        self.allowed += done
        for rule in self.needed(roles, again, done=done):
            self.uses.setdefault(rule.name, Use()).add(again.action, self.least)

    def needed(self, roles: tuple[str, ...], again: Again, *, done: bool) -> Iterator[Rule]:
        """The role's rules without which a request would not be allowed, or its answer not be masked as it is; where
        it was not `done`, because nobody has approved it, the latter only.
        """
        assert again.decision is not None and again.action is not None  # noqa: S101 (for the type checker)
        policy, action, decision = self.generation.policy, again.action, again.decision
        own = {rule.name: rule for owner in self.owners for rule in policy.rules.get(owner, ())}
        outcomes = {each.rule: each.outcome for each in decision.considered}
        for name, outcome in outcomes.items():
            rule = own.get(name)
            if rule is None or rule.verdict is Verdict.DENY:
                continue
            decides = name == decision.rule and outcome is Outcome.MATCHED
            decides = decides or (bool(again.unknown) and outcome is Outcome.UNEVALUABLE)
            masks = rule.alters and outcome in BINDING and (done or rule.verdict is Verdict.ALLOW)
            if (done and decides) or masks:
                yield rule
        if policy.alters([action.target]):
            _, near = policy.matching(roles, action.target, action.verb, action.resource)
            yield from (own[rule.name] for rule, _ in near if rule.name in own and rule.name not in outcomes)


@dataclass(frozen=True, slots=True)
class Suggested:
    """One rule as it would stand in the file; `notes` are comments, of its lines by their place."""

    entry: Mapping[str, Any]
    note: str
    notes: Mapping[int, str] = field(default_factory=dict)


def least_rules(evidence: Evidence) -> list[Suggested]:
    """The rules of the role, with those of the roles it extends, which it does no more."""
    found: list[Suggested] = []
    taken: set[str] = set()
    shadows = Shadows(denies_of(evidence.generation.policy, evidence.owners))
    for owner in evidence.owners:
        for rule, entry in written(evidence.generation, owner):
            for each in narrowed(evidence, rule, entry):
                if counting := unshadowed(each, rule, evidence.owners, shadows):
                    name = unused(str(each.entry["id"]), owner, taken)
                    found.append(Suggested({**counting.entry, "id": name}, counting.note, counting.notes))
    return found


def denies_of(policy: Policy, owners: Iterable[str]) -> Denies:
    """The denies that always match. In one file no line may stand that these cover whole, as it may in two."""
    found: dict[tuple[str, str, str], PathIndex] = {}
    for owner in owners:
        denies = [rule for rule in policy.rules.get(owner, ()) if rule.verdict is Verdict.DENY and rule.always]
        for rule in denies:
            for line in rule.lines:
                for key in ((owner, target, verb) for target in line.targets for verb in line.verbs):
                    found.setdefault(key, PathIndex()).add(Entry(rule, line.pattern))
    return found


def unshadowed(suggested: Suggested, rule: Rule, owners: Sequence[str], shadows: Shadows) -> Suggested | None:
    """A rule without the lines that a deny covers whole; None where there are no others."""
    given = suggested.entry[str(rule.verdict)]
    lines = [given] if isinstance(given, str) else list(given)
    kept = [at for at, text in enumerate(lines) if not shadows.of(owners, rule, line_of(text))]
    if len(kept) == len(lines):
        return suggested
    notes = {place: suggested.notes.get(at, "") for place, at in enumerate(kept)} if suggested.notes else {}
    entry = {**suggested.entry, str(rule.verdict): [lines[at] for at in kept]}
    return Suggested(entry, suggested.note, notes) if kept else None


def line_of(text: str) -> Line:
    verbs, targets, *resource = text.split(maxsplit=2)
    pattern = patterns.parse(resource[0]) if resource else None
    return Line(text, tuple(verbs.split("|")), tuple(targets.split("|")), pattern)


def unused(name: str, owner: str, taken: set[str]) -> str:
    for candidate in (name, f"{owner}-{name}"):
        if candidate not in taken:
            break
    while candidate in taken:
        candidate += "-2"
    taken.add(candidate)
    return candidate


def written(generation: Generation, owner: str) -> Iterator[tuple[Rule, dict[str, Any]]]:
    """Each rule of a role with its entry in the file, every scalar as text."""
    file = f"roles/{owner}.yaml"
    entries = documents.read(file, generation.files[file]).data["rules"]
    by_id = {str(entry["id"]): entry for entry in entries}
    for rule in generation.policy.rules.get(owner, ()):
        yield rule, by_id[rule.name.partition("/")[2]]


def narrowed(evidence: Evidence, rule: Rule, entry: dict[str, Any]) -> Iterator[Suggested]:
    """A rule with no more than what was done under it; nothing of one that nothing was done under."""
    use = evidence.uses.get(rule.name)
    if rule.verdict is Verdict.DENY:
        yield Suggested(entry, "a deny, kept as it is")
    elif rule.verdict is Verdict.HOLD and may_hold_back(evidence.generation.policy, rule):
        done = f"{use.requests} approved" if use else "none approved"
        yield Suggested(entry, f"kept as it is, for it holds back what an allow may let through; {done}")
    elif use is not None:
        lines = dict(sorted(lines_of(rule, use)))
        if lines:
            notes = dict(enumerate(lines.values()))
            text = {**entry, str(rule.verdict): list(lines)}
            yield Suggested(text, f"{use.requests} requests", notes)
        yield from starred(rule, entry, use)


def may_hold_back(policy: Policy, hold: Rule) -> bool:
    """Whether some allow is about the same verb at the same target."""
    places = {(target, verb) for line in hold.lines for target in line.targets for verb in line.verbs}
    allows = [rule for rules in policy.rules.values() for rule in rules if rule.verdict is Verdict.ALLOW]
    for line in [line for rule in allows for line in rule.lines]:
        for target in line.targets:
            if any(meets(verb, other) for verb in line.verbs for there, other in places if there == target):
                return True
    return False


def meets(verb: str, other: str) -> bool:
    """Whether two verbs of lines may be about one action."""
    return verb == other or verb in names_for(other) or other in names_for(verb)


def lines_of(rule: Rule, use: Use) -> Iterator[tuple[str, str]]:
    """The lines that a rule keeps, each with its comment."""
    fixed = reads_captures(rule)
    for (verb, target), shapes in use.places.items():
        templates = [] if fixed else shapes.templates()
        for each in templates:
            line = f"{verb} {target} {each.path}"
            if is_within(each.path, verb, target, rule):
                names = f", {each.names} or more different" if "*" in each.path else ""
                yield line, f"{each.requests} requests{names}"
            else:
                yield from whole(rule, verb, target, "not to be told more narrowly")
        if not templates:
            why = "its condition reads the path" if fixed else "more paths than a list would name"
            yield from whole(rule, verb, target, f"{shapes.requests} requests; kept wide: {why}")
    for verb, target in use.whole | (set(use.stars) if fixed else set()):
        yield from whole(rule, verb, target, "kept wide: paths with a * in them")


def reads_captures(rule: Rule) -> bool:
    return any("path" in condition.reads for condition in (rule.when, rule.unless) if condition is not None)


def is_within(path: str, verb: str, target: str, rule: Rule) -> bool:
    """Whether a template is certainly no wider than a line of the rule."""
    try:
        pattern = patterns.parse(path)
    except ValueError:
        return False
    return any(encloses(line, pattern) for line in about(rule, verb, target))


def encloses(line: Line, pattern: Pattern) -> bool:
    return line.pattern is None or patterns.encloses(line.pattern.parts, pattern.parts)


def about(rule: Rule, verb: str, target: str) -> list[Line]:
    return [line for line in rule.lines if target in line.targets and line.takes(verb)]


def whole(rule: Rule, verb: str, target: str, note: str) -> Iterator[tuple[str, str]]:
    """A rule's own lines, for one verb and target only."""
    for line in about(rule, verb, target):
        yield f"{verb} {target}" + (f" {line.pattern.text}" if line.pattern else ""), note


def starred(rule: Rule, entry: dict[str, Any], use: Use) -> Iterator[Suggested]:
    """A rule of paths with a `*` in them, which only a condition can tell from what else their pattern is about."""
    stars = {place: paths for place, paths in use.stars.items() if place not in use.whole}
    if not stars or reads_captures(rule):
        return
    lines = {}
    for (verb, target), paths in sorted(stars.items()):
        for path in sorted(paths):
            lines.update(starred_lines(rule, verb, target, path, paths[path]))
    listed = ", ".join(json.dumps(path) for path in sorted({path for paths in stars.values() for path in paths}))
    only = f"request.path in [{listed}]"
    when = f"({entry['when']}\n) && {only}" if entry.get("when") else only
    text = {**entry, "id": f"{entry['id']}-exactly", str(rule.verdict): list(lines), "when": when}
    requests = sum(sum(paths.values()) for paths in stars.values())
    yield Suggested(text, f"{requests} requests whose paths have a * in them", dict(enumerate(lines.values())))


def starred_lines(rule: Rule, verb: str, target: str, path: str, requests: int) -> dict[str, str]:
    template = "/".join(map(spread, path.split("/")))
    if is_within(template, verb, target, rule) and patterns.parse(template).match(Resource(path)) is not None:
        return {f"{verb} {target} {template}": f"{requests} requests"}
    return dict(whole(rule, verb, target, f"{requests} requests"))


def spread(part: str) -> str:
    """A part with each run of `*` as one."""
    while "**" in part:
        part = part.replace("**", "*")
    return part
