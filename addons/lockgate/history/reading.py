"""How a request is read outside the gateway: as the stages do it, of what somebody wrote or a record kept. Pure."""

from __future__ import annotations

from dataclasses import replace

from lockgate.actions import authority, body, grpc, head, http, websocket
from lockgate.bodies import content_type, encodings
from lockgate.credentials.places import places_of
from lockgate.errors import (
    BodyTooLarge,
    BodyUnreadable,
    ContentTypeNotAccepted,
    EncodingNotAccepted,
    Refused,
    RequestUnreadable,
)
from lockgate.model import WEBSOCKET_VERBS, Action, HttpFacts, Target, Unreadable
from lockgate.policy.cases import Request
from lockgate.policy.generation import Generation
from lockgate.refusals import Refusal


def target_of(generation: Generation, request: Request) -> Target:
    """Where a request goes. Raises RequestUnreadable, Refused."""
    url = request.url
    host = authority.canonical_host(url.host)
    target = generation.target_for(url.scheme, host, url.port)
    if target is None:
        where = f"{url.scheme}://{host[:255]}:{url.port}"
        raise Refused(Refusal(403, f"No target is named for {where}.", "Ask the operator to add it to targets.yaml."))
    hosts = head.values(request.headers, "host")
    if len(hosts) > 1 or not all(authority.leads_to(host, target) for host in hosts):
        raise RequestUnreadable("its Host header is not its destination")
    return target


def as_websocket(request: Request) -> Request:
    """A request that asks for a WebSocket as what rules call it, `ws`. Raises RequestUnreadable, Refused."""
    if not websocket.is_asked(request.headers):
        return request
    head.require_plain(request.headers, websocket=True)
    websocket.require_handshake(request.method, "HTTP/1.1", request.headers)
    kept = tuple(field for field in request.headers if field[0].lower() not in websocket.NOT_SENT_ON)
    return replace(request, method=websocket.VERB, headers=kept)


def read(
    generation: Generation, target: Target, roles: tuple[str, ...], request: Request, lost: Unreadable | None = None
) -> tuple[Action, HttpFacts]:
    """What somebody with `roles` asks for: the action and the facts.

    `lost` stands for a body that was not kept. The method of what opens a WebSocket is `ws`; of a message in one it is
    its verb, and the message is the body. Raises RequestUnreadable, Refused.
    """
    if request.method in WEBSOCKET_VERBS:
        return read_websocket(generation, target, roles, request, lost)
    if target.grpc:
        grpc.require_call(request.method.upper(), request.url.path, "HTTP/2.0", request.headers)
    content = b"" if lost else decoded(request, target)
    fields = [(name, value) for name, value in request.headers if head.is_passed_on(name) and name.lower() != "host"]
    fields.append(("host", target.authority))
    if target.grpc:
        fields.append(("te", "trailers"))
    lengths = head.values(fields, "content-length")
    if request.body and not lengths and not head.values(fields, "transfer-encoding"):
        fields.append(("content-length", str(len(request.body))))
    head.require_expected(request.method, content)
    if lost is None and not {*lengths} <= {str(len(request.body))}:
        raise RequestUnreadable("its Content-Length is not that of its body")
    path = request.url.path
    if target.credential is not None:
        places = places_of(generation.credentials[target.credential])
        fields = [field for field in fields if field[0].lower() not in places.headers]
        path = places.strip_path(path)
    (action,), facts, _ = http.read(request.method, target, path, fields)
    policy = generation.policy
    restricted = policy.restricts_bodies(target.name)
    try:
        if lost is not None:
            if request.headers:  # of what type it was may not be known either
                require_fitting(fields, target, restricted=restricted)
            return action, replace(facts, body=lost)
        if not content:
            return action, facts
        wanted = restricted and policy.reads_body(roles, action.target, action.verb, action.resource)
        document = body.read(fields, content, target, restricted=restricted, wanted=wanted)
    except ContentTypeNotAccepted as refused:
        detail = f"The body is not taken: {refused}."
        raise Refused(Refusal(415, detail, "Send JSON or a form, and say so.")) from None
    return action, replace(facts, body=document)


def require_fitting(fields: head.Fields, target: Target, *, restricted: bool) -> None:
    """Raise Refused, ContentTypeNotAccepted for what a body says of itself without being there."""
    for length in head.values(fields, "content-length"):
        if length.isdecimal() and int(length) > target.limits.request:
            raise Refused(too_large(f"larger than the {target.limits.request} bytes the target takes"))
    body.require_accepted(content_type.only(head.values(fields, "content-type")), target, restricted)


def read_websocket(
    generation: Generation, target: Target, roles: tuple[str, ...], request: Request, lost: Unreadable | None = None
) -> tuple[Action, HttpFacts]:
    """What opens a WebSocket, or a message of one: the request's body. Raises RequestUnreadable, Refused."""
    action, facts = read(generation, target, roles, replace(request, method="GET", body=b""))
    verb, _, kind = request.method.partition("-")
    if request.method == websocket.VERB:
        return replace(action, verb=verb), facts
    if lost is not None and not kind:
        return replace(action, verb=verb), replace(facts, body=lost)
    try:
        return websocket.read(action, facts, request.body, from_agent=verb == "send", is_text=not kind)
    except BodyUnreadable as unreadable:
        raise Refused(websocket.unreadable(unreadable)) from None


def decoded(request: Request, target: Target) -> bytes:
    """The body without its content coding. Raises Refused."""
    limit = target.limits.request
    if len(request.body) > limit:
        raise Refused(too_large(f"larger than the {limit} bytes the target takes"))
    coding = ", ".join(head.values(request.headers, "content-encoding")) or None
    try:
        return encodings.decode(request.body, coding, limit)
    except BodyTooLarge as large:
        raise Refused(Refusal(413, f"The body is too large: {large}.", "Send less.", close=True)) from None
    except BodyUnreadable as unreadable:
        status = 415 if isinstance(unreadable, EncodingNotAccepted) else 400
        detail = f"The body cannot be decoded: {unreadable}."
        raise Refused(Refusal(status, detail, "Send it without Content-Encoding.")) from None


def too_large(how: str) -> Refusal:
    return Refusal(413, f"The body is {how}.", "Send less.", close=True)


def unreadable_refusal(why: str) -> Refusal:
    return Refusal(400, f"The request cannot be read in one way only: {why}.", "Send it plainly.", close=True)
