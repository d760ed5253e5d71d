"""May they: the policy's decision on what was read, and whether it stands while an answer goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from mitmproxy import http

from lockgate.approvals.recent import Recent
from lockgate.decisions import decided_again
from lockgate.errors import Refused, RevocationsUnavailable
from lockgate.exchange import Exchange, exchange
from lockgate.model import Action, Decision, Principal, Verdict
from lockgate.policy.authorize import authorize
from lockgate.policy.generation import Generation
from lockgate.refusals import NOT_KNOWN, Refusal
from lockgate.runtime import Runtime

STANDS = 1.0  # seconds that a decision stands without another look: rules expire, and conditions may read the clock
REVOKED = Refusal(403, "This access has been revoked.", "Do not retry. Ask the operator.", close=True)
RULES_CHANGED = Refusal(403, "The rules have changed, and no longer allow this as it was.", "Ask again.", close=True)


class Decide:
    """Denies what no rule allows, and what a rule could not be evaluated for."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def request(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        assert found.generation is not None and found.principal is not None and found.facts is not None
        self._require_unrevoked(found)
        found.unrevoked = self._require_unrevoked  # asked again: to have a credential may take its time
        policy = found.generation.policy
        if not any(policy.knows(role) for role in found.principal.roles):
            raise Refused(Refusal(403, "None of the caller's roles is known here.", "Ask the operator for a role."))
        now = self._runtime.now()
        decision = authorize(policy, found.principal, found.actions, found.facts, now)
        found.decision, found.decided_at = decision, now
        self._note(found.principal, found.actions, decision)
        found.stood_at = time.monotonic()
        found.standing, found.recheck = found.generation, self.recheck
        if decision.verdict is Verdict.DENY:
            raise Refused(Refusal(403, explain(decision, found.actions[0].verb), _next(decision), decision.rule))

    def _note(self, principal: Principal, actions: Sequence[Action], decision: Decision) -> None:
        """For whoever approves something of the same caller."""
        verb, target, resource = (actions[0].verb, actions[0].target, actions[0].resource) if actions else ("", "", "")
        recent = Recent(time.time(), str(decision.verdict), verb, target, resource, decision.rule)
        self._runtime.recent.note(principal.issuer, principal.subject, recent)

    def ws_message(self, flow: http.HTTPFlow) -> None:
        opened = exchange(flow).opened
        assert opened is not None
        self.recheck(opened)
        self.request(flow)

    def recheck(self, found: Exchange) -> None:
        """Before each part of an answer that is streamed: whether the request would still be allowed, and its answer
        masked as it is (law 7). Costs next to nothing until the rules in force are others.

        Raises:
            Refused: the rules would refuse it now, or mask it otherwise; or the caller or the target is revoked.
        """
        self._require_unrevoked(found)
        generation = self._runtime.current.generation
        elapsed = time.monotonic() - found.stood_at
        if generation is found.standing and elapsed < STANDS:
            return
        if not _stands(found, generation, self._runtime.now()):
            raise Refused(RULES_CHANGED)
        found.standing, found.stood_at = generation, time.monotonic()

    def _require_unrevoked(self, found: Exchange) -> None:
        """Raises Refused where the caller or the target is revoked, or that is not known."""
        assert found.principal is not None and found.target is not None
        try:
            if self._runtime.revocations.find(found.principal, found.target.name, time.time()):
                raise Refused(REVOKED)
        except RevocationsUnavailable:
            raise Refused(NOT_KNOWN) from None


def _stands(found: Exchange, generation: Generation, now: datetime) -> bool:
    """Whether a decision comes out the same under other rules: for the same caller, target and request."""
    decision = found.decision
    assert found.standing and decision and found.outgoing
    again = decided_again(found, found.standing, generation, found.outgoing, now, found.met)
    if again is None or again.verdict is not Verdict.ALLOW:
        return False
    return (again.masks, again.shows) == (decision.masks, decision.shows)


def explain(decision: Decision, verb: str) -> str:
    """Why a request was denied, for the agent: the rule's own words where it has any."""
    if decision.reason:
        return decision.reason
    if decision.rule:
        return f"The rule {decision.rule} denies this."
    return f"No rule allows this {verb}."


def _next(decision: Decision) -> str:
    return "Do not retry unchanged. " + (
        "Follow the reason." if decision.reason else "Ask for something a rule allows."
    )
