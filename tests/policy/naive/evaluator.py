"""A second evaluator of the rule language, as simple as can be and slow, written from the spec alone.

Rules are plain data as YAML would hold them, but for conditions, which are `Condition`s: `{"lists": {name: values},
"targets": {name: entry}, "guardrails": [rule, ...], "roles": {name: {"extends": [...], "rules": [rule, ...]}}}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from naive.conditions import Condition, Facts, PathText, Request, Undefined, folded

from lockgate.model import HTTP_METHODS

Rules = Mapping[str, Any]
Captures = dict[str, str]

BINDS = ("matched", "unevaluable")  # outcomes of rules that may be about the request: what they mask is masked


@dataclass(frozen=True, slots=True)
class Answer:
    """What the rules come to.

    `outcomes` has the name of a rule with how it came out; masks are `(path, kind, argument, rule)`, shows `(paths,
    rule)`. `deciding` are the rules that say the verdict.
    """

    verdict: str
    outcomes: frozenset[tuple[str, str]] = frozenset()
    masks: frozenset[tuple[str, str, str | int | None, str]] = frozenset()
    shows: frozenset[tuple[tuple[str, ...], str]] = frozenset()
    redactions: frozenset[str] = frozenset()
    deciding: frozenset[str] = field(default=frozenset(), compare=False)


def evaluate(rules: Rules, request: Request) -> Answer:
    """What the rules say of a request."""
    if not any(role in rules["roles"] for role in request.principal.roles):
        return Answer("deny", redactions=refused(rules, request.target))
    says, outcomes, binding, about = [], set(), always(rules, request.target), always(rules, request.target)
    for name, rule in rules_of(rules, request.principal.roles):
        for outcome in considered(rules, rule, request):
            outcomes.add((name, outcome))
            says.append((said(verdict_of(rule), outcome), name))
            if outcome in BINDS:
                binding.append((name, rule))
            if outcome != "expired":
                about.append((name, rule))
        for outcome in considered(rules, rule, request, nearly=True):  # allows nothing, and masks all the same
            if outcome in BINDS:
                binding.append((name, rule))
            if outcome != "expired":
                about.append((name, rule))
    spoken = {each for each, _ in says}
    verdict = next((each for each in ("deny", "hold", "allow") if each in spoken), "deny")
    redacted = refused(rules, request.target) if verdict == "deny" else redactions(about)
    deciding = frozenset(name for each, name in says if each == verdict)
    return Answer(verdict, frozenset(outcomes), masks(binding), shows(binding), redacted, deciding)


def rules_of(rules: Rules, roles: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Every rule that binds somebody of these roles: theirs, those of what they extend, and the guardrails."""
    known, seen = [role for role in roles if role in rules["roles"]], set()
    while known:
        role = known.pop()
        if role not in seen:
            seen.add(role)
            known += rules["roles"][role].get("extends", ())
    named = [(f"{role}/{rule['id']}", rule) for role in seen for rule in rules["roles"][role]["rules"]]
    return named + [(f"guardrails/{rule['id']}", rule) for rule in rules["guardrails"] if verdict_of(rule)]


def always(rules: Rules, target: str) -> list[tuple[str, Mapping[str, Any]]]:
    """What masks every answer of a target: its own entry, and guardrails without a verdict."""
    alone = [(f"guardrails/{rule['id']}", rule) for rule in rules["guardrails"] if not verdict_of(rule)]
    return [(f"targets/{target}", rules["targets"][target]), *alone]


def refused(rules: Rules, target: str) -> frozenset[str]:
    """What is left out of the record of a refused request: whatever any rule at its target redacts, of any role."""
    every = [*rules["guardrails"], *(rule for role in rules["roles"].values() for rule in role["rules"])]
    there = [("", rule) for rule in every if any(target in line.split()[1].split("|") for line in lines_of(rule))]
    return redactions([*always(rules, target), *there])


def lines_of(rule: Mapping[str, Any]) -> list[str]:
    lines = rule.get(verdict_of(rule), [])
    return lines if isinstance(lines, list) else [lines]


def verdict_of(rule: Mapping[str, Any]) -> str:
    return next((verdict for verdict in ("allow", "hold", "deny") if verdict in rule), "")


def said(verdict: str, outcome: str) -> str | None:
    """An allow without a certain answer does not match; a deny or hold without one denies."""
    if outcome == "unevaluable":
        return None if verdict == "allow" else "deny"
    return verdict if outcome == "matched" else None


def considered(rules: Rules, rule: Mapping[str, Any], request: Request, *, nearly: bool = False) -> Iterator[str]:
    """How the rule came out, once for each of its lines that is about the request.

    `nearly`: for each line of an allow that would be, were the path spelled otherwise.
    """
    for line in lines_of(rule):
        verbs, targets, *resource = line.split()
        if verbs == "any":
            fits = request.method in HTTP_METHODS
        else:
            fits = request.method in verbs.split("|")
        if not fits or request.target not in targets.split("|"):
            continue
        found = fitting(resource[0], request.path, exact="allow" in rule) if resource else [{}]
        if nearly:
            found = fitting(resource[0], request.path, exact=False) if "allow" in rule and not found else []
        for captures in found[:1]:  # every way gives the same ones, with one `**` beside captures at most
            yield outcome_of(rule, Facts(request, rules["lists"], captures))


def outcome_of(rule: Mapping[str, Any], facts: Facts) -> str:
    if "expires" in rule and facts.request.now >= datetime.fromisoformat(instant(rule["expires"])):
        return "expired"
    when: Condition | None = rule.get("when")
    unless: Condition | None = rule.get("unless")
    try:
        if when is not None and not when.holds(facts):
            return "condition-false"
        if unless is not None and unless.holds(facts):
            return "condition-false"
    except Undefined:
        return "unevaluable"
    return "matched"


def instant(expires: str) -> str:
    return expires if "T" in expires else f"{expires}T00:00:00Z"


def fitting(pattern: str, path: str, *, exact: bool) -> list[Captures]:
    """What a resource captures of a path, for every way in which it fits: none where it does not fit."""
    paths = [path] if exact else [path, path.removesuffix("/") if path.endswith("/") else f"{path}/"]
    patterns = pattern.split("/")[1:]
    return [found for each in paths for found in walk(patterns, each.split("/")[1:], exact=exact)]


def walk(pattern: Sequence[str], path: Sequence[str], *, exact: bool) -> Iterator[Captures]:
    if not pattern:
        if not path:
            yield {}
        return
    head, *rest = pattern
    if head == "**" and not rest:
        if path:  # `/v1/**` is about what is below `/v1/`, not about `/v1`
            yield {}
    elif head == "**":
        for taken in range(len(path) + 1):
            yield from walk(rest, path[taken:], exact=exact)
    elif path and (name := re.fullmatch(r"\{(\w+)\}", head)):
        if path[0]:
            yield from ({name[1]: PathText(unquote(path[0])), **found} for found in walk(rest, path[1:], exact=exact))
    elif path and part(head, path[0], exact=exact):
        yield from walk(rest, path[1:], exact=exact)


def part(pattern: str, given: str, *, exact: bool) -> bool:
    """Whether one part of a path fits one of a pattern. Only what is exact minds letter case and percent-encoding."""
    if pattern == "*":
        return bool(given)
    if not exact:
        given = folded(unquote(given))
        pattern = "*".join(folded(unquote(piece)) for piece in pattern.split("*"))
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), given, re.DOTALL) is not None


def masks(binding: Sequence[tuple[str, Mapping[str, Any]]]) -> frozenset[tuple[str, str, str | int | None, str]]:
    return frozenset(
        (path, *strategy(how), name) for name, rule in binding for path, how in rule.get("mask", {}).items()
    )


def strategy(how: str | Mapping[str, Any]) -> tuple[str, str | int | None]:
    if isinstance(how, str):
        return how, None
    ((kind, argument),) = how.items()
    return kind, argument


def shows(binding: Sequence[tuple[str, Mapping[str, Any]]]) -> frozenset[tuple[tuple[str, ...], str]]:
    return frozenset((tuple(rule["show"]), name) for name, rule in binding if rule.get("show"))


def redactions(binding: Sequence[tuple[str, Mapping[str, Any]]]) -> frozenset[str]:
    return frozenset(path for _, rule in binding for path in rule.get("redact_request", ()))
