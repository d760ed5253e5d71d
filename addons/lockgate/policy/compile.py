"""Roles and guardrails to a Policy: everything that can be parsed or checked beforehand is, here. Pure.

Each function appends what it finds wrong to `problems` and goes on with the rest.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.errors import Problem, Unevaluable
from lockgate.model import HTTP_METHODS, Hold, Verdict
from lockgate.policy.alterations import alterations, item
from lockgate.policy.budgets import INSTRUCTIONS, WRONG_REGEX_WORDS, Budgets
from lockgate.policy.canonical import digest
from lockgate.policy.checked import Checked
from lockgate.policy.conditions import Condition, ConditionInvalid, compile_conditions
from lockgate.policy.conditions.check import Possible
from lockgate.policy.documents import Document, Path
from lockgate.policy.index import PathIndex
from lockgate.policy.lineage import RoleFile, lineages
from lockgate.policy.lines import LineReader
from lockgate.policy.opaque import unseen
from lockgate.policy.patterns import CAPTURE
from lockgate.policy.rules import EVERY_METHOD, GUARDRAILS, Alterations, Entry, Line, Policy, Rule
from lockgate.policy.schema.rules import Guardrail, Guardrails
from lockgate.policy.schema.rules import Rule as RuleEntry
from lockgate.policy.schema.targets import Target, Targets
from lockgate.policy.schema.values import NamedList
from lockgate.policy.shadows import Shadows

GuardrailFile = Checked[Guardrails, Guardrail]
TargetFile = Checked[Targets, Target]

SENT = "what is sent is not masked; leave it out, or add receive to the rule"
# Why there is nothing to mask, by the verbs of which that is so.
UNANSWERED = {
    "HEAD": "the answer to HEAD has no body; leave it out, or add GET to the rule",
    "send": SENT,
    "send-binary": SENT,
}


@dataclass(slots=True)
class Compiler:
    """Compiles against the targets, with the methods that each lists, and the lists there are, gathering problems.

    Of what cannot be read stands None: all targets, the methods of one, all lists.
    """

    targets: Mapping[str, frozenset[str] | None] | None
    hosts: Mapping[str, frozenset[str]]  # of each target whose entry is right
    lists: Mapping[str, NamedList] | None
    problems: list[Problem]
    opaque: frozenset[str] = frozenset()  # targets whose messages are not looked into
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    index: dict[tuple[str, str, str], PathIndex] = field(default_factory=dict)
    denies: dict[tuple[str, str, str], PathIndex] = field(default_factory=dict)  # those that always match
    places: dict[Line, tuple[Document, Path]] = field(default_factory=dict)
    compiled: dict[Hashable, tuple[Condition | None, Condition | None]] = field(default_factory=dict)
    budgets: Budgets = field(init=False)

    def __post_init__(self) -> None:
        self.budgets = Budgets(self.problems)

    def weigh(self, document: Document, entries: Iterable[tuple[Path, RuleEntry | Guardrail]]) -> None:
        """Count the conditions of a file: what is too much is refused before any of it is compiled."""
        different = {condition_key(entry): (path, entry) for path, entry in entries if entry.when or entry.unless}
        for path, entry in different.values():
            self.budgets.allow_conditions(document, path, entry.when, entry.unless)

    def add(self, document: Document, owner: str, path: Path, entry: RuleEntry | Guardrail) -> None:
        """Compile the rule at `path` and file it under each of its lines' targets and verbs."""
        verdict = Verdict(entry.verdicts[0])
        name = f"{owner}/{entry.id}"
        left_out = self.left_out(document, path, entry, name)
        lines = tuple(self.lines(document, (*path, verdict), getattr(entry, verdict), verdict))
        when, unless = self.conditions(document, path, entry, self.possible(entry, lines))
        rule = Rule(
            name=name,
            source=place(document, path),
            verdict=verdict,
            lines=lines,
            when=when,
            unless=unless,
            expires=entry.expires,
            reason=entry.reason,
            masks=left_out.masks,
            shows=left_out.shows,
            redactions=left_out.redactions,
            query=parameters(entry),
            hold=hold(name, entry) if verdict is Verdict.HOLD else None,
        )
        verbs = [verb for line in rule.lines for verb in line.verbs]
        if (rule.masks or rule.shows) and verbs and UNANSWERED.keys() >= set(verbs):
            message = f"never applies: {UNANSWERED[verbs[0]]}"
            written = next(name for name in ("mask", "show", "detect") if getattr(entry, name))
            self.problems.append(document.problem((*path, written), message, key=True))
        if opaque := self.opaque & {target for line in rule.lines for target in line.targets}:
            conditions = {"when": when, "unless": unless}
            reads = [key for key, condition in conditions.items() if condition is not None and condition.reads_body]
            self.problems += unseen(document, path, entry, reads, opaque)
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
        if not self.budgets.allow_masks(document, path, entry.mask, entry.show, entry.redact_request):
            return Alterations()
        return alterations(document, path, entry, name, self.problems)

    def possible(self, entry: RuleEntry | Guardrail, lines: Sequence[Line]) -> Possible:
        """What a rule's conditions may find as method and host; nothing of what is not certain, or not asked for."""
        text = f"{entry.when}{entry.unless}"
        found: dict[tuple[str, ...], frozenset[str]] = {}
        if len(lines) < len(getattr(entry, entry.verdicts[0])) or "request" not in text:
            return found
        verbs = {verb for line in lines for verb in line.verbs}
        if "method" in text and all(verb.isupper() or verb == EVERY_METHOD for verb in verbs):
            every = HTTP_METHODS if EVERY_METHOD in verbs else frozenset[str]()
            found["request", "method"] = every | (verbs - {EVERY_METHOD})
        hosts = [self.hosts.get(target) for line in lines for target in line.targets]
        if "host" in text and None not in hosts:
            found["request", "host"] = frozenset(host for each in hosts for host in each or ())
        return found

    def conditions(
        self, document: Document, path: Path, entry: RuleEntry | Guardrail, possible: Possible
    ) -> tuple[Condition | None, Condition | None]:
        """The rule's `when` and `unless`, over the captures that all of its lines have."""
        texts = {key: text for key in ("when", "unless") if (text := getattr(entry, key)) is not None}
        if not texts or (self.lists is None and any("lists" in text for text in texts.values())):
            return None, None
        try:
            when, unless = self.compiled_conditions(document, path, entry, possible)
        except ConditionInvalid as error:
            self.problems.append(document.problem((*path, *error.path), error.message, offset=error.offset))
            if "matches" in "".join(texts.values()):
                self.budgets.allow_words(document, path, WRONG_REGEX_WORDS)
            if error.path == ("when",) and entry.unless is not None:  # the other one may be wrong too
                self.conditions(document, path, entry.model_copy(update={"when": None, "types": {}}), possible)
            return None, None
        for key, condition, never in (("when", when, False), ("unless", unless, True)):
            if condition is not None and "lists." not in condition.text and constant(condition) is never:
                message = f"it is always {str(never).lower()}, so the rule never counts: mend it, or leave the rule out"
                self.problems.append(document.problem((*path, key), message))
        return when, unless

    def compiled_conditions(
        self, document: Document, path: Path, entry: RuleEntry | Guardrail, possible: Possible
    ) -> tuple[Condition | None, Condition | None]:
        """Compiled once for all rules that say the same; none past what a file may say. Raises ConditionInvalid."""
        key = (condition_key(entry), tuple(possible.items()))
        if key not in self.compiled:
            if not self.budgets.allow_words(document, path, 0):
                return None, None
            permits = entry.verdicts == ["allow"]
            self.compiled[key] = compile_conditions(
                entry.when, entry.unless, captured(entry), self.lists or {}, entry.types, permits, possible
            )
            instructions = sum(condition.instructions for condition in self.compiled[key] if condition)
            self.budgets.allow_words(document, path, instructions // INSTRUCTIONS)
        return self.compiled[key]

    def note_shadowed(self, policy: Policy) -> list[Problem]:
        """A line that a deny covers whole is noted: it never counts. Gives those that only a guardrail covers.

        A guardrail is there to overrule roles, in an emergency at once: what it overrules is no error.
        """
        overruled: list[Problem] = []
        shadows = Shadows(self.denies)
        for owner, rules in self.rules.items():
            owners = policy.owners([owner])
            for rule in rules:
                for line in rule.lines:
                    denies = shadows.of(owners, rule, line)
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
    hosts = (
        {str(path[-1]): frozenset(each.host for each in target.origins) for path, target in targets.entries}
        if targets
        else {}
    )
    opaque = frozenset(str(path[-1]) for path, target in targets.entries if target.grpc) if targets else frozenset()
    compiler = Compiler(methods_of(targets) if targets else None, hosts, lists, problems, opaque)
    for name, checked in roles.items():
        if checked is not None:
            note_duplicates(checked.document, ((path, rule.id) for path, rule in checked.entries), problems)
            compiler.weigh(checked.document, checked.entries)
            for path, rule in checked.entries:
                compiler.add(checked.document, name, path, rule)
    everywhere: list[Alterations] = []
    if guardrails is not None:
        note_duplicates(guardrails.document, ((path, entry.id) for path, entry in guardrails.entries), problems)
        compiler.weigh(guardrails.document, guardrails.entries)
        for path, entry in guardrails.entries:
            if entry.verdicts:
                compiler.add(guardrails.document, GUARDRAILS, path, entry)
            else:
                owner = f"{GUARDRAILS}/{entry.id}"
                everywhere.append(compiler.left_out(guardrails.document, path, entry, owner))
                if opaque:
                    problems += unseen(guardrails.document, path, entry, (), opaque)
    by_target = {name: list(everywhere) for name in compiler.targets or ()}
    if targets is not None:
        for path, target in targets.entries:
            name = str(path[-1])
            by_target[name].append(compiler.left_out(targets.document, path, target, f"targets/{name}"))
            if target.grpc:
                problems += unseen(targets.document, path, target, (), [name])
    rules = {owner: tuple(each) for owner, each in compiler.rules.items()}
    merged = {name: joined(each) for name, each in by_target.items()}
    policy = Policy(lineages(roles, problems), rules, compiler.index, merged)
    return policy, compiler.note_shadowed(policy)


def methods_of(targets: TargetFile) -> dict[str, frozenset[str] | None]:
    """The methods that each target lists, by name; None for one whose entry is wrong: it exists."""
    found: dict[str, frozenset[str] | None] = dict.fromkeys(sorted(targets.names))
    return found | {str(path[-1]): frozenset(target.methods) for path, target in targets.entries}


def joined(parts: Sequence[Alterations]) -> Alterations:
    return Alterations(
        tuple(mask for part in parts for mask in part.masks),
        tuple(show for part in parts for show in part.shows),
        tuple(text for part in parts for text in part.redactions),
    )


def condition_key(entry: RuleEntry | Guardrail) -> Hashable:
    """What is equal for rules whose conditions mean the same."""
    captures = captured(entry) if "path" in f"{entry.when}{entry.unless}" else None
    return entry.when, entry.unless, captures, tuple(entry.types.items()), entry.verdicts == ["allow"]


def captured(entry: RuleEntry | Guardrail) -> frozenset[str]:
    """The captures that all lines of a rule have."""
    lines = getattr(entry, entry.verdicts[0])
    return frozenset(set.intersection(*(set(CAPTURE.findall(line)) for line in lines)))


def constant(condition: Condition) -> bool | None:
    """What a condition comes to that reads no fact; None for one that reads any, or has no certain answer."""
    try:
        return None if condition.reads else condition.holds({})
    except Unevaluable:
        return None


def parameters(entry: RuleEntry | Guardrail) -> frozenset[str] | None:
    """The query parameters that a rule takes; None where it takes any."""
    return frozenset(entry.query) if isinstance(entry, RuleEntry) and entry.query is not None else None


def hold(name: str, entry: RuleEntry | Guardrail) -> Hold:
    said = {key: getattr(entry, key) for key in type(entry).model_fields}
    return Hold(
        rule=name,
        digest=digest([name, said]),
        reason=entry.reason,
        approvers=tuple(entry.approvers or ()),
        quorum=entry.quorum or 1,
        timeout=entry.timeout,
        require_reason=entry.require_reason or False,
        max_grant=entry.max_grant or 0.0,
    )


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
