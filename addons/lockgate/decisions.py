"""A decision asked for anew about a request that was decided before: by the rules now in force, or with holds met.

What Decide asks while an answer goes on, and Approve when a hold ends.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from datetime import datetime

from lockgate.actions import body
from lockgate.errors import BodyUnreadable, RequestUnreadable
from lockgate.exchange import Exchange, Outgoing
from lockgate.model import Decision, Hold, HttpFacts, Issuer, Principal, Target, Unreadable
from lockgate.policy.authorize import authorize
from lockgate.policy.generation import Generation


def decided_again(
    found: Exchange,
    before: Generation,
    generation: Generation,
    outgoing: Outgoing,
    now: datetime,
    met: Container[Hold] = (),
) -> Decision | None:
    """What `generation` says of the same caller, target and request; None where it knows them otherwise than `before`
    did: then the request has to be sent again, to be identified and read anew.
    """
    principal, target = found.principal, found.target
    if principal is None or target is None or found.facts is None:
        return None
    if _issuer(generation, principal) != _issuer(before, principal):
        return None
    if generation.target_for(target.scheme, target.host, target.port) != target:
        return None
    policy, facts = generation.policy, found.facts
    roles = principal.roles
    if found.message is None and any(  # that of a message has been read, whatever the rules
        policy.reads_body(roles, each.target, each.verb, each.resource) for each in found.actions
    ):
        facts = _with_body(facts, outgoing, target)
    return authorize(policy, principal, found.actions, facts, now, met)


def _issuer(generation: Generation, principal: Principal) -> list[Issuer]:
    """What the rules say of who issued the caller's token; nothing where they do not know them."""
    return [issuer for issuer in generation.gateway.issuers if issuer.issuer == principal.issuer]


def _with_body(facts: HttpFacts, outgoing: Outgoing, target: Target) -> HttpFacts:
    """With the body read for rules that read it: those it was decided by may not have."""
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in outgoing.headers]
    try:
        return replace(facts, body=body.read(fields, outgoing.body, target, restricted=True, wanted=True))
    except (BodyUnreadable, RequestUnreadable):
        return replace(facts, body=Unreadable("it is of no type that is taken now"))
