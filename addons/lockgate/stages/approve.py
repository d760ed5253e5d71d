"""What a person has to decide: waits, in flight and before anything is connected, until somebody has.

The hold ends by the policy being asked again, under the rules then in force; nothing that happens in mitmweb is an
approval. Whoever waits for longer than a connection should is told to ask again: the hold goes on without one.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from functools import partial
from secrets import token_hex

from mitmproxy import ctx, http
from mitmproxy.hooks import UpdateHook

from lockgate.approvals.approval import Approval, Grant, State
from lockgate.approvals.shown import shown, shown_digest
from lockgate.asking import asker_of, fingerprint_of
from lockgate.decisions import decided_again
from lockgate.errors import BodyUnreadable, MaskingFailed, Refused, StoreUnavailable, TooManyHeld
from lockgate.exchange import Exchange, Message, Outgoing, exchange, status_url
from lockgate.model import Decision, Hold, Verdict
from lockgate.policy import digests
from lockgate.recordings.dump import flow_state
from lockgate.recordings.redact import Found
from lockgate.recordings.redactions import compile_redactions
from lockgate.refusals import FULL, NOBODY, NOT_KEPT, Refusal, pending
from lockgate.runtime import Runtime

TICK = 1.0  # seconds between two looks at whether somebody still waits, and may
RESPOND_ASYNC = re.compile(r"(?:^|,)\s*respond-async\s*(?:[,;]|$)", re.IGNORECASE)  # RFC 7240, 4.1
PREFER_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?:[,;]|$)", re.IGNORECASE)  # RFC 7240, 4.3

TOO_LARGE = Refusal(413, "The request is too large to be shown to a person.", "Ask for less at once.")
GONE = Refusal(503, "The caller hung up while its request was held.", close=True)
EXPIRED = Refusal(401, "The caller is not identified: expired.", "Get a fresh token, and send the same request again.")
GRANT_ENDED = Refusal(409, "What was granted ahead has ended meanwhile.", "Send the same request again.")
RULES_CHANGED = Refusal(409, "The rules changed while the request was held.", "Send the same request again.")
KILLED = Refusal(403, "The request was killed while it was held.", "Do not retry.")
EDITED = Refusal(403, "The request is not as it was held: somebody changed it.", "Send the request again.")
ASKED_ANEW = Refusal(409, "This is held anew, as what it is decided by has changed.", "Send the same request again.")
UNREADABLE = Refusal(403, "It cannot be read, so that it cannot be shown to a person.", "Send JSON.")
OF_TARGET = Refusal(503, "A message of the target cannot be held.", "Tell the operator.")

NOTHING: frozenset[Hold] = frozenset()


class Approve:
    """Lets nothing through that needs a person, before one has approved it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def request(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        decision = found.decision
        if decision is None or decision.verdict is not Verdict.HOLD:
            return
        started = time.monotonic()
        found.held = Outgoing.of(flow.request)
        try:
            await self._settle(flow, found, found.held)
        except StoreUnavailable:
            raise Refused(NOT_KEPT) from None
        finally:
            found.waited = time.monotonic() - started
            self._runtime.held.pop(flow.id, None)
            self._runtime.killed.discard(flow.id)
            if flow.intercepted:
                flow.resume()
        if Outgoing.of(flow.request) != found.held:
            raise Refused(EDITED)

    async def ws_message(self, flow: http.HTTPFlow) -> None:
        found = exchange(flow)
        held = found.decision is not None and found.decision.verdict is Verdict.HOLD
        if held and found.message is not None and not found.message.from_agent:
            raise Refused(OF_TARGET)
        await self.request(flow)

    async def _settle(self, flow: http.HTTPFlow, found: Exchange, outgoing: Outgoing) -> None:
        """Return once the request may go on, with what it may go on by. Raises Refused, StoreUnavailable."""
        desk = self._runtime.desk
        deadline = time.monotonic() + self._patience(found)
        waited_for: Approval | None = None
        while True:
            self._require_standing(found)
            grants = self._grants(found, self._decided(found, outgoing, NOTHING))
            decision = self._decided(found, outgoing, frozenset(grants))
            fingerprint = found.fingerprint = fingerprint_of(found, outgoing)
            approval = desk.find(fingerprint)
            if decision.verdict is Verdict.ALLOW:
                if approval is not None:
                    await desk.cancel(approval.id, "it is no longer held")
                self._go_on(found, grants, None)
                return
            if waited_for is not None and waited_for.state is State.CANCELLED and _is_of(waited_for, found):
                raise Refused(replace(ASKED_ANEW, rule=decision.rule))  # else two would take turns in asking
            if approval is not None and not approval.over and approval.binding != self._binding(found, decision):
                await desk.cancel(approval.id, "the rules have changed: it is asked for anew")
                continue
            waits_for_it = approval is not None and waited_for is not None and approval.id == waited_for.id
            if approval is not None and approval.over:
                self._require_no_outcome(approval, waits_for_it=waits_for_it)
            if approval is None or approval.over:
                approval = await self._ask(flow, found, decision, fingerprint, len(outgoing.body))
            elif not waits_for_it:
                approval = desk.join(approval)
            if approval.state is State.APPROVED and approval.binding == self._binding(found, decision):
                if self._decided(found, outgoing, frozenset([*grants, *approval.holds])).verdict is not Verdict.ALLOW:
                    raise Refused(RULES_CHANGED)
                self._go_on(found, grants, approval)
                return
            await self._show(flow, approval)
            waited_for = await self._wait(flow, found, approval, deadline)
            if waited_for.over:
                self._require_no_outcome(waited_for, waits_for_it=True)

    # What is asked of the policy

    def _decided(self, found: Exchange, outgoing: Outgoing, met: frozenset[Hold]) -> Decision:
        """What the rules now in force say, some holds being met. Raises Refused where they deny."""
        generation = self._runtime.current.generation
        assert found.generation is not None
        now = self._runtime.now()
        decision = decided_again(found, found.generation, generation, outgoing, now, met)
        if decision is None:
            raise Refused(RULES_CHANGED)
        if decision.verdict is Verdict.DENY:
            found.decision, found.generation, found.decided_at = decision, generation, now
            detail = decision.reason or f"The rule {decision.rule} denies this."
            raise Refused(Refusal(403, detail, "Do not retry unchanged.", decision.rule))
        found.decision, found.decided_at = decision, now
        found.generation = found.standing = generation
        return decision

    def _grants(self, found: Exchange, decision: Decision) -> dict[Hold, Grant]:
        """The holds that were granted to the caller ahead."""
        assert found.principal is not None and found.target is not None and found.generation is not None
        by_hold = {}
        for hold in decision.holds:
            bound_to = digests.grant_binding(found.generation, hold, found.target.name, asker_of(found).behind)
            if grant := self._runtime.desk.granted(found.principal, hold, found.target.name, bound_to):
                by_hold[hold] = grant
        return by_hold

    def _binding(self, found: Exchange, decision: Decision) -> str:
        assert found.generation is not None and found.target is not None
        return digests.binding(found.generation, decision, decision.holds, found.target)

    def _go_on(self, found: Exchange, grants: dict[Hold, Grant], approval: Approval | None) -> None:
        """Lets the request on: `approval` is used up just before its intent is recorded."""
        found.stood_at = time.monotonic()
        found.met = frozenset([*grants, *(approval.holds if approval else ())])
        found.grants = tuple(grant.id for grant in grants.values())
        if approval is not None:
            found.approval = approval.id
        found.spend = partial(self._spend, found, tuple(grants.values()), approval)

    async def _spend(self, found: Exchange, grants: tuple[Grant, ...], approval: Approval | None) -> None:
        """Record calls it before the intent. Raises Refused where it was used by another, or ended meanwhile."""
        desk = self._runtime.desk
        if found.gone is not None and found.gone():
            raise Refused(GONE)  # it was approved: whoever sends it again uses it
        for grant in grants:
            if not desk.is_in_force(grant.id):
                raise Refused(GRANT_ENDED)
        try:
            if approval is not None and not await desk.use(approval.id, found.id):
                raise Refused(_outcome(desk.get(approval.id) or approval))
        except StoreUnavailable:
            raise Refused(NOT_KEPT) from None
        for grant in grants:
            desk.use_grant(grant, found.id)

    # What is asked of persons

    async def _ask(
        self, flow: http.HTTPFlow, found: Exchange, decision: Decision, fingerprint: str, size: int
    ) -> Approval:
        assert found.generation is not None
        config = found.generation.gateway.approvals
        if config.listen is None:
            reason = f"{decision.reason} " if decision.reason else ""
            raise Refused(replace(NOBODY, detail=reason + NOBODY.detail, rule=decision.rule))
        if size > config.body or (found.message and len(found.message.content) > config.body):
            raise Refused(replace(TOO_LARGE, rule=decision.rule))
        draft = self._draft(flow, found, decision, fingerprint)
        try:
            return await self._runtime.desk.ask(draft, most=config.pending, most_of_one=config.per_principal)
        except TooManyHeld:
            raise Refused(replace(FULL, rule=decision.rule)) from None

    def _draft(self, flow: http.HTTPFlow, found: Exchange, decision: Decision, fingerprint: str) -> Approval:
        principal, target, generation = found.principal, found.target, found.generation
        assert principal is not None and target is not None and generation is not None
        config = generation.gateway.approvals
        now, asker = time.time(), asker_of(found)
        timeout = min(hold.timeout or config.timeout for hold in decision.holds)
        action = found.actions[0]
        state = flow_state(flow, {}, redactions=decision.redactions)
        request, kept = state["request"], state["metadata"]["lockgate"]
        if any("request" in kept.get(each, ()) for each in ("withheld", "truncated")):
            raise Refused(replace(UNREADABLE, rule=decision.rule))  # nobody approves what they do not see
        content = _redacted(found.message, decision) if found.message else request["content"] or b""
        draft = Approval(
            id=token_hex(16),
            revision=1,
            state=State.PENDING,
            asked_at=now,
            expires_at=now + timeout,
            requester=asker,
            fingerprint=fingerprint,
            binding=self._binding(found, decision),
            digest="",
            generation=generation.id,
            target=target.name,
            action=(action.verb, action.resource),
            holds=decision.holds,
            shown=shown(
                action.verb,
                f"{target.scheme}://{target.authority}{request['path'].decode('ascii', 'backslashreplace')}",
                request["headers"],
                content,
                decision.masks,
                decision.shows,
                target.credential,
            ),
            request_id=found.id,
            grantable=tuple(
                (hold.rule, digests.grant_binding(generation, hold, target.name, asker.behind))
                for hold in decision.holds
            ),
        )
        return replace(draft, digest=shown_digest(draft))

    # Waiting

    def _patience(self, found: Exchange) -> float:
        """For how many seconds the connection waits: as the gateway says, or for less where the caller does."""
        assert found.generation is not None and found.facts is not None
        wait = found.generation.gateway.approvals.wait
        prefers = ",".join(found.facts.headers.get("prefer", ()))
        if RESPOND_ASYNC.search(prefers):
            return 0.0
        shorter = PREFER_WAIT.search(prefers)
        return min(wait, float(shorter[1])) if shorter else wait

    async def _wait(self, flow: http.HTTPFlow, found: Exchange, approval: Approval, deadline: float) -> Approval:
        """The approval once it is another, or the rules are. Raises Refused: nobody waits any more, or may."""
        generation = found.generation
        while approval.state is State.PENDING:
            self._require_standing(found)
            if flow.id in self._runtime.killed:
                raise Refused(KILLED)
            if found.gone is not None and found.gone():
                raise Refused(GONE)
            left = deadline - time.monotonic()
            if left <= 0:
                raise Refused(_pending(flow, found, approval))
            later = await self._runtime.desk.changed(approval, min(left, TICK))
            if later.revision != approval.revision or self._runtime.current.generation is not generation:
                return later
        return approval

    def _require_standing(self, found: Exchange) -> None:
        """Raises Refused once the caller may not ask any more."""
        assert found.principal is not None and found.unrevoked is not None
        if found.principal.expires_at <= time.time():
            raise Refused(EXPIRED)
        found.unrevoked(found)

    def _require_no_outcome(self, approval: Approval, *, waits_for_it: bool) -> None:
        """Tell what became of it: whoever waited for it, all of it; whoever sends it again, that it was denied or has
        expired. What was used before is asked for anew, as is what was cancelled. Raises Refused.
        """
        if approval.state is State.EXPIRED:
            self._runtime.desk.forget(approval)
        if approval.state in (State.DENIED, State.EXPIRED) or (approval.state is State.USED and waits_for_it):
            raise Refused(_outcome(approval))

    async def _show(self, flow: http.HTTPFlow, approval: Approval) -> None:
        """In mitmweb as held, with what it waits for. To resume it there does nothing."""
        self._runtime.held[flow.id] = approval.id
        hold = approval.holds[0]
        who = " or ".join(hold.approvers) or "anybody who may approve"
        until = time.strftime("%H:%M:%S", time.gmtime(approval.expires_at))
        why = f": {hold.reason}" if hold.reason else ""
        flow.marked = ":raised_hand:"
        flow.comment = (
            f"hold: {hold.rule}{why} (approval {approval.id} by {who} until {until} UTC;"
            " decided on the approvals page: Resume here does nothing, Kill denies)"
        )
        if not flow.intercepted:
            flow.intercept()
        await ctx.master.addons.trigger_event(UpdateHook([flow]))


def _is_of(approval: Approval, found: Exchange) -> bool:
    """Whether it was asked for under the rules that a request is decided by."""
    return found.generation is not None and approval.generation == found.generation.id


def _redacted(message: Message, decision: Decision) -> bytes:
    """A message of a WebSocket without what the rules leave out of records. Raises Refused where that is not known."""
    kind = "application/json" if message.is_text else ""
    try:
        return compile_redactions(decision.redactions).body(message.content, kind, Found())
    except (BodyUnreadable, MaskingFailed):
        raise Refused(UNREADABLE) from None


def _pending(flow: http.HTTPFlow, found: Exchange, approval: Approval) -> Refusal:
    assert found.facts is not None
    asynchronously = RESPOND_ASYNC.search(",".join(found.facts.headers.get("prefer", ())))
    hold = approval.holds[0]
    return replace(
        pending(hold.rule, hold.reason),
        status=202 if asynchronously else 409,
        approval_id=approval.id,
        status_url=status_url(flow, approval.id),
        retry_after=30,
    )


def _outcome(approval: Approval) -> Refusal:
    """What became of a held request, for its caller."""
    rule = approval.holds[0].rule
    if approval.state is State.DENIED:
        why = f": {approval.outcome}" if approval.outcome else ""
        return Refusal(403, f"A person has denied this{why}.", "Do not retry.", rule, approval_id=approval.id)
    if approval.state is State.EXPIRED:
        steps = "Send it again to ask anew."
        return Refusal(409, "Nobody decided about this in time.", steps, rule, approval_id=approval.id)
    if approval.state is not State.USED:
        return Refusal(409, "What was approved has ended meanwhile.", "Send it again to ask anew.", rule)
    detail = "The same request was sent on by this approval already."
    return Refusal(409, detail, "Do not retry: look at what it has done.", rule, approval_id=approval.id)
