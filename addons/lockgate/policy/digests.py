"""What an approval is bound to: digests of a request, of a decision, of what a person is shown. Pure.

Each is the SHA-256 (hex) of a canonical JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any

from lockgate.bodies import json as strict
from lockgate.errors import BodyUnreadable
from lockgate.model import CredentialSpec, Decision, Hold, Principal, Target
from lockgate.policy.canonical import digest
from lockgate.policy.generation import Generation

Behind = Sequence[tuple[str, str]]
"""Whom a caller's token names as being behind it, by issuer and subject."""

# What clients vary from one attempt to the next, and nobody decides by.
VARYING = frozenset(
    {"date", "user-agent", "accept-encoding", "traceparent", "tracestate", "baggage", "x-request-id"}
    | {"x-correlation-id", "content-length", "content-encoding", "expect", "cache-control", "pragma"}
    | {"sec-websocket-key"}  # a nonce (RFC 6455, 4.1)
    | {"amz-sdk-request", "amz-sdk-invocation-id"}  # of AWS's SDKs: which attempt it is
    # RFC 9110, 7.6.1: about this connection alone
    | {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
VARYING_PREFIX = "x-stainless-"  # of SDKs: which retry it is, among other things
WAITING = re.compile(r"respond-async|wait\s*=\s*[0-9]+", re.IGNORECASE)  # RFC 7240: how long the caller waits


def fingerprint(
    principal: Principal,
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    message: str = "",
    behind: Behind = (),
) -> str:
    """That of a request: the same for the same request sent again by the same principal, on behalf of the same.

    `url` is canonical, with its query. Of the headers it has all but what clients vary; the values of one name keep
    their order. A JSON body counts by what it says, whatever its white space and the order of its keys. `message` says
    what kind of message within a WebSocket it is.
    """
    named = [(name.lower(), preferred(value) if name.lower() == "prefer" else value) for name, value in headers]
    fixed = [field for field in named if field[0] not in VARYING and not is_varying(field[0])]
    kept = sorted((field for field in fixed if field != ("prefer", "")), key=itemgetter(0))
    kind = next((value for name, value in named if name == "content-type"), None)
    asked = [principal.issuer, principal.subject, sorted(principal.roles), behind, method, url, kept, message]
    text = json.dumps([*asked, canonical_body(kind, body)], separators=(",", ":"))  # plain already: what `digest` makes
    return sha256(text.encode()).hexdigest()


def preferred(value: str) -> str:
    """A Prefer field (RFC 7240) without how long the caller waits; the rest of it is for the target."""
    if '"' in value:  # which may have a comma in it
        return value
    return ",".join(part for part in map(str.strip, value.split(",")) if part and not WAITING.fullmatch(part))


def is_varying(name: str) -> bool:
    return name.startswith(VARYING_PREFIX)


def canonical_body(content_type: str | None, body: bytes) -> str:
    """What a body says, as text; of one that is not strict JSON its own digest."""
    if body and strict.is_json(content_type):
        try:
            document = strict.parse(body)
        except BodyUnreadable:
            pass
        else:
            return strict.dumps(in_order(document)).decode()
    return sha256(body).hexdigest()


def in_order(node: Any) -> Any:
    """With the keys of every object sorted; numbers stay as they were written."""
    if isinstance(node, dict):
        return {key: in_order(node[key]) for key in sorted(node)}
    if isinstance(node, list):
        return [in_order(each) for each in node]
    return node


def binding(generation: Generation, decision: Decision, holds: Sequence[Hold], target: Target) -> str:
    """That of a decision which persons approve: its holds, what is masked, where it goes, with which credentials, and
    whose tokens approve.
    """
    credentials = [generation.credentials[name] for name in target.shown]
    return digest([holds, decision.masks, decision.shows, target, credentials, deciding(generation)])


def grant_binding(generation: Generation, hold: Hold, target: str, behind: Behind = ()) -> str:
    """That of what is granted ahead: the rule, what binds at the target, its credentials, on whose behalf, and whose
    tokens approve.
    """
    there = generation.targets[target]
    credentials: list[CredentialSpec] = [generation.credentials[name] for each in there for name in each.shown]
    return digest([hold, there, credentials, generation.policy.alterations.get(target), behind, deciding(generation)])


def deciding(generation: Generation) -> list[object]:
    """What makes somebody an approver: what an issuer's tokens have approved counts no more once it is taken out."""
    config = generation.gateway.approvals
    return [generation.gateway.issuers, config.audience, config.dev]
