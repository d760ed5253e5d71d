"""Rules as deciding needs them: compiled, indexed, frozen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lockgate.model import HTTP_METHODS, WEBSOCKET_VERBS, Considered, Hold, Mask, Outcome, Show, Verdict
from lockgate.policy.conditions import Condition
from lockgate.policy.conditions.syntax import Path
from lockgate.policy.index import PathIndex
from lockgate.policy.patterns import NO_CAPTURES, Pattern, Resource

GUARDRAILS = "guardrails"  # stands where a role's name does, for rules that bind every role
RECORD = "record:"  # stands before a RecordKind, among what is left out of records
EVERY_METHOD = "any"  # every ordinary method of HTTP
EVERY_VERB = "*"  # of a deny or hold without a resource: every verb of every protocol


def names_for(verb: str) -> tuple[str, ...]:
    """The verbs of lines that are about `verb`, which may be one of those that stand for several."""
    if verb in HTTP_METHODS or verb == EVERY_METHOD:
        return (verb, EVERY_METHOD, EVERY_VERB)
    return (verb, EVERY_VERB)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """`VERB[|VERB] TARGET[|TARGET] [RESOURCE]`. Without a pattern it is about everything at its targets."""

    text: str
    verbs: tuple[str, ...]
    targets: tuple[str, ...]
    pattern: Pattern | None

    def takes(self, verb: str) -> bool:
        """Whether it is about `verb`, which is a method of HTTP."""
        return not set(names_for(verb)).isdisjoint(self.verbs)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule. `name` is `role/id`, `source` is `file:line` of where it stands.

    It matches where `when` holds and `unless` does not, until `expires` (aware). `redactions` are JSONPaths over the
    request's body, `query.NAME`, `headers.NAME`, and `record:KIND` where not all is recorded. `query` are the
    parameters that it takes, all where it is None.

    What every decision would ask again is known beforehand: `always` is whether it matches whatever its lines fit, at
    any time; `alters`, whether it leaves anything out of answers or records; `matched`, what is said of it then.
    """

    name: str
    source: str
    verdict: Verdict
    lines: tuple[Line, ...] = ()
    when: Condition | None = None
    unless: Condition | None = None
    expires: datetime | None = None
    reason: str | None = None
    masks: tuple[Mask, ...] = ()
    shows: tuple[Show, ...] = ()
    redactions: tuple[str, ...] = ()
    query: frozenset[str] | None = None
    hold: Hold | None = None
    always: bool = field(init=False, repr=False)
    alters: bool = field(init=False, repr=False)
    matched: Considered = field(init=False, repr=False)

    def __post_init__(self) -> None:
        always = self.when is None and self.unless is None and self.expires is None and self.query is None
        object.__setattr__(self, "always", always)
        object.__setattr__(self, "alters", bool(self.masks or self.shows or self.redactions))
        object.__setattr__(self, "matched", self.considered(Outcome.MATCHED))

    def considered(self, outcome: Outcome, detail: str = "") -> Considered:
        """What is said of it where it came out so, and why."""
        return Considered(self.name, self.source, self.verdict, outcome, detail)

    @property
    def reads_body(self) -> bool:
        return any(condition is not None and condition.reads_body for condition in (self.when, self.unless))

    @property
    def facts(self) -> frozenset[Path]:
        """The paths of the facts that its conditions read, but for the instant, which is that of the decision."""
        read = [condition.facts for condition in (self.when, self.unless) if condition is not None]
        return frozenset().union(*read) - {("now",)}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A rule by one of its lines."""

    rule: Rule
    pattern: Pattern | None

    @property
    def near(self) -> bool:
        """Whether it is an allow that counts for what is nearly what it is about: by what it masks."""
        return self.rule.verdict is Verdict.ALLOW and self.rule.alters

    def match(self, resource: Resource) -> Mapping[str, str] | None:
        """The captures where the entry is about `resource`; None where it is not.

        An allow fits exactly; a deny or hold fits also what a target may take for the same resource.
        """
        if self.pattern is None:
            return NO_CAPTURES
        if self.rule.verdict is Verdict.ALLOW:
            return self.pattern.match(resource)
        return self.pattern.match_loosely(resource)

    def match_nearly(self, resource: Resource) -> Mapping[str, str] | None:
        """The captures where an allow fits but for the spelling: it allows nothing then, but its masks count."""
        return self.pattern.match_loosely(resource) if self.pattern is not None and self.near else None


Fitting = list[tuple[Rule, Mapping[str, str]]]
"""Rules, each by a line of it that is about an action, with what the line captured."""


@dataclass(frozen=True, slots=True)
class Alterations:
    """What binds at a target whatever rule allowed the request."""

    masks: tuple[Mask, ...] = ()
    shows: tuple[Show, ...] = ()
    redactions: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything binds there at all."""
        return bool(self.masks or self.shows or self.redactions)


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules of a generation.

    `lineages` has each role with every role it extends, itself first; `rules` are by the role whose file they stand in,
    `index` by that role, the target and the verb. `alterations` are by target. `facts` are what the conditions of each
    rule read, by its name, where it has any; `claims` those of the token that any does, None where one reads all of
    them.
    """

    lineages: Mapping[str, tuple[str, ...]]
    rules: Mapping[str, tuple[Rule, ...]]
    index: Mapping[tuple[str, str, str], PathIndex] = field(repr=False)
    alterations: Mapping[str, Alterations]
    facts: Mapping[str, frozenset[Path]] = field(init=False, repr=False)
    claims: frozenset[str] | None = field(init=False, repr=False)
    _filed: Mapping[str, Mapping[str, Mapping[str, PathIndex]]] = field(init=False, repr=False)  # target, owner, verb
    _altered: frozenset[str] = field(init=False, repr=False)
    _redactions: Mapping[str, tuple[str, ...]] = field(init=False, repr=False)
    _restricted: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        filed: dict[str, dict[str, dict[str, PathIndex]]] = {}
        for (owner, target, verb), paths in self.index.items():
            filed.setdefault(target, {}).setdefault(owner, {})[verb] = paths
        object.__setattr__(self, "_filed", filed)
        altered = {target for (_, target, _), paths in self.index.items() if paths.alters}
        altered |= {target for target, each in self.alterations.items() if each.any}
        object.__setattr__(self, "_altered", frozenset(altered))
        found = {target: dict.fromkeys(each.redactions) for target, each in self.alterations.items()}
        for rule in (rule for rules in self.rules.values() for rule in rules if rule.redactions):
            for target in {target for line in rule.lines for target in line.targets}:
                found.setdefault(target, {}).update(dict.fromkeys(rule.redactions))
        object.__setattr__(self, "_redactions", {target: tuple(each) for target, each in found.items()})
        lines = [line for rules in self.rules.values() for rule in rules if rule.reads_body for line in rule.lines]
        readers = [line for line in lines if not WEBSOCKET_VERBS.issuperset(line.verbs)]
        object.__setattr__(self, "_restricted", frozenset(target for line in readers for target in line.targets))
        facts = {rule.name: read for rules in self.rules.values() for rule in rules if (read := rule.facts)}
        object.__setattr__(self, "facts", facts)
        object.__setattr__(self, "claims", claims_read(facts.values()))

    def knows(self, role: str) -> bool:
        return role in self.lineages

    def knows_any(self, roles: Iterable[str]) -> bool:
        return not self.lineages.keys().isdisjoint(roles)

    def owners(self, roles: Iterable[str]) -> dict[str, None]:
        """Whose rules bind someone with `roles`: the guardrails', the roles' own and what those extend, each once."""
        found = {GUARDRAILS: None}
        for role in roles:
            for owner in self.lineages.get(role, ()):
                found[owner] = None
        return found

    def matching(self, roles: Iterable[str], target: str, verb: str, resource: str) -> tuple[Fitting, Fitting]:
        """Every rule that is about the action for someone with `roles`; and allows that are nearly, and mask.

        A rule stands there once for each of its lines that is.
        """
        asked = Resource(resource)
        about: dict[Entry, Mapping[str, str]] = {}
        near: dict[Entry, Mapping[str, str]] = {}
        for paths in self.filed(roles, target, verb):
            for entry in paths.find(asked):
                if (captures := entry.match(asked)) is not None:
                    about[entry] = captures
                elif (captures := entry.match_nearly(asked)) is not None:
                    near[entry] = captures
        return (
            [(entry.rule, captures) for entry, captures in about.items()],
            [(entry.rule, captures) for entry, captures in near.items()],
        )

    def filed(self, roles: Iterable[str], target: str, verb: str) -> list[PathIndex]:
        """Where the rules stand that are about `verb` at `target` for someone with `roles`."""
        found = []
        there = self._filed.get(target, {})
        for owner in self.owners(roles):
            if (by_verb := there.get(owner)) is not None:
                found += [by_verb[key] for key in names_for(verb) if key in by_verb]
        return found

    def reads_body(self, roles: Iterable[str], target: str, verb: str, resource: str) -> bool:
        """Whether deciding may read the body of such a request."""
        return any(rule.reads_body for fitting in self.matching(roles, target, verb, resource) for rule, _ in fitting)

    def restricts_bodies(self, target: str) -> bool:
        """Whether any rule there reads bodies of requests: what is of no type that is read would escape it."""
        return target in self._restricted

    def alters(self, targets: Iterable[str]) -> bool:
        """Whether any rule there, or any of the targets, leaves anything out of answers or records."""
        return not self._altered.isdisjoint(targets)

    def redactions(self, target: str) -> tuple[str, ...]:
        """Everything that any rule leaves out of the record of a request to `target`: for one that was refused."""
        return self._redactions.get(target, ())


def claims_read(facts: Iterable[Iterable[Path]]) -> frozenset[str] | None:
    """The names of the token's claims among facts; None where one is all of them."""
    paths = {path for each in facts for path in each if path[:2] == ("principal", "claims")}
    return None if ("principal", "claims") in paths else frozenset(path[2] for path in paths)
