"""May they: the policy's decision on what was read."""

from __future__ import annotations

from mitmproxy import http

from lockgate.errors import Refused
from lockgate.exchange import exchange
from lockgate.model import Decision, Verdict
from lockgate.policy.authorize import authorize
from lockgate.refusals import Refusal
from lockgate.runtime import Runtime


class Decide:
    """Denies what no rule allows, and what a rule could not be evaluated for."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def request(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        assert found.generation is not None and found.principal is not None and found.facts is not None
        policy = found.generation.policy
        if not any(policy.knows(role) for role in found.principal.roles):
            raise Refused(Refusal(403, "None of the caller's roles is known here.", "Ask the operator for a role."))
        decision = authorize(policy, found.principal, found.actions, found.facts, self._runtime.now())
        found.decision = decision
        if decision.verdict is Verdict.DENY:
            raise Refused(Refusal(403, explain(decision, found.actions[0].verb), _next(decision), decision.rule))


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
