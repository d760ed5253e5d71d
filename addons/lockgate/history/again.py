"""A recorded request, decided again under one generation of the rules.

A rule whose condition reads what was not kept has no certain answer here, though it had one then. Where the very same
rule was considered then, how it came out is taken from the record; where that does not help, the verdict is not known.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lockgate.errors import Refused, RequestUnreadable, Unevaluable
from lockgate.history.kept import Case, as_kept, unkept
from lockgate.history.reading import read, target_of, unreadable_refusal
from lockgate.model import Action, Considered, CredentialSpec, Decision, Hold, HttpFacts, Outcome, Target, Verdict
from lockgate.policy.authorize import authorize, says
from lockgate.policy.conditions import Condition
from lockgate.policy.generation import Generation
from lockgate.policy.rules import Rule
from lockgate.refusals import Refusal

QUERY = "request.query"
NOBODY: Mapping[str, Considered] = {}


@dataclass(frozen=True, slots=True)
class Again:
    """What comes of a request. Where it is refused before any rule is asked, `decision` is None.

    `unknown` names the facts that were not kept and without which the verdict is not certain, `unknown_masks` those
    without which it is not certain what is masked; `taken` those of rules whose outcome is that of the record.
    """

    target: Target | None = None
    action: Action | None = None
    decision: Decision | None = None
    refusal: Refusal | None = None
    unknown: tuple[str, ...] = ()
    unknown_masks: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    shaped: Hashable = None
    facts: HttpFacts | None = field(default=None, repr=False)

    @property
    def verdict(self) -> str:
        return str(self.decision.verdict) if self.decision else "refused"


class Judge:
    """Decides under one generation."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.rules = {(rule.name, rule.source): rule for each in generation.policy.rules.values() for rule in each}
        self.by_asked: dict[Hashable, list[Rule]] = {}
        for rule in self.rules.values():
            self.by_asked.setdefault(asked(rule), []).append(rule)
        near = [
            rule for rule in self.rules.values() if rule.alters and rule.verdict is Verdict.ALLOW and not rule.always
        ]
        self.masked_on_condition = {target for rule in near for line in rule.lines for target in line.targets}

    def decide(
        self, case: Case, before: Judge | None = None, met: Container[Hold] = (), then: Again | None = None
    ) -> Again:
        """`before` is of the generation that decided then: its rules' outcomes are in the record. `then` is what it
        decided, where that was asked already: a request that reads alike is not read again.
        """
        target = None
        try:
            target = target_of(self.generation, case.request)
            if then is not None and before is not None and self.reads_alike(before, target, then, case):
                assert then.action is not None and then.facts is not None  # noqa: S101 (for the type checker)
                return self.authorized(case, target, then.action, then.facts, before, met)
            action, facts = read(self.generation, target, case.principal.roles, case.request, case.body)
        except RequestUnreadable as unreadable:
            return Again(target, refusal=unreadable_refusal(unreadable.reason))
        except Refused as refused:
            return Again(target, refusal=refused.refusal)
        return self.authorized(case, target, action, as_kept(case, facts), before, met)

    def reads_alike(self, before: Judge, target: Target, then: Again, case: Case) -> bool:
        """Whether a request reads as it did: the same target, the same places for credentials, no body to look into."""
        if then.facts is None or then.target != target or case.body is not None:
            return False
        if case.request.body and (self.restricts(target) or before.restricts(target)):
            return False
        return self.credential(target) == before.credential(target)

    def restricts(self, target: Target) -> bool:
        return self.generation.policy.restricts_bodies(target.name)

    def credential(self, target: Target) -> CredentialSpec | None:
        return self.generation.credentials[target.credential] if target.credential else None

    def authorized(
        self, case: Case, target: Target, action: Action, facts: HttpFacts, before: Judge | None, met: Container[Hold]
    ) -> Again:
        policy = self.generation.policy
        known = self.known(case, before) if before else NOBODY
        shaped = None
        try:
            decision = authorize(policy, case.principal, (action,), facts, case.at, met, known)
        except Unevaluable:  # a mask binds, and which parameters there were was not kept
            facts = replace(facts, query=unkept("query parameter", taken=False))
            decision = authorize(policy, case.principal, (action,), facts, case.at, met, known)
            shaped = self.shape(decision)
        taken: set[str] = set()
        doubtful: list[tuple[Rule, tuple[str, ...]]] = []
        for each in decision.considered:
            rule = self.rules[each.rule, each.source]
            if rule.always:
                continue
            if rule.name in known:
                taken.update(case.losses.of(rule))
            elif (names := case.losses.of(rule)) and is_doubtful(each, names):
                doubtful.append((rule, names))
        masks = {name for rule, names in doubtful if rule.alters for name in names}
        masks.update(self.near(case, action))
        lost = unknown(decision, doubtful)
        if shaped is not None and before is self:
            taken.add(QUERY)
        elif shaped is not None:
            lost = tuple(sorted({*lost, QUERY}))
        return Again(target, action, decision, None, lost, tuple(sorted(masks)), tuple(sorted(taken)), shaped, facts)

    def shape(self, decision: Decision) -> Hashable:
        """What a query is held against where the answer is masked: the masks, and what rules say of parameters."""
        binding = [each for each in decision.considered if each.outcome in (Outcome.MATCHED, Outcome.UNEVALUABLE)]
        queries = tuple(self.rules[each.rule, each.source].query for each in binding)
        return decision.masks, decision.shows, queries

    def near(self, case: Case, action: Action) -> set[str]:
        """What was not kept that rules read whose masks count for what is nearly what they are about."""
        if action.target not in self.masked_on_condition:
            return set()
        _, found = self.generation.policy.matching(case.principal.roles, action.target, action.verb, action.resource)
        return {name for rule, _ in found for name in case.losses.of(rule)}

    def known(self, case: Case, before: Judge) -> Mapping[str, Considered]:
        """How rules came out then that read what was not kept, by the names of those that ask the same here."""
        if self.generation.gateway.lists != before.generation.gateway.lists:
            return NOBODY
        found: dict[str, Considered] = {}
        several: set[str] = set()
        for name, source, outcome in considered_then(case):
            then = before.rules.get((name, source))
            if then is None or then.always or not case.losses.of(then):
                continue
            for rule in self.by_asked.get(asked(then), ()):
                if outcome is Outcome.UNEVALUABLE and rule is not then:
                    continue  # it may have been for the types that were declared
                if rule.name in found and found[rule.name].outcome is not outcome:
                    several.add(rule.name)  # by which of its lines is not known
                found[rule.name] = rule.considered(outcome, "as it was recorded")
        return {name: each for name, each in found.items() if name not in several}

    def met(self, names: Container[str]) -> frozenset[Hold]:
        """The holds of the rules that have these names."""
        return frozenset(rule.hold for rule in self.rules.values() if rule.hold and rule.name in names)


@lru_cache(maxsize=16384)
def asked(rule: Rule) -> Hashable:
    """What decides how a rule comes out that is about a request; its lines only where its conditions read the path."""
    reads_path = any("path" in condition.reads for condition in (rule.when, rule.unless) if condition is not None)
    lines = tuple(line.text for line in rule.lines) if reads_path else ()
    return lines, text(rule.when), text(rule.unless), rule.expires, rule.query


def text(condition: Condition | None) -> str | None:
    return condition.text if condition else None


def considered_then(case: Case) -> Iterable[tuple[str, str, Outcome]]:
    """Name, source and outcome of each rule, as it was recorded."""
    entries = (case.past.decision or {}).get("considered")
    for each in entries if isinstance(entries, list) else ():
        if isinstance(each, dict) and each.get("outcome") in OUTCOMES:
            yield str(each.get("rule")), str(each.get("source")), Outcome(each["outcome"])


OUTCOMES = frozenset(map(str, Outcome))


def is_doubtful(considered: Considered, names: tuple[str, ...]) -> bool:
    """Whether a rule may come out otherwise with what was not kept: what reads that has no answer."""
    return considered.outcome is Outcome.UNEVALUABLE or "now" in names


def unknown(decision: Decision, doubtful: list[tuple[Rule, tuple[str, ...]]]) -> tuple[str, ...]:
    """The facts for want of which a verdict is not certain."""
    if not doubtful:
        return ()
    rules = {rule.name for rule, _ in doubtful}
    certain = [each for each in decision.considered if each.rule not in rules]
    if any(says(each) is Verdict.DENY for each in certain):
        return ()
    permits = all(rule.verdict is Verdict.ALLOW for rule, _ in doubtful)
    if permits and any(says(each) in (Verdict.ALLOW, Verdict.HOLD) for each in certain):
        return ()
    return tuple(sorted({name for _, names in doubtful for name in names}))
