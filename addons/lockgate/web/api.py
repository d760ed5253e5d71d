"""The approvals API: JSON over HTTP, for whoever shows an approver's token as Bearer (RFC 6750).

    GET    /api/whoami               who the token says you are
    GET    /api/approvals            `{"approvals": [...]}`: those you may see; all, or `?state=pending`
    GET    /api/approvals/ID         one, with all that is to be known before deciding, and its `digest`
    POST   /api/approvals/ID         `{"decision": "approve"|"deny", "digest": ..., "reason": "", "grant": "10m"}`; the
                                     same as it is then
    GET    /api/approvals/events     server-sent events: `approval`, with what the list says of one; `lost` where some
                                     were missed
    GET    /api/grants               `{"grants": [...]}`: those in force
    DELETE /api/grants/ID            `{"reason": ""}`; the grant, ended

Shapes: `lockgate.web.documents`. Errors are problem+json (RFC 9457): 400 not understood, 401 who are you, 403 not yours
to decide, 404 no such (or none that you may see), 409 too late or not what was shown, 422 a reason or less of a grant
is needed, 429 too much at once, 503 cannot be known or kept now. No cookie counts here, and no other site may ask.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from lockgate.approvals.approval import Approval, State, Vote
from lockgate.bodies.content_type import media_type
from lockgate.bodies.json import parse
from lockgate.model import Principal
from lockgate.policy.schema.values import wait
from lockgate.web import documents
from lockgate.web.following import Following
from lockgate.web.handler import Handler
from lockgate.web.problem import Problem
from lockgate.web.services import Services

BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")  # RFC 6750, 2.1
MAX_BODY = 16 * 1024  # bytes
MAX_REASON = 1000  # characters
STATES = {str(state): (state,) for state in State} | {"all": ()}


class Api(Handler):
    """Base: knows who asks."""

    approver: Principal

    async def prepare(self) -> None:
        super().prepare()
        if any(name in self.request.cookies for name in self.services.sessions.NAMES):
            raise Problem(400, "Send a token or the page's cookie, not both.")
        self.approver = await self.identified()
        if not self.request.query_arguments.keys() <= self.parameters:
            raise Problem(400, f"Parameters here are: {', '.join(self.parameters) or 'none'}.")

    parameters: frozenset[str] = frozenset()

    async def identified(self) -> Principal:
        """Raises Problem, and what Services.approver does."""
        found = BEARER.fullmatch(self.request.headers.get("Authorization", ""))
        if found is None:
            raise Problem(401, "Send an approver's token: Authorization: Bearer TOKEN.")
        return await self.services.approver(found[1], self.address, on_this_machine=self.is_on_this_machine)

    def members(self, **kinds: type) -> dict[str, Any]:
        """The body's members, each of these names and kinds. Raises Problem, BodyUnreadable."""
        if len(self.request.body) > MAX_BODY:
            raise Problem(413, f"The body has more than {MAX_BODY} bytes.")
        if media_type(self.request.headers.get("Content-Type")) != "application/json":
            raise Problem(415, "Send JSON, as application/json.")
        document = parse(self.request.body)
        if not isinstance(document, dict) or not document.keys() <= kinds.keys():
            raise Problem(400, f"The body is an object with these members: {', '.join(kinds)}.")
        for name, value in document.items():
            if not isinstance(value, kinds[name]):
                raise Problem(400, f"{name} is text.")
        return document

    def give_whole(self, approval: Approval) -> None:
        asker, now = approval.requester, self.services.clock()
        recent = self.services.recent(asker.issuer, asker.subject)
        self.give(documents.whole(approval, recent, self.approver, now))


class WhoAmI(Api):
    async def get(self) -> None:
        self.give(documents.whoami(self.approver))


class Approvals(Api):
    parameters = frozenset({"state"})

    async def get(self) -> None:
        given = self.get_query_arguments("state") or ["all"]
        if len(given) > 1 or given[0] not in STATES:
            raise Problem(400, f"state is one of {', '.join(STATES)}.")
        states = STATES[given[0]]
        found = [each for each in self.services.approvals(self.approver) if not states or each.state in states]
        self.give({"approvals": [documents.summary(each) for each in found]})


class One(Api):
    async def get(self, approval_id: str) -> None:
        found = self.services.approval(approval_id, self.approver)
        self.services.desk.show(found, self.approver, "api", self.address)
        self.give_whole(found)

    async def post(self, approval_id: str) -> None:
        self.services.approval(approval_id, self.approver)
        said = self.members(decision=str, digest=str, reason=str, grant=str)
        made = vote(self.services, self.approver, said, via="api", address=self.address)
        self.give_whole(await self.services.desk.decide(approval_id, self.approver, made))


class Events(Api, Following):
    async def get(self) -> None:
        await self.follow(self.approver, self.identified, event)


class Grants(Api):
    async def get(self) -> None:
        self.give({"grants": [documents.grant(each) for each in self.services.grants(self.approver)]})


class OneGrant(Api):
    async def delete(self, grant_id: str) -> None:
        said = self.members(reason=str) if self.request.body else {}
        reason = checked_reason(said.get("reason", ""))
        self.give(documents.grant(await self.services.desk.end_grant(grant_id, self.approver, reason)))


def event(approval: Approval) -> bytes:
    return b"event: approval\ndata: " + documents.dumps(documents.summary(approval)) + b"\n"


def vote(
    services: Services, approver: Principal, said: dict[str, Any], *, via: Literal["api", "page"], address: str
) -> Vote:
    """What somebody says, of checked kinds. Raises Problem (400)."""
    decision, digest, grant = said.get("decision"), said.get("digest"), said.get("grant")
    if decision not in ("approve", "deny") or not digest:
        raise Problem(400, "decision is approve or deny, digest is that of what was shown.")
    if grant is not None and decision == "deny":
        raise Problem(400, "A denial grants nothing.")
    return Vote(
        decision=decision,
        issuer=approver.issuer,
        subject=approver.subject,
        roles=approver.roles,
        at=services.clock(),
        via=via,
        address=address,
        digest=digest,
        reason=checked_reason(said.get("reason", "")),
        grant=0.0 if grant is None else seconds(grant),
        token_id=approver.token_id,
    )


def checked_reason(reason: str) -> str:
    if len(reason) > MAX_REASON:
        raise Problem(400, f"A reason has {MAX_REASON} characters at most.")
    return reason.strip()


def seconds(grant: str) -> float:
    try:
        return wait(grant)
    except ValueError:
        raise Problem(400, "grant is a time as in 10m or 1h.") from None


class NotFound(Handler):
    """Whatever there is not."""

    async def prepare(self) -> None:
        super().prepare()
        raise Problem(404, "There is nothing here.")


ROUTES = (
    (r"/api/whoami", WhoAmI),
    (r"/api/approvals", Approvals),
    (r"/api/approvals/events", Events),
    (r"/api/approvals/([A-Za-z0-9_-]{1,64})", One),
    (r"/api/grants", Grants),
    (r"/api/grants/([A-Za-z0-9_-]{1,64})", OneGrant),
    (r"/api(?:/.*)?", NotFound),
)
