"""What a record says of an exchange beside its messages: plain values, of what is known of it so far."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from mitmproxy import http

from lockgate.asking import fingerprint_of
from lockgate.errors import Refused
from lockgate.exchange import Answer, Exchange, Outgoing, seen_message
from lockgate.model import Considered, Decision, Principal
from lockgate.policy.conditions.fields import written
from lockgate.policy.generation import Generation
from lockgate.policy.reads import facts_read
from lockgate.recordings.digests import Seen, Wire
from lockgate.recordings.dump import VERSION, entry, plain
from lockgate.recordings.facts import named, recorded
from lockgate.recordings.redactions import compile_redactions
from lockgate.recordings.tnetstring import Written


def projection(flow: http.HTTPFlow, found: Exchange) -> dict[str, Any]:
    """What a record says of an exchange beside the messages: plain values, the same fields for every outcome."""
    shown = (found.credential, found.certificate) if found.target and found.generation else ()
    return {
        "version": VERSION,
        "request_id": found.id,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "principal": _principal(found.principal or found.session.principal, found.generation),
        "client": "{}:{}".format(*flow.client_conn.peername[:2]),
        "target": found.target.name if found.target else None,
        **({"opened_by": found.opened.id} if found.opened else {}),
        **({"replayed": found.replayed} if found.replayed else {}),
        "actions": [[action.verb, action.target, action.resource] for action in found.actions],
        "decision": _decision(found.decision),
        "decided_at": found.decided_at.isoformat() if found.decided_at else None,
        **({"approval": _approval(found)} if found.held else {}),
        "generation": found.generation.id if found.generation else "",
        "masks": dict(found.masks),
        "scrubbed": found.scrubbed + (found.scrubbing.count if found.scrubbing else 0),
        "injected": [held.name for held in shown if held is not None],
        "refusal": {"status": found.refusal.status, "detail": found.refusal.detail} if found.refusal else None,
        "stage": found.stage,
        "sent": found.sent,
        "upstream_status": found.upstream_status,
        "timings": {stage: round(milliseconds, 3) for stage, milliseconds in found.timings.items()},
    }


def _principal(principal: Principal | None, generation: Generation | None) -> dict[str, Any] | None:
    """Of the token's claims those that a condition may read, and no others."""
    if principal is None:
        return None
    names = generation.policy.claims if generation else frozenset()
    kept = {name: principal.claims[name] for name in sorted(principal.claims) if names is None or name in names}
    if not kept:
        return _caller(principal.issuer, principal.subject, principal.roles, principal.token_id)
    claims = named(("principal", "claims"), kept, compile_redactions(()))
    return {**_caller(principal.issuer, principal.subject, principal.roles, principal.token_id), "claims": claims}


@lru_cache(maxsize=1024)
def _caller(issuer: str, subject: str, roles: tuple[str, ...], token_id: str | None) -> dict[str, Any]:
    return entry(issuer=issuer, subject=subject, roles=roles, token_id=token_id)


def _approval(found: Exchange) -> dict[str, Any]:
    """What a request was held by, and what let it on, by its id; the seconds that its connection waited."""
    return {
        "id": found.approval,
        "grants": list(found.grants),
        "rules": sorted(hold.rule for hold in found.met),
        "waited": round(found.waited, 3),
    }


def _decision(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {
        "verdict": str(decision.verdict),
        "rule": decision.rule,
        "reason": decision.reason,
        "considered": [_considered(one) for one in decision.considered],
    }


@lru_cache(maxsize=4096)
def _considered(one: Considered) -> dict[str, Any]:
    return entry(
        rule=one.rule, source=one.source, verdict=str(one.verdict), outcome=str(one.outcome), detail=one.detail
    )


def with_facts(said: dict[str, Any] | None, found: Exchange, redactions: tuple[str, ...]) -> dict[str, Any] | None:
    """A decision with the facts that each rule's condition has read."""
    if said is None or found.principal is None or found.facts is None or found.decided_at is None:
        return said
    assert found.generation is not None
    names = [each["rule"] for each in said["considered"]]
    read = facts_read(found.generation.policy, found.principal, found.actions, found.facts, found.decided_at, names)
    if not read:
        return said
    compiled, body = compile_redactions(redactions), found.facts.body
    # What several rules read is the same for each, but for what their own lines have captured.
    shared = {path: value for facts in read.values() for path, value in facts.items() if path[0] != "path"}
    told = recorded(shared, body, compiled)
    facts_of = {
        rule: {
            **{written(path): told[written(path)] for path in facts if path[0] != "path" and written(path) in told},
            **recorded({path: value for path, value in facts.items() if path[0] == "path"}, None, compiled),
        }
        for rule, facts in read.items()
    }
    considered = [
        Written({**each, "facts": plain(facts_of[each["rule"]])}) if each["rule"] in facts_of else each
        for each in said["considered"]
    ]
    return {**said, "considered": considered}


def fingerprint(flow: http.HTTPFlow, found: Exchange) -> str | None:
    """None of what was not read, or where the rules cannot tell on whose behalf it was sent."""
    if found.fingerprint is not None or found.facts is None or (found.message and not found.message.from_agent):
        return found.fingerprint
    try:
        return fingerprint_of(found, found.outgoing or Outgoing.of(flow.request))
    except Refused:
        return None


def wire(flow: http.HTTPFlow, found: Exchange) -> Wire:
    """What went over the wire, with what goes to the agent."""
    if found.message is None:
        delivered = None
        if flow.response is not None:
            answer = Answer.of(flow.response)
            body = found.delivered.hash if found.delivered and found.streaming else answer.body
            delivered = Seen(b"HTTP/1.1 %d %b" % (answer.status, answer.reason), answer.headers, body)
        return replace(found.wire, response_delivered=delivered)
    passed = seen_message(found.passing) if found.passing and not found.refusal else None
    if found.message.from_agent:
        return replace(found.wire, request_sent=passed if found.sent else None)
    return replace(found.wire, response_delivered=passed)
