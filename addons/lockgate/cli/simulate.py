"""What the gateway would do with a request, without one being sent: reading, deciding and masking as the stages do.

What it cannot tell: whether a token is taken, a secret is there, the target answers, or repeats a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import click

from lockgate.actions import authority, grpc, head, http, websocket
from lockgate.actions.body import read as read_body
from lockgate.bodies import encodings
from lockgate.credentials.places import places_of
from lockgate.errors import (
    BodyTooLarge,
    BodyUnreadable,
    ContentTypeNotAccepted,
    EncodingNotAccepted,
    MaskingFailed,
    Refused,
    RequestUnreadable,
    RulesInvalid,
)
from lockgate.masking.streams import Masks
from lockgate.masking.whole import mask_body
from lockgate.model import WEBSOCKET_VERBS, Action, Decision, HttpFacts, Principal, Target, Verdict
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
        if target.grpc:
            grpc.require_call(request.method.upper(), request.url.path, "HTTP/2.0", request.headers)
        take = read_websocket if request.method in WEBSOCKET_VERBS else read
        action, facts = take(generation, target, request)
    except RequestUnreadable as unreadable:
        return Simulated(target, refusal=unreadable_refusal(unreadable.reason), unseen=unseen)
    except Refused as refused:
        return Simulated(target, refusal=refused.refusal, unseen=unseen)
    decision = authorize(generation.policy, principal, (action,), facts, now)
    return Simulated(target, action, decision, refusal_of(decision, action.verb), unseen)


def as_websocket(request: Request) -> Request:
    """A request that asks for a WebSocket as what rules call it, `ws`. Raises RequestUnreadable, Refused."""
    if not websocket.is_asked(request.headers):
        return request
    head.require_plain(request.headers, websocket=True)
    websocket.require_handshake(request.method, "HTTP/1.1", request.headers)
    kept = tuple(field for field in request.headers if field[0].lower() not in websocket.NOT_SENT_ON)
    return replace(request, method=websocket.VERB, headers=kept)


def read_websocket(generation: Generation, target: Target, request: Request) -> tuple[Action, HttpFacts]:
    """What opens a WebSocket, or a message of one: the request's body. Raises RequestUnreadable, Refused."""
    action, facts = read(generation, target, replace(request, method="GET", body=b""))
    if request.method == websocket.VERB:
        return replace(action, verb=websocket.VERB), facts
    verb, _, kind = request.method.partition("-")
    try:
        return websocket.read(action, facts, request.body, from_agent=verb == "send", is_text=not kind)
    except BodyUnreadable as unreadable:
        raise Refused(websocket.unreadable(unreadable)) from None


def target_of(generation: Generation, request: Request) -> Target:
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


def read(generation: Generation, target: Target, request: Request) -> tuple[Action, HttpFacts]:
    """The action and the facts. Raises RequestUnreadable, Refused."""
    body = decoded(request, target)
    fields = [(name, value) for name, value in request.headers if head.is_passed_on(name) and name.lower() != "host"]
    fields.append(("host", target.authority))
    if target.grpc:
        fields.append(("te", "trailers"))
    if request.body and not head.values(fields, "content-length") and not head.values(fields, "transfer-encoding"):
        fields.append(("content-length", str(len(request.body))))
    head.require_expected(request.method, body)
    if not {*head.values(request.headers, "content-length")} <= {str(len(request.body))}:
        raise RequestUnreadable("its Content-Length is not that of its body")
    path = request.url.path
    if target.credential is not None:
        places = places_of(generation.credentials[target.credential])
        fields = [field for field in fields if field[0].lower() not in places.headers]
        path = places.strip_path(path)
    (action,), facts, _ = http.read(request.method, target, path, fields)
    restricted = generation.policy.restricts_bodies(target.name)
    try:
        return action, replace(facts, body=read_body(fields, body, target, restricted=restricted, wanted=restricted))
    except ContentTypeNotAccepted as refused:
        detail = f"The body is not taken: {refused}."
        raise Refused(Refusal(415, detail, "Send JSON or a form, and say so.")) from None


def decoded(request: Request, target: Target) -> bytes:
    coding = ", ".join(head.values(request.headers, "content-encoding")) or None
    limit = target.limits.request
    if len(request.body) > limit:
        detail = f"The body is larger than the {limit} bytes the target takes."
        raise Refused(Refusal(413, detail, "Send less.", close=True))
    try:
        return encodings.decode(request.body, coding, limit)
    except BodyTooLarge as large:
        detail = f"The body is too large: {large}."
        raise Refused(Refusal(413, detail, "Send less.", close=True)) from None
    except BodyUnreadable as unreadable:
        status = 415 if isinstance(unreadable, EncodingNotAccepted) else 400
        detail = f"The body cannot be decoded: {unreadable}."
        raise Refused(Refusal(status, detail, "Send it without Content-Encoding.")) from None


def unreadable_refusal(why: str) -> Refusal:
    return Refusal(400, f"The request cannot be read in one way only: {why}.", "Send it plainly.", close=True)


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
