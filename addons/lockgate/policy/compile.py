"""Roles and guardrails to a Policy: everything that can be parsed or checked beforehand is, here. Pure.

Each function appends what it finds wrong to `problems` and goes on with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.errors import Problem
from lockgate.masking import paths
from lockgate.model import HTTP_METHODS, Mask, Verdict
from lockgate.policy import patterns, schema
from lockgate.policy.checked import Checked
from lockgate.policy.conditions import Condition, ConditionInvalid, compile_condition
from lockgate.policy.conditions.check import suggestion
from lockgate.policy.documents import Document, Path
from lockgate.policy.patterns import CAPTURE, Pattern
from lockgate.policy.rules import EVERY_VERB, GUARDRAILS, Entry, Policy, Rule

RoleFile = Checked[schema.Role, schema.Rule]
GuardrailFile = Checked[schema.Guardrails, schema.Guardrail]
TargetFile = Checked[schema.Targets, schema.Target]

Wrong = Callable[[int, str], None]

NEVER = frozenset({"TRACE", "CONNECT"})


@dataclass(frozen=True, slots=True)
class Line:
    """`VERB[|VERB] TARGET[|TARGET] [RESOURCE]`, read."""

    verbs: tuple[str, ...]
    targets: tuple[str, ...]
    pattern: Pattern | None


@dataclass(slots=True)
class Compiler:
    """Compiles against the targets there are, gathering problems. None for targets: their file cannot be read."""

    targets: frozenset[str] | None
    problems: list[Problem]
    index: dict[tuple[str, str, str], list[Entry]] = field(default_factory=dict)

    def compiled(
        self, document: Document, owner: str, path: Path, entry: schema.Rule | schema.Guardrail
    ) -> list[Entry]:
        """The entries of one rule, one for each of its lines, with what they are filed under."""
        verdict = entry.verdicts[0]
        rule = Rule(
            name=f"{owner}/{entry.id}",
            source=place(document, path),
            verdict=Verdict(verdict),
            condition=self.condition(document, path, entry, getattr(entry, verdict)),
            reason=entry.reason,
            masks=self.masks(document, (*path, "mask"), entry.mask, f"{owner}/{entry.id}"),
        )
        found = []
        for index, text in enumerate(getattr(entry, verdict)):
            where = (*path, verdict, index)
            line = self.line(document, where if where in document.spots else where[:-1], text, rule.verdict)
            if line is not None:
                found.append(self.filed(owner, rule, line))
        return found

    def filed(self, owner: str, rule: Rule, line: Line) -> Entry:
        entry = Entry(rule, line.pattern)
        for target in line.targets:
            for verb in line.verbs:
                self.index.setdefault((owner, target, verb), []).append(entry)
        return entry

    def condition(
        self, document: Document, path: Path, entry: schema.Rule | schema.Guardrail, lines: Sequence[str]
    ) -> Condition | None:
        """The rule's condition over the captures that all of its lines have."""
        if entry.when is None:
            return None
        captured = [set(CAPTURE.findall(line)) for line in lines]
        try:
            return compile_condition(entry.when, set.intersection(*captured))
        except ConditionInvalid as error:
            self.problems.append(document.problem((*path, "when"), error.message, offset=error.offset))
            return None

    def masks(self, document: Document, path: Path, mask: schema.MaskMap, rule: str) -> tuple[Mask, ...]:
        for text, strategy in mask.items():
            try:
                whole = not paths.parse(text)
            except ValueError as error:
                self.problems.append(document.problem((*path, text), str(error), key=True))
                continue
            if whole and strategy.kind == "drop":
                message = "nothing is left of a document that is dropped whole: write nullify"
                self.problems.append(document.problem((*path, text), message))
        return tuple(Mask(text, strategy.kind, strategy.argument, rule) for text, strategy in mask.items())

    def line(self, document: Document, path: Path, text: str, verdict: Verdict) -> Line | None:
        """One verdict line; None where it has problems, each noted at its word."""
        words = [(found[0], found.start()) for found in re.finditer(r"\S+", text)]
        before = len(self.problems)

        def wrong(offset: int, message: str) -> None:
            self.problems.append(document.problem(path, message, offset=offset))

        if not 2 <= len(words) <= 3:
            wrong(0, "a rule is VERB TARGET RESOURCE, as in GET|HEAD crm /v1/customers/{id}")
            return None
        (verb_word, verb_at), (target_word, target_at) = words[:2]
        verbs = self.verbs(verb_word, verb_at, wrong)
        for name, at in alternatives(target_word, target_at):
            if self.targets is not None and name not in self.targets:
                wrong(at, f"unknown target {name}: {suggestion(name, self.targets)}")
        pattern = None
        if len(words) == 3:
            try:
                pattern = patterns.parse(words[2][0])
            except ValueError as error:
                wrong(words[2][1], str(error))
        elif verdict is Verdict.ALLOW:
            wrong(0, "an allow names a resource: write /** behind the target for everything there")
        elif verbs == tuple(sorted(HTTP_METHODS)):
            verbs = (EVERY_VERB,)
        if len(self.problems) > before:
            return None
        return Line(verbs, tuple(name for name, _ in alternatives(target_word, 0)), pattern)

    def verbs(self, word: str, offset: int, wrong: Wrong) -> tuple[str, ...]:
        if word == "any":
            return tuple(sorted(HTTP_METHODS))
        for name, at in alternatives(word, offset):
            if name in NEVER:
                wrong(at, f"{name} is never let through: leave it out")
            elif name.upper() in HTTP_METHODS and name != name.upper():
                wrong(at, f"HTTP methods are in capitals: write {name.upper()}")
            elif name not in HTTP_METHODS:
                wrong(at, f"unknown verb {name}: {suggestion(name, (*HTTP_METHODS, 'any'))}")
        return tuple(dict.fromkeys(name for name, _ in alternatives(word, offset)))


def compile_policy(
    roles: Mapping[str, RoleFile | None],
    guardrails: GuardrailFile | None,
    targets: TargetFile | None,
    problems: list[Problem],
) -> Policy:
    """The policy of all roles, by name. None stands for a role whose file cannot be read: it exists all the same."""
    compiler = Compiler(targets.names if targets else None, problems)
    for name, checked in roles.items():
        if checked is not None:
            note_duplicates(checked.document, ((path, rule.id) for path, rule in checked.entries), problems)
            for path, rule in checked.entries:
                compiler.compiled(checked.document, name, path, rule)
    everywhere: list[Mask] = []
    if guardrails is not None:
        note_duplicates(guardrails.document, ((path, entry.id) for path, entry in guardrails.entries), problems)
        for path, entry in guardrails.entries:
            if entry.verdicts:
                compiler.compiled(guardrails.document, GUARDRAILS, path, entry)
            else:
                everywhere += compiler.masks(
                    guardrails.document, (*path, "mask"), entry.mask, f"{GUARDRAILS}/{entry.id}"
                )
    masks = {name: tuple(everywhere) for name in compiler.targets or ()}
    if targets is not None:
        for path, target in targets.entries:
            name = str(path[-1])
            masks[name] += compiler.masks(targets.document, (*path, "mask"), target.mask, f"targets/{name}")
    return Policy(frozenset(roles), inherited(compiler.index, lineages(roles, problems)), masks)


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


def lineages(roles: Mapping[str, RoleFile | None], problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    """Each role with every role it extends, itself first. Unknown ones and circles are noted."""
    parents: dict[str, list[str]] = {}
    for name, checked in roles.items():
        parents[name] = list(checked.model.extends) if checked and checked.model else []
        for index, parent in enumerate(parents[name]):
            if checked and parent not in roles:
                message = f"unknown role {parent}: {suggestion(parent, roles)}"
                problems.append(checked.document.problem(("extends", index), message))
    found = {name: ancestors(name, parents) for name in roles}
    for name, checked in roles.items():
        for index, parent in enumerate(parents[name]):
            if checked and name in found.get(parent, ()):
                message = f"{name} extends itself through {parent}: leave one extends of the circle out"
                problems.append(checked.document.problem(("extends", index), message))
    return found


def ancestors(name: str, parents: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    found, pending = dict.fromkeys([name]), [name]
    while pending:
        for parent in parents.get(pending.pop(), ()):
            if parent in parents and parent not in found:
                found[parent] = None
                pending.append(parent)
    return tuple(found)


def inherited(
    index: Mapping[tuple[str, str, str], Sequence[Entry]], families: Mapping[str, Iterable[str]]
) -> dict[tuple[str, str, str], tuple[Entry, ...]]:
    """The index with each role's inherited rules filed under it too; guardrails stay under their own name."""
    found: dict[tuple[str, str, str], list[Entry]] = {}
    heirs = {GUARDRAILS: [GUARDRAILS]}
    for role, family in families.items():
        for ancestor in family:
            heirs.setdefault(ancestor, []).append(role)
    for (owner, target, verb), entries in index.items():
        for role in heirs.get(owner, ()):
            found.setdefault((role, target, verb), []).extend(entries)
    return {key: tuple(entries) for key, entries in found.items()}


def alternatives(word: str, offset: int) -> Iterator[tuple[str, int]]:
    """The parts of `a|b`, each with where it stands."""
    for part in word.split("|"):
        yield part, offset
        offset += len(part) + 1


def place(document: Document, path: Path) -> str:
    """`file:line` of a part."""
    problem = document.problem(path, "")
    return f"{problem.file}:{problem.line}"
