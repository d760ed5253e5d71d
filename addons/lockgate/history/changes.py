"""What becomes of a recorded request under changed rules: the verdict then and now, and what is masked. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from lockgate.errors import RulesNotKept
from lockgate.history.again import QUERY, Again, Judge
from lockgate.history.kept import Case, NotKept, case_of
from lockgate.history.records import Past
from lockgate.masking import paths
from lockgate.masking.strategies import STRENGTH
from lockgate.model import Decision, Mask, Outcome, Show

REFUSED = "refused"  # before any rule is asked: it cannot be read, or there is no such target
VERDICTS = ("allow", "hold", "deny", REFUSED)


@dataclass(frozen=True, slots=True)
class Change:
    """A request then and now. `then` and `now` are verdicts, a hold that was approved a hold all the same.

    `unmasked` are masks (and `show`, and what is left out of records) that bound then and bind no more, `masked` those
    that bind only now. `unknown` names the facts that were not kept and without which this is not certain. `matched`
    are the names of the rules that matched then, `matching` of those that match now.
    """

    past: Past
    roles: tuple[str, ...]
    then: str
    now: str
    rule_then: str | None = None
    rule_now: str | None = None
    why: str = ""
    unmasked: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    matched: frozenset[str] = frozenset()
    matching: frozenset[str] = frozenset()

    @property
    def flips(self) -> bool:
        return self.then != self.now

    @property
    def widens(self) -> bool:
        """Whether more gets through, or is seen, than before."""
        return (self.flips and self.now == "allow") or bool(self.unmasked)


NOT_DECIDED = "not decided"


def change(past: Past, now: Judge, judge_of: Callable[[str], Judge]) -> Change | None:
    """What becomes of a request under the rules of `now`. None of one that rules had no say in: nobody identified sent
    it, or it was refused for another reason than what it says.

    `judge_of` is by the name of a generation; RulesNotKept, which it raises, makes masks unknown.
    """
    before = None
    try:
        before = judge_of(past.generation)
    except RulesNotKept:
        pass
    try:
        case = case_of(past, before.generation.policy.claims if before else frozenset())
    except NotKept as lost:
        return unknown(past, lost.names)
    if case is None:
        return None
    again = before.decide(case, before) if before else None
    if past.decision is None:
        if again is None or before is None or not is_reproduced(case, again, before):
            return None
        then = again.verdict
    else:
        then = "hold" if past.approved else str(past.decision.get("verdict"))
    if then not in VERDICTS:
        return unknown(past, ("decision",))
    if again is not None and not again.unknown and again.verdict != then:
        return unknown(past, ("decision",))  # it was not decided so by the rules that it names
    return compared(case, then, again, now.decide(case, before, then=again))


def is_reproduced(case: Case, again: Again, before: Judge) -> bool:
    """Whether a request was refused for what its record still says: it reads so, or nobody knew its caller's roles.

    Not so of a token in it, its TLS, its framing, a caller that was revoked or over a limit.
    """
    return again.decision is None or not before.generation.policy.knows_any(case.principal.roles)


def unknown(past: Past, names: tuple[str, ...]) -> Change:
    said = past.said.get("principal")
    roles = tuple(map(str, said.get("roles") or ())) if isinstance(said, dict) else ()
    then = str((past.decision or {}).get("verdict", REFUSED))
    return Change(past, roles, then, then, unknown=names)


def compared(case: Case, then: str, before: Again | None, after: Again) -> Change:
    past = case.past
    if after.unknown == (QUERY,) and before is not None and before.shaped == after.shaped and before.shaped is not None:
        after = replace(after, unknown=())  # what it is held against is what it was held against
    lost = set(after.unknown)
    unmasked: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    now = then if after.unknown else after.verdict
    if now in ("allow", "hold") and then in ("allow", "hold") and after.decision is not None:
        if before is None or before.decision is None:
            lost.add("rules")
        else:
            unmasked = lost_of(before.decision, after.decision)
            masked = lost_of(after.decision, before.decision)
            # A mask that certainly binds covers all the same; of what may not bind nothing can be said.
            lost.update(before.unknown_masks, after.unknown_masks)
    recorded = past.decision or {}
    return Change(
        past,
        case.principal.roles,
        then,
        now,
        rule_then=str(recorded["rule"]) if recorded.get("rule") else None,
        rule_now=after.decision.rule if after.decision else None,
        why=after.refusal.detail if after.refusal else (after.decision.reason or "" if after.decision else ""),
        unmasked=unmasked,
        masked=masked,
        unknown=tuple(sorted(lost)),
        matched=matched(before),
        matching=matched(after),
    )


def matched(again: Again | None) -> frozenset[str]:
    considered = again.decision.considered if again and again.decision else ()
    return frozenset([each.rule for each in considered if each.outcome is Outcome.MATCHED])


def lost_of(before: Decision, after: Decision) -> tuple[str, ...]:
    """What the one decision masks, shows alone, or leaves out of records, that the other does not as strongly."""
    if (before.masks, before.shows, before.redactions) == (after.masks, after.shows, after.redactions):
        return ()
    masks = [mask_name(mask) for mask in before.masks if not is_masked(mask, after.masks)]
    shows = [show_name(show) for show in before.shows if not is_narrowed(show, after.shows)]
    records = [f"record {text}" for text in before.redactions if text not in after.redactions]
    return tuple(dict.fromkeys([*masks, *shows, *records]))


def mask_name(mask: Mask) -> str:
    if mask.kind == "detect":
        return f"detect {mask.argument}"
    return f"{mask.path} {mask.kind}" + ("" if mask.argument is None else f" {mask.argument}")


def label(mask: Mask) -> str:
    """Under which it is counted in records."""
    return f"detect {mask.argument}" if mask.kind == "detect" else mask.path


def show_name(show: Show) -> str:
    return f"show {', '.join(sorted(show.paths))}"


def is_masked(mask: Mask, others: Collection[Mask]) -> bool:
    """Whether all that a mask takes out is taken out by one of others, as much of it at least."""
    return any(is_stronger(other, mask) for other in others)


def is_stronger(other: Mask, mask: Mask) -> bool:
    if "detect" in (mask.kind, other.kind):
        return (other.kind, other.argument) == (mask.kind, mask.argument)
    if (other.path, other.kind, other.argument) == (mask.path, mask.kind, mask.argument):
        return True
    if not paths.covers(paths.parse(other.path), paths.parse(mask.path)):
        return False
    if isinstance(other.argument, int) and isinstance(mask.argument, int):
        return other.kind == mask.kind and other.argument <= mask.argument
    return STRENGTH[other.kind] >= STRENGTH[mask.kind] and other.kind not in ("keep_first", "keep_last", "hash")


def is_narrowed(show: Show, others: Collection[Show]) -> bool:
    """Whether one of others shows no more than this one does."""
    return any(all(is_shown(path, show.paths) for path in other.paths) for other in others)


def is_shown(path: str, shown: Collection[str]) -> bool:
    return path in shown or any(paths.covers(paths.parse(outer), paths.parse(path)) for outer in shown)
