"""What an approval is bound to: digests of a request, of a decision, of what a person is shown. Pure.

Each is the SHA-256 (hex) of a canonical JSON text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from lockgate.bodies import json as strict
from lockgate.errors import BodyUnreadable
from lockgate.model import CredentialSpec, Decision, Hold, Principal, Target
from lockgate.policy.canonical import digest
from lockgate.policy.generation import Generation

# What clients vary from one attempt to the next, and nobody decides by.
VARYING = frozenset(
    {"date", "user-agent", "accept-encoding", "traceparent", "tracestate", "baggage", "x-request-id"}
    | {"x-correlation-id", "prefer", "content-length", "content-encoding", "expect", "cache-control", "pragma"}
    # RFC 9110, 7.6.1: about this connection alone
    | {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
VARYING_PREFIX = "x-stainless-"  # of SDKs: which retry it is, among other things


def fingerprint(
    principal: Principal, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes, message: str = ""
) -> str:
    """That of a request: the same for the same request sent again by the same principal.

    `url` is canonical, with its query. Of the headers it has all but what clients vary. A JSON body counts by what it
    says, whatever its white space and the order of its keys, and without what numbers a call (`id` of JSON-RPC 2.0, the
    progress token of MCP). `message` is the verb of a message within a WebSocket.
    """
    named = [(name.lower(), value) for name, value in headers]
    kept = sorted((name, value) for name, value in named if name not in VARYING and not is_varying(name))
    kind = next((value for name, value in named if name == "content-type"), None)
    asked = [principal.issuer, principal.subject, sorted(principal.roles), method, url, kept, message]
    return digest([*asked, canonical_body(kind, body)])


def is_varying(name: str) -> bool:
    return name.startswith(VARYING_PREFIX)


def canonical_body(content_type: str | None, body: bytes) -> str:
    """What a body says, as text; of one that is not strict JSON its own digest."""
    if body and strict.is_json(content_type):
        try:
            document = uncounted(strict.parse(body))
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


def uncounted(document: Any) -> Any:
    """A call of JSON-RPC 2.0, or several, without what tells one attempt from the next."""
    if isinstance(document, list):
        return [uncounted(each) for each in document]
    if not isinstance(document, dict) or document.get("jsonrpc") != "2.0":
        return document
    call = {key: value for key, value in document.items() if key != "id"}
    params = call.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    if isinstance(params, dict) and isinstance(meta, dict):
        left = {key: value for key, value in meta.items() if key != "progressToken"}
        call["params"] = {**params, "_meta": left}
    return call


def binding(generation: Generation, decision: Decision, holds: Sequence[Hold], target: Target) -> str:
    """That of a decision which persons approve: its holds, what is masked, where it goes and with which credentials."""
    credentials = [generation.credentials[name] for name in target.shown]
    return digest([holds, decision.masks, decision.shows, target, credentials])


def grant_binding(generation: Generation, hold: Hold, target: str) -> str:
    """That of what is granted ahead: the rule, what binds at the target, and its credentials."""
    there = generation.targets[target]
    credentials: list[CredentialSpec] = [generation.credentials[name] for each in there for name in each.shown]
    return digest([hold, there, credentials, generation.policy.alterations.get(target)])
