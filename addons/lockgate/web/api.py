"""The approvals API, for programs: an approver's token as Bearer, JSON in and out; docs/approvals-api.md has it."""

from __future__ import annotations

import json
import time
from typing import Any

from tornado.iostream import StreamClosedError

from lockgate.approvals.approval import Approval, State, Vote
from lockgate.approvals.ballot import may_see
from lockgate.bodies.json import is_json, parse
from lockgate.errors import (
    BodyUnreadable,
    KeysUnavailable,
    RevocationsUnavailable,
    StoreUnavailable,
    TokenRejected,
    VoteRefused,
)
from lockgate.model import Principal
from lockgate.web import documents
from lockgate.web.base import Handler, Problem
from lockgate.web.periods import period

HEARTBEAT = 10.0  # seconds between two looks whether whoever follows may still see it
MEMBERS = {"decision": str, "digest": str, "reason": str, "grant": str}
NO_SUCH = "There is no such approval."
LONGEST_REASON = 1000  # characters
HOW = "Send an approver's token: Authorization: Bearer TOKEN."


class Api(Handler):
    """Whoever asks here has shown a token with this very request: no cookie counts."""

    async def approver(self) -> Principal:
        """Raises Problem."""
        value = self.header("Authorization") or ""
        scheme, _, token = value.partition(" ")
        if self.site.attempts.too_many(self.address, time.monotonic()):
            raise Problem(429, "Too many tokens were not taken. Wait a while.")
        try:
            if scheme.lower() != "bearer" or not token.strip():
                raise TokenRejected("no token was sent")
            return await self.site.verify(token.strip(), self.is_loopback)
        except TokenRejected as rejected:
            self.site.attempts.failed(self.address, time.monotonic())
            self.set_header("WWW-Authenticate", 'Bearer realm="lockgate approvals"')
            raise Problem(401, f"The token is not taken: {rejected.reason}. {HOW}") from None
        except (KeysUnavailable, RevocationsUnavailable):
            raise Problem(503, "It cannot be told now who you are. Try again soon.") from None

    def require_parameters(self, *known: str) -> None:
        unknown = sorted(self.request.query_arguments.keys() - set(known))
        if unknown or any(len(values) > 1 for values in self.request.query_arguments.values()):
            raise Problem(400, f"The query takes {', '.join(known) or 'nothing'}, each once.")

    def members(self, **known: type) -> dict[str, Any]:
        """The members of the JSON object in the body. Raises Problem."""
        if not is_json(self.header("Content-Type")):
            raise Problem(415, "Send application/json.")
        try:
            document = parse(self.request.body)
        except BodyUnreadable as unreadable:
            raise Problem(400, f"{unreadable}.") from None
        if not isinstance(document, dict) or not document.keys() <= known.keys():
            raise Problem(400, f"An object with {', '.join(known)} is taken, and nothing else.")
        if any(type(value) is not known[name] for name, value in document.items()):
            raise Problem(400, "Every member is text.")
        return document

    def seen(self, approver: Principal, approval_id: str) -> Approval:
        """One that this approver may see; of others nobody is told that they exist."""
        found = self.site.desk.get(approval_id)
        if found is None or not may_see(found, approver):
            raise Problem(404, NO_SUCH)
        return found

    def whole(self, approval: Approval, approver: Principal) -> dict[str, Any]:
        asker = approval.requester
        return documents.whole(approval, approver, self.site.recent(asker.issuer, asker.subject))


class Whoami(Api):
    async def get(self) -> None:
        self.require_parameters()
        who = await self.approver()
        self.send_json(
            {
                "issuer": who.issuer,
                "subject": who.subject,
                "roles": list(who.roles),
                "expires_at": documents.moment(who.expires_at),
            }
        )


class Approvals(Api):
    async def get(self) -> None:
        self.require_parameters("state")
        approver = await self.approver()
        wanted = self.get_query_argument("state", "all")
        if wanted != "all" and wanted not in [str(each) for each in State]:
            raise Problem(400, f"state is one of all, {', '.join(State)}.")
        found = self.site.desk.approvals(*([] if wanted == "all" else [State(wanted)]))
        self.send_json({"approvals": [documents.summary(each) for each in found if may_see(each, approver)]})


class One(Api):
    async def get(self, approval_id: str) -> None:
        self.require_parameters()
        approver = await self.approver()
        self.send_json(self.whole(self.seen(approver, approval_id), approver))

    async def post(self, approval_id: str) -> None:
        self.require_parameters()
        approver = await self.approver()
        self.seen(approver, approval_id)
        said = self.members(**MEMBERS)
        if said.get("decision") not in ("approve", "deny") or "digest" not in said:
            raise Problem(400, "decision is approve or deny, and digest that of what was shown.")
        vote = vote_of(approver, said, "api", self.address)
        changed = await decided(self, approval_id, approver, vote)
        self.send_json(self.whole(changed, approver))


def vote_of(approver: Principal, said: dict[str, Any], via: str, address: str) -> Vote:
    """What a person says. Raises Problem."""
    reason = said.get("reason", "").strip()
    if len(reason) > LONGEST_REASON:
        raise Problem(422, f"A reason has {LONGEST_REASON} characters at most.")
    seconds = period(said["grant"]) if said.get("grant") else 0.0
    if seconds is None or (seconds and said["decision"] == "deny"):
        raise Problem(422, "An approval grants for a time as 10m or 1h.")
    return Vote(
        decision=said["decision"],
        issuer=approver.issuer,
        subject=approver.subject,
        roles=approver.roles,
        at=time.time(),
        via=via,
        address=address,
        digest=said["digest"],
        reason=reason,
        grant=seconds,
        token_id=approver.token_id,
    )


async def decided(handler: Handler, approval_id: str, approver: Principal, vote: Vote) -> Approval:
    """What became of it by this vote. Raises Problem."""
    try:
        return await handler.site.desk.decide(approval_id, approver, vote)
    except VoteRefused as refused:
        raise Problem(refused.status, str(refused)) from None
    except StoreUnavailable:
        raise Problem(503, "It cannot be kept now, so it does not count. Try again soon.") from None


class Grants(Api):
    async def get(self) -> None:
        self.require_parameters()
        await self.approver()
        self.send_json({"grants": [documents.grant_document(each) for each in self.site.desk.grants()]})


class OneGrant(Api):
    async def delete(self, grant_id: str) -> None:
        self.require_parameters()
        approver = await self.approver()
        said = self.members(reason=str) if self.request.body else {}
        try:
            ended = await self.site.desk.end_grant(grant_id, approver, said.get("reason", ""))
        except VoteRefused as refused:
            raise Problem(refused.status, str(refused)) from None
        except StoreUnavailable:
            raise Problem(503, "It cannot be kept now, so it does not count. Try again soon.") from None
        self.send_json(documents.grant_document(ended))


class Events(Api):
    """Server-sent events: `approval`, whose data is as one of the list; `lost`, when the list has to be read again."""

    async def get(self) -> None:
        self.require_parameters()
        approver = await self.approver()
        await follow(self, approver, self.approver)


async def follow(handler: Handler, approver: Principal, again: Any) -> None:
    """Send changes until whoever follows is gone, or may not see them any more: `again` tells who it is by then."""
    desk, site = handler.site.desk, handler.site
    who = (approver.issuer, approver.subject)
    if not site.follow(who):
        raise Problem(429, "There are too many that follow what changes.")
    watcher = desk.watch()
    try:
        handler.set_header("Content-Type", "text/event-stream")
        handler.write(": what changes from now on\n\n")
        await handler.flush()
        while not site.closing:
            changed = await watcher.next(HEARTBEAT)
            try:
                approver = await again()
            except Problem:
                return  # the head of the answer has gone out
            if watcher.lost:
                handler.write("event: lost\ndata: {}\n\n")
                await handler.flush()
                return
            if changed is None:
                handler.write(": still here\n\n")
            elif may_see(changed, approver):
                handler.write(f"event: approval\ndata: {json.dumps(documents.summary(changed))}\n\n")
            await handler.flush()
    except StreamClosedError:
        return  # whoever followed is gone
    finally:
        desk.unwatch(watcher)
        site.unfollow(who)
