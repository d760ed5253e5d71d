"""`lockgate explain ID`: a recorded request, decided again by the rules that decided it, at the instant it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from lockgate.bodies.visible import visible
from lockgate.cli import explain, past
from lockgate.cli.printed import dump, field, heading, say
from lockgate.cli.simulate import Simulated, refusal_of
from lockgate.errors import RulesNotKept
from lockgate.history.again import Again, Judge
from lockgate.history.changes import label
from lockgate.history.generations import Generations
from lockgate.history.kept import Case, NotKept, actions_of, case_of
from lockgate.history.records import Past, mapping
from lockgate.model import Decision
from lockgate.policy.explain import Account, accounts

SAME, DIFFERS = 0, 1
SEVERAL = 5  # that are named where a beginning is that of several ids


@dataclass(frozen=True, slots=True)
class Explained:
    """A recorded request decided again. `differences` say what does not come out as it was recorded."""

    case: Case
    judge: Judge
    again: Again
    differences: tuple[str, ...]
    facts: Mapping[str, Mapping[str, Any]]


def explain_recorded(identifier: str, directory: Path, whole: bool, as_json: bool) -> int:
    """Explain the request with this id, or enough of its beginning; the exit code. Raises ClickException."""
    if not directory.is_dir():
        raise click.ClickException(f"there is no directory {directory}: name the recordings with --recordings")
    request, generations = find(identifier, directory)
    try:
        explained = decided(request, generations)
    except (RulesNotKept, NotKept) as lost:
        raise click.ClickException(f"{visible(request.id)} cannot be decided again: {reason(lost)}") from None
    if as_json:
        dump(document(explained))
    else:
        tell(explained, directory, whole)
    return DIFFERS if explained.differences else SAME


def reason(lost: RulesNotKept | NotKept) -> str:
    return visible(str(lost)) if isinstance(lost, RulesNotKept) else f"the record did not keep {', '.join(lost.names)}"


def find(identifier: str, directory: Path) -> tuple[Past, Generations]:
    walk = past.walk_of((directory,), None, identifier.encode("utf-8", "surrogateescape"))
    found: list[tuple[Past, Generations]] = []
    with past.progress(walk) as requests:
        for request, generations in requests:
            if request.id == identifier:
                return request, generations
            if request.id.startswith(identifier) and len(found) < SEVERAL:
                found.append((request, generations))
    if len(found) > 1:
        names = ", ".join(visible(request.id) for request, _ in found)
        raise click.UsageError(f"{visible(identifier)} is the beginning of several ids: {names}")
    if not found:
        raise click.ClickException(f"no request {visible(identifier)} is recorded in {directory}")
    return found[0]


def decided(request: Past, generations: Generations) -> Explained:
    """Raises RulesNotKept, NotKept, ClickException."""
    if mapping(request.said.get("principal")) is None or request.method == "CONNECT":
        raise click.ClickException(f"{visible(request.id)} was refused before any rule was asked: {refusal(request)}")
    judge = generations.judge(request.generation)
    case = case_of(request, judge.generation.policy.claims)
    if case is None:
        raise click.ClickException(f"{visible(request.id)} is no request that rules decide")
    again = judge.decide(case, judge, judge.met(request.approved))
    return Explained(case, judge, again, tuple(differences(request, again)), facts(request))


def refusal(request: Past) -> str:
    said = mapping(request.said.get("refusal")) or {}
    return visible(f"{said.get('status', '')} {said.get('detail', '')}".strip()) or "nothing says why"


def differences(request: Past, again: Again) -> Iterator[str]:
    """What did not come out as it was recorded.

    What was refused before it was decided may have been for what no record keeps: its TLS, its framing, a token in it.
    """
    recorded = request.decision
    if recorded is None:
        return
    if again.unknown:
        yield f"what comes out is not certain without {', '.join(again.unknown)}"
    elif again.decision is None:
        detail = again.refusal.detail if again.refusal else ""
        yield f"recorded as {recorded.get('verdict')}, read again it is refused: {detail}"
    else:
        yield from of_decision(request, recorded, again.decision)
        yield from of_actions(request, again)


def of_decision(request: Past, recorded: Mapping[str, Any], decision: Decision) -> Iterator[str]:
    for name, then, now in (
        ("verdict", recorded.get("verdict"), str(decision.verdict)),
        ("rule", recorded.get("rule"), decision.rule),
        ("reason", recorded.get("reason"), decision.reason),
    ):
        if then != now:
            yield f"{name}: recorded {then or 'none'}, decided again {now or 'none'}"
    listed = recorded.get("considered")
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    before = {(str(each.get("rule")), str(each.get("outcome"))) for each in entries}
    after = {(each.rule, str(each.outcome)) for each in decision.considered}
    for rule, outcome in sorted(before - after):
        yield f"considered: recorded {rule} {outcome}, which it is not decided again"
    for rule, outcome in sorted(after - before):
        yield f"considered: {rule} is {outcome} decided again, which is not recorded"
    if request.message is None:  # of a message those that bind what opened it count too
        for label in sorted(set(labels(request)) - set(possible(decision))):
            yield f"masks: recorded {label}, which nothing masks decided again"


def labels(request: Past) -> Iterable[str]:
    return map(str, mapping(request.said.get("masks")) or ())


def possible(decision: Decision) -> Iterator[str]:
    """The names under which what a decision masks is counted."""
    for mask in decision.masks:
        yield label(mask)
    for show in decision.shows:
        yield f"show {show.rule}"


def of_actions(request: Past, again: Again) -> Iterator[str]:
    action = again.action
    now = [(action.verb, action.target, action.resource)] if action else []
    if actions_of(request) != now:
        yield f"actions: recorded {spelt(actions_of(request))}, read again {spelt(now)}"


def spelt(actions: Iterable[tuple[str, str, str]]) -> str:
    return "; ".join(" ".join(each) for each in actions) or "none"


def facts(request: Past) -> dict[str, Mapping[str, Any]]:
    """What was read then, by rule."""
    listed = (request.decision or {}).get("considered")
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {str(each.get("rule")): each["facts"] for each in entries if isinstance(each.get("facts"), dict)}


def as_explained(explained: Explained) -> explain.Explained:
    """As one that nobody has sent."""
    case, judge, again = explained.case, explained.judge, explained.again
    told = again.refusal
    if again.decision is not None and again.action is not None:
        told = refusal_of(again.decision, again.action.verb)
    simulated = Simulated(again.target, again.action, again.decision, told)
    found: tuple[Account, ...] = ()
    if again.action and again.decision:
        found = accounts(judge.generation.policy, case.principal.roles, again.action, again.decision)
        found = tuple(met(each) if each.rule.name in case.past.approved else each for each in found)
    return explain.Explained(judge.generation, case.principal, case.request, case.at, simulated, found)


def met(account: Account) -> Account:
    """Of a hold that was approved."""
    return replace(account, reason="what it asks for was approved") if account.matched else account


def document(explained: Explained) -> dict[str, Any]:
    again, request = explained.again, explained.case.past
    return {
        "id": request.id,
        "same": not explained.differences,
        "differences": list(explained.differences),
        "not_kept": {"unknown": list(again.unknown), "as_recorded": list(again.taken)},
        "approved": sorted(request.approved),
        "facts": {rule: dict(found) for rule, found in explained.facts.items()},
        **explain.document(as_explained(explained)),
    }


def tell(explained: Explained, directory: Path, whole: bool) -> None:
    again, request = explained.again, explained.case.past
    generation = explained.judge.generation.id
    if explained.differences:
        say("DIFFERS from what was recorded:")
    for difference in explained.differences:
        say(difference, 2)
    explain.tell(as_explained(explained), Path(generation[:12]), whole)
    heading("of the record")
    field("id", request.id)
    field("rules", str(directory / "generations" / generation))
    if request.approved:
        field("approved", ", ".join(sorted(request.approved)))
    if request.decision is None:
        field("refused", f"before any rule was asked: {refusal(request)}")
    if again.taken:
        field("not kept", f"{', '.join(again.taken)}: how the rules that read it came out is taken from the record")
    if again.unknown:
        field("not kept", f"{', '.join(again.unknown)}: what comes out is not certain")
    if again.unknown_masks:
        field("not kept", f"{', '.join(again.unknown_masks)}: what is masked is not certain")
    for rule, found in explained.facts.items():
        for name, value in found.items():
            field("read", f"{name} = {value!r}  ({rule})")
    if request.decision is not None and not explained.differences:
        field("decided", "again, it comes out as it was recorded")
