"""May they: the policy's decision on what was read, and whether it stands while an answer goes on."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

from mitmproxy import http

from lockgate.actions import body
from lockgate.errors import BodyUnreadable, Refused, RequestUnreadable, RevocationsUnavailable
from lockgate.exchange import Exchange, exchange
from lockgate.model import Decision, HttpFacts, Issuer, Principal, Unreadable, Verdict
from lockgate.policy.authorize import authorize
from lockgate.policy.generation import Generation
from lockgate.policy.rules import Policy
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
        decision = authorize(policy, found.principal, found.actions, found.facts, self._runtime.now())
        found.decision = decision
        found.stood_at = time.monotonic()
        found.standing, found.recheck = found.generation, self.recheck
        if decision.verdict is Verdict.DENY:
            raise Refused(Refusal(403, explain(decision, found.actions[0].verb), _next(decision), decision.rule))

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
    principal, target, decision = found.principal, found.target, found.decision
    assert found.standing and principal and target and found.facts and decision
    if _issuer(generation, principal) != _issuer(found.standing, principal):
        return False
    if generation.target_for(target.scheme, target.host, target.port) != target:
        return False
    facts = _with_body(found.facts, found, generation.policy)
    again = authorize(generation.policy, principal, found.actions, facts, now)
    return again.verdict is Verdict.ALLOW and (again.masks, again.shows) == (decision.masks, decision.shows)


def _issuer(generation: Generation, principal: Principal) -> list[Issuer]:
    """What the rules say of who issued the caller's token; nothing where they do not know them."""
    return [issuer for issuer in generation.gateway.issuers if issuer.issuer == principal.issuer]


def _with_body(facts: HttpFacts, found: Exchange, policy: Policy) -> HttpFacts:
    """With the body read for rules that read it: those it was decided by may not have."""
    assert found.principal is not None and found.outgoing is not None
    roles, outgoing = found.principal.roles, found.outgoing
    if not any(policy.reads_body(roles, action.target, action.verb, action.resource) for action in found.actions):
        return facts
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in outgoing.headers]
    assert found.target is not None
    try:
        return replace(facts, body=body.read(fields, outgoing.body, found.target, restricted=True, wanted=True))
    except (BodyUnreadable, RequestUnreadable):
        return replace(facts, body=Unreadable("it is of no type that is taken now"))


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
