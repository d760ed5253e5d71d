"""Roles and guardrails to a Policy: everything that can be parsed or checked beforehand is, here. Pure.

Each function appends what it finds wrong to `problems` and goes on with the rest.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.errors import Problem, Unevaluable
from lockgate.model import Approval, Verdict
from lockgate.policy.alterations import alterations, item
from lockgate.policy.budgets import Budgets
from lockgate.policy.checked import Checked
from lockgate.policy.conditions import Condition, ConditionInvalid, compile_conditions
from lockgate.policy.documents import Document, Path
from lockgate.policy.index import PathIndex
from lockgate.policy.lineage import RoleFile, lineages
from lockgate.policy.lines import LineReader
from lockgate.policy.patterns import CAPTURE
from lockgate.policy.rules import GUARDRAILS, Alterations, Entry, Line, Policy, Rule
from lockgate.policy.schema.rules import Guardrail, Guardrails
from lockgate.policy.schema.rules import Rule as RuleEntry
from lockgate.policy.schema.targets import Target, Targets
from lockgate.policy.schema.values import NamedList
from lockgate.policy.shadows import shadowing

GuardrailFile = Checked[Guardrails, Guardrail]
TargetFile = Checked[Targets, Target]


@dataclass(slots=True)
class Compiler:
    """Compiles against the targets and lists there are, None where they cannot be read, gathering problems."""

    targets: frozenset[str] | None
    lists: Mapping[str, NamedList] | None
    problems: list[Problem]
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    index: dict[tuple[str, str, str], PathIndex] = field(default_factory=dict)
    denies: dict[tuple[str, str, str], PathIndex] = field(default_factory=dict)  # those that always match
    places: dict[Line, tuple[Document, Path]] = field(default_factory=dict)
    compiled: dict[Hashable, tuple[Condition | None, Condition | None]] = field(default_factory=dict)
    budgets: Budgets = field(init=False)

    def __post_init__(self) -> None:
        self.budgets = Budgets(self.problems)

    def add(self, document: Document, owner: str, path: Path, entry: RuleEntry | Guardrail) -> None:
        """Compile the rule at `path` and file it under each of its lines' targets and verbs."""
        verdict = Verdict(entry.verdicts[0])
        name = f"{owner}/{entry.id}"
        left_out = self.left_out(document, path, entry, name)
        when, unless = self.conditions(document, path, entry)
        rule = Rule(
            name=name,
            source=place(document, path),
            verdict=verdict,
            lines=tuple(self.lines(document, (*path, verdict), getattr(entry, verdict), verdict)),
            when=when,
            unless=unless,
            expires=entry.expires,
            reason=entry.reason,
            masks=left_out.masks,
            shows=left_out.shows,
            redactions=left_out.redactions,
            approval=approval(entry) if verdict is Verdict.HOLD else None,
        )
        if (rule.masks or rule.shows) and {verb for line in rule.lines for verb in line.verbs} == {"HEAD"}:
            message = "never applies: the answer to HEAD has no body; leave it out, or add GET to the rule"
            written = next(name for name in ("mask", "show", "detect") if getattr(entry, name))
            self.problems.append(document.problem((*path, written), message, key=True))
        if not self.budgets.allow_lines(document, (*path, verdict), rule.lines):
            return
        self.rules.setdefault(owner, []).append(rule)
        indexes = [self.index, self.denies] if verdict is Verdict.DENY and rule.always else [self.index]
        for line in rule.lines:
            filed = Entry(rule, line.pattern)
            for key in ((owner, target, verb) for target in line.targets for verb in line.verbs):
                for index in indexes:
                    index.setdefault(key, PathIndex()).add(filed)

    def lines(self, document: Document, path: Path, texts: Sequence[str], verdict: Verdict) -> Iterable[Line]:
        for index, text in enumerate(texts):
            where = item(document, path, index)
            line = LineReader(document, where, self.targets, self.problems).read(text, verdict)
            if line is not None:
                self.places[line] = (document, where)
                yield line

    def left_out(self, document: Document, path: Path, entry: RuleEntry | Guardrail | Target, name: str) -> Alterations:
        if not self.budgets.allow_masks(document, path, len(entry.mask), len(entry.show)):
            return Alterations()
        return alterations(document, path, entry, name, self.problems)

    def conditions(
        self, document: Document, path: Path, entry: RuleEntry | Guardrail
    ) -> tuple[Condition | None, Condition | None]:
        """The rule's `when` and `unless`, over the captures that all of its lines have."""
        texts = {key: text for key in ("when", "unless") if (text := getattr(entry, key)) is not None}
        if not texts or (self.lists is None and any("lists" in text for text in texts.values())):
            return None, None
        captures = set.intersection(*(set(CAPTURE.findall(line)) for line in getattr(entry, entry.verdicts[0])))
        try:
            when, unless = self.compiled_conditions(document, path, entry, frozenset(captures))
        except ConditionInvalid as error:
            self.problems.append(document.problem((*path, *error.path), error.message, offset=error.offset))
            if error.path == ("when",) and entry.unless is not None:  # the other one may be wrong too
                self.conditions(document, path, entry.model_copy(update={"when": None, "types": {}}))
            return None, None
        for key, condition, never in (("when", when, False), ("unless", unless, True)):
            if condition is not None and "lists." not in condition.text and constant(condition) is never:
                message = f"it is always {str(never).lower()}, so the rule never counts: mend it, or leave the rule out"
                self.problems.append(document.problem((*path, key), message))
        return when, unless

    def compiled_conditions(
        self, document: Document, path: Path, entry: RuleEntry | Guardrail, captures: frozenset[str]
    ) -> tuple[Condition | None, Condition | None]:
        """Compiled once for all rules that say the same; none past what a file may say. Raises ConditionInvalid."""
        permits = entry.verdicts == ["allow"]
        key = (entry.when, entry.unless, captures, tuple(entry.types.items()), permits)
        if key not in self.compiled:
            if not self.budgets.allow_conditions(document, path, entry.when, entry.unless):
                return None, None
            self.compiled[key] = compile_conditions(
                entry.when, entry.unless, captures, self.lists or {}, entry.types, permits
            )
        return self.compiled[key]

    def note_shadowed(self, policy: Policy) -> list[Problem]:
        """A line that a deny covers whole is noted: it never counts. Gives those that only a guardrail covers.

        A guardrail is there to overrule roles, in an emergency at once: what it overrules is no error.
        """
        overruled: list[Problem] = []
        for owner, rules in self.rules.items():
            owners = policy.owners([owner])
            for rule in rules:
                for line in rule.lines:
                    denies = shadowing(self.denies, owners, rule, line)
                    if denies:
                        document, path = self.places[line]
                        named = ", ".join(f"{deny.name} ({deny.source})" for deny in denies)
                        by_guardrail = any(deny.name.startswith(f"{GUARDRAILS}/") for deny in denies)
                        found = overruled if by_guardrail and owner != GUARDRAILS else self.problems
                        message = f"never counts: denied whole by {named}; take one of them out"
                        found.append(document.problem(path, message))
        return overruled


def compile_policy(
    roles: Mapping[str, RoleFile | None],
    guardrails: GuardrailFile | None,
    targets: TargetFile | None,
    lists: Mapping[str, NamedList] | None,
    problems: list[Problem],
) -> tuple[Policy, list[Problem]]:
    """The policy of all roles, by name, and notes on it. A role is None where its file cannot be read: it exists."""
    compiler = Compiler(targets.names if targets else None, lists, problems)
    for name, checked in roles.items():
        if checked is not None:
            note_duplicates(checked.document, ((path, rule.id) for path, rule in checked.entries), problems)
            for path, rule in checked.entries:
                compiler.add(checked.document, name, path, rule)
    everywhere: list[Alterations] = []
    if guardrails is not None:
        note_duplicates(guardrails.document, ((path, entry.id) for path, entry in guardrails.entries), problems)
        for path, entry in guardrails.entries:
            if entry.verdicts:
                compiler.add(guardrails.document, GUARDRAILS, path, entry)
            else:
                owner = f"{GUARDRAILS}/{entry.id}"
                everywhere.append(compiler.left_out(guardrails.document, path, entry, owner))
    by_target = {name: list(everywhere) for name in compiler.targets or ()}
    if targets is not None:
        for path, target in targets.entries:
            name = str(path[-1])
            by_target[name].append(compiler.left_out(targets.document, path, target, f"targets/{name}"))
    rules = {owner: tuple(each) for owner, each in compiler.rules.items()}
    merged = {name: joined(each) for name, each in by_target.items()}
    policy = Policy(lineages(roles, problems), rules, compiler.index, merged)
    return policy, compiler.note_shadowed(policy)


def joined(parts: Sequence[Alterations]) -> Alterations:
    return Alterations(
        tuple(mask for part in parts for mask in part.masks),
        tuple(show for part in parts for show in part.shows),
        tuple(text for part in parts for text in part.redactions),
    )


def constant(condition: Condition) -> bool | None:
    """What a condition comes to that reads no fact; None for one that reads any, or has no certain answer."""
    try:
        return None if condition.reads else condition.holds({})
    except Unevaluable:
        return None


def approval(entry: RuleEntry | Guardrail) -> Approval:
    return Approval(tuple(entry.approvers or ()), entry.quorum or 1, entry.timeout)


def note_duplicates(document: Document, ids: Iterable[tuple[Path, str]], problems: list[Problem]) -> None:
    """An id used before in the same file is noted."""
    seen: dict[str, Path] = {}
    for path, name in ids:
        if name in seen:
            first = document.problem((*seen[name], "id"), "").line
            problems.append(
                document.problem((*path, "id"), f"the rule at line {first} has this id already: use another")
            )
        seen.setdefault(name, path)


def place(document: Document, path: Path) -> str:
    """`file:line` of a part."""
    problem = document.problem(path, "")
    return f"{problem.file}:{problem.line}"
