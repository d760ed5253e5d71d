"""What the gateway would do with a request, without one being sent: reading, deciding and masking as the stages do.

What it cannot tell: whether a token is taken, a secret is there, the target answers, or repeats a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from lockgate.actions import head
from lockgate.bodies import encodings
from lockgate.errors import BodyUnreadable, MaskingFailed, Refused, RequestUnreadable, RulesInvalid
from lockgate.history.reading import as_websocket, read, target_of, unreadable_refusal
from lockgate.masking.streams import Masks
from lockgate.masking.whole import mask_body
from lockgate.model import Action, Decision, Principal, Target, Verdict
from lockgate.policy.authorize import authorize
from lockgate.policy.cases import Answer, Request, Response
from lockgate.policy.conditions.describe import suggestion
from lockgate.policy.generation import Generation
from lockgate.policy.load import load
from lockgate.refusals import Refusal, pending

HASH_KEY = bytes(32)  # of a gateway that there is not: its hashes tell nobody anything


@dataclass(frozen=True, slots=True)
class Simulated:
    """What would become of a request.

    Where it is refused before any rule is asked, `decision` is None. `refusal` is what the agent gets instead of an
    answer. `unseen` are the header fields that no rule sees, by name.
    """

    target: Target | None = None
    action: Action | None = None
    decision: Decision | None = None
    refusal: Refusal | None = None
    unseen: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        return str(self.decision.verdict) if self.decision else "unreadable"


def loaded(directory: Path) -> Generation:
    """The rules of a directory. Raises ClickException, one line, where they have errors."""
    try:
        return load(directory)
    except RulesInvalid as invalid:
        first, more = invalid.problems[0], len(invalid.problems) - 1
        behind = f" (and {more} more: lockgate check {directory})" if more else ""
        raise click.ClickException(f"{directory}/{first}{behind}") from None


def require_known(generation: Generation, roles: tuple[str, ...]) -> None:
    """Raise ClickException for a role that the rules do not have."""
    for role in roles:
        if not generation.policy.knows(role):
            near = suggestion(role, generation.policy.lineages)
            raise click.ClickException(f"unknown role {role}: {near}")


def simulate(generation: Generation, principal: Principal, request: Request, now: datetime) -> Simulated:
    """What would become of a request of somebody who is identified, sent through the proxy."""
    unseen = tuple(dict.fromkeys(name.lower() for name, _ in request.headers if not head.is_passed_on(name)))
    target = None
    try:
        request = as_websocket(request)
        head.require_plain(request.headers)
        target = target_of(generation, request)
        action, facts = read(generation, target, principal.roles, request)
    except RequestUnreadable as unreadable:
        return Simulated(target, refusal=unreadable_refusal(unreadable.reason), unseen=unseen)
    except Refused as refused:
        return Simulated(target, refusal=refused.refusal, unseen=unseen)
    decision = authorize(generation.policy, principal, (action,), facts, now)
    return Simulated(target, action, decision, refusal_of(decision, action.verb), unseen)


def refusal_of(decision: Decision, verb: str) -> Refusal | None:
    """What the agent is told of a decision; None of an allow."""
    rule = decision.rule
    if decision.verdict is Verdict.DENY:
        default = f"The rule {rule} denies this." if rule else f"No rule allows this {verb}."
        then = "Follow the reason." if decision.reason else "Ask for something a rule allows."
        return Refusal(403, decision.reason or default, f"Do not retry unchanged. {then}", rule)
    if decision.verdict is Verdict.HOLD:
        return pending(rule, decision.reason)
    return None


def answer(decision: Decision, target: Target, response: Response) -> Answer:
    """What the agent gets of what the target answers: `raw`, as bytes, or nothing of the target's."""
    if not response.body or (not decision.alters and target.credential is None):
        return Answer("raw", response.body)
    try:
        return Answer("raw", masked(decision, target, response))
    except (BodyUnreadable, MaskingFailed):
        return Answer("withheld" if response.status >= 400 and decision.alters else "refused")


def masked(decision: Decision, target: Target, response: Response) -> bytes:
    """Raises BodyUnreadable, MaskingFailed."""
    if response.status == 206:
        raise MaskingFailed("a part was sent where the whole was asked for")
    coding = ", ".join(head.values(response.headers, "content-encoding")) or None
    body = encodings.decode(response.body, coding, target.limits.response)
    if not decision.alters:
        return body
    kinds = ", ".join(head.values(response.headers, "content-type"))
    return mask_body(Masks(decision.masks, decision.shows, HASH_KEY), body, kinds)[0]
