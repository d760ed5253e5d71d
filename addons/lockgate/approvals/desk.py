"""Where held requests and grants are kept while the gateway runs: asked, decided, used, each change durable first.

For one event loop. Nothing here knows how a request came, or how a person decides: it knows who may, and what follows.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from secrets import token_hex
from typing import Any, NamedTuple

from lockgate.approvals import changes
from lockgate.approvals.approval import Approval, Grant, State, Vote
from lockgate.approvals.ballot import may_end, require_fitting, require_permitted
from lockgate.approvals.revoked import IsRevoked, why_ended
from lockgate.approvals.store import Change, Rows, Store
from lockgate.approvals.watcher import Watcher
from lockgate.approvals.writer import Writer
from lockgate.errors import LockgateError, StoreUnavailable, TooManyHeld, VoteRefused
from lockgate.model import Happening, Hold, Principal

ROWS = 4  # times as many may be kept as may be pending: what is over stays for a while
BYTES = 256 * 1024 * 1024  # of what persons are shown, of all that is kept
KEPT = 600.0  # seconds that what became of a request is told to whoever sends it again
LOOK = 0.5  # seconds between two looks at what is due
RETRY = 5.0  # seconds until what is over is tried to be let go of again
TOGETHER = 100  # are ended with one wait for the disk

log = logging.getLogger(__name__)


class Asking(NamedTuple):
    """A hold that is not durable yet: by whom, and when it is."""

    asker: tuple[str, str]
    over: asyncio.Future[None]


def nobody(happening: Happening, approval: Approval) -> None:
    """Is told in place of persons."""


class Desk:
    """All held requests and grants, as the store has them."""

    def __init__(
        self,
        store: Store,
        *,
        note: Callable[[str, Mapping[str, Any]], None],
        keep: Callable[[str, Mapping[str, Any]], Awaitable[None]],
        tell: Callable[[Happening, Approval], None] = nobody,
        clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """`note` records a step, at once and without waiting; `keep` returns once a record is durable, and is asked for
        what leaves the store. `tell` is told of what persons want to know.
        """
        self._store = store
        self._writer = Writer(store, self._put)
        self._note = note
        self._keep = keep
        self._tell = tell
        self._clock = clock
        self._elapsed = elapsed
        self._approvals: dict[str, Approval] = {}
        self._grants: dict[str, Grant] = {}
        self._latest: dict[str, str] = {}  # the approval by its fingerprint
        self._granted: dict[tuple[str, str, str, str], set[str]] = {}  # grants by whom, rule and target
        self._held: Counter[tuple[str, str]] = Counter()  # how many wait for a person, by who asks
        self._kept: Counter[tuple[str, str]] = Counter()  # how many there are, by who asks
        self._bytes = 0  # of what persons are shown of all
        self._asking: dict[str, Asking] = {}  # by fingerprint, until they are durable
        self._due: list[tuple[float, str, int]] = []  # when something is to be done about which revision
        self._shown: dict[str, set[tuple[str, str]]] = {}  # to whom, by the approval's id
        self._revoked: list[IsRevoked] = []  # until what they gave and were given has ended
        self._deciding = 0  # how many decisions are being written
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._watchers: set[Watcher] = set()

    def open(self) -> None:
        """Take what the store has. Blocks on the disk. Raises StoreUnavailable."""
        self._fill(self._store.load())

    async def run(self) -> None:
        """Let expire what nobody decides or uses, and let go of what is over, until cancelled."""
        while True:
            if self._writer.broken:
                await asyncio.sleep(RETRY)  # all of it is read anew then
            try:
                await self.sweep()
            except LockgateError as error:
                log.error("Approvals: %s.", error)  # noqa: TRY400 - its text is the operator's
                await asyncio.sleep(RETRY)
            await asyncio.sleep(LOOK)

    async def close(self) -> None:
        """Wait for what is being written, and let go of the store."""
        await self._writer.close()

    # Looking

    @property
    def pending(self) -> int:
        """How many wait for a person."""
        return self._held.total()

    def approvals(self, *states: State) -> list[Approval]:
        """Those in one of `states`, or all there are; the oldest first."""
        return [each for each in self._approvals.values() if not states or each.state in states]

    def get(self, approval_id: str) -> Approval | None:
        return self._approvals.get(approval_id)

    def find(self, fingerprint: str) -> Approval | None:
        """The latest about the same request."""
        return self._approvals.get(self._latest.get(fingerprint, ""))

    def grants(self) -> list[Grant]:
        """Those in force, the oldest first."""
        return [each for each in self._grants.values() if self._is_in_force(each)]

    def is_in_force(self, grant_id: str) -> bool:
        found = self._grants.get(grant_id)
        return found is not None and self._is_in_force(found)

    def granted(self, principal: Principal, hold: Hold, target: str, binding: str) -> Grant | None:
        """A grant in force by which `hold` does not hold this principal's requests at `target`."""
        roles = tuple(sorted(principal.roles))
        for grant_id in self._granted.get((principal.issuer, principal.subject, hold.rule, target), ()):
            found = self._grants[grant_id]
            if found.binding == binding and found.roles == roles and self._is_in_force(found):
                return found
        return None

    def _is_in_force(self, grant: Grant) -> bool:
        """What was noted as revoked is not, though the store may not say so yet."""
        return changes.in_force(grant, self._clock()) and not any(why_ended(grant, each) for each in self._revoked)

    async def changed(self, approval: Approval, within: float) -> Approval:
        """The same one as soon as it is another than it was, or after so many seconds."""
        held = self._approvals.get(approval.id)
        if held is not None and held.revision == approval.revision:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = self._waiting.setdefault(approval.id, set())
            waiting.add(future)
            try:
                await asyncio.wait([future], timeout=within)
            finally:
                waiting.discard(future)
                if not waiting:
                    self._waiting.pop(approval.id, None)
        return self._approvals.get(approval.id, approval)

    def watch(self) -> Watcher:
        """Everything that changes from now on; `unwatch` must follow."""
        watcher = Watcher()
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def show(self, approval: Approval, approver: Principal, via: str, address: str) -> None:
        """Note that somebody is shown it, to decide: once for each."""
        who = (approver.issuer, approver.subject)
        seen = self._shown.setdefault(approval.id, set())
        if who not in seen:
            seen.add(who)
            to = {"issuer": approver.issuer, "subject": approver.subject, "via": via, "address": address}
            self._note("approval", {**changes.step("shown", approval), "to": to})

    # Asking

    async def ask(self, draft: Approval, *, most: int, most_of_one: int) -> Approval:
        """Hold a request: `draft`, once it is durable, or what its fingerprint is about already and is not over.

        Raises StoreUnavailable, and TooManyHeld where `most` are pending, or `most_of_one` of the same caller.
        """
        while draft.fingerprint in self._asking:
            await asyncio.wait([self._asking[draft.fingerprint].over])
        found = self.find(draft.fingerprint)
        if found is not None and not found.over:
            return self.join(found)
        asker = (draft.requester.issuer, draft.requester.subject)
        self._require_room(asker, len(draft.shown.body), most, most_of_one)
        asking = self._asking[draft.fingerprint] = Asking(asker, asyncio.get_running_loop().create_future())
        try:
            if not await self._writer.write(Change(draft)):
                raise StoreUnavailable("the approvals' store has something else under a new id")
        finally:
            del self._asking[draft.fingerprint]
            asking.over.set_result(None)
        asked = self._approvals[draft.id]
        self._latest[asked.fingerprint] = asked.id
        self._step("asked", asked)
        self._tell("asked", asked)
        return asked

    def _require_room(self, asker: tuple[str, str], size: int, most: int, most_of_one: int) -> None:
        """Raises TooManyHeld where no more may wait for a person, or be kept."""
        asking, asking_of_one = len(self._asking), sum(each.asker == asker for each in self._asking.values())
        held, held_of_one = self.pending + asking, self._held[asker] + asking_of_one
        kept, kept_of_one = len(self._approvals) + asking, self._kept[asker] + asking_of_one
        if held >= most or held_of_one >= most_of_one:
            raise TooManyHeld
        if kept >= ROWS * most or kept_of_one >= ROWS * most_of_one or self._bytes + size > BYTES:
            raise TooManyHeld

    def join(self, approval: Approval) -> Approval:
        """Note that one more request waits for it."""
        joined = self._approvals[approval.id] = replace(approval, joined=approval.joined + 1)
        for watcher in self._watchers:
            watcher.put(joined)
        self._step("joined", joined)
        return joined

    def forget(self, approval: Approval) -> None:
        """The same request sent again is a new one: its caller has been told what became of this."""
        if self._latest.get(approval.fingerprint) == approval.id:
            del self._latest[approval.fingerprint]

    # Deciding

    async def decide(self, approval_id: str, approver: Principal, vote: Vote) -> Approval:
        """Count what a person says; `vote` is of this `approver`. Raises VoteRefused, StoreUnavailable."""

        def voted(held: Approval) -> Approval:
            require_permitted(held, approver)
            if changes.is_due(held, self._clock()):
                raise VoteRefused(409, "It has expired: nobody decided in time.")
            require_fitting(held, vote)
            return changes.voted(held, vote, self._clock())

        await self.end_noted()
        self._deciding += 1
        try:
            changed = await self._change(approval_id, voted)
            self._step("voted", changed, vote)
            if changed.state is State.APPROVED:
                await self._grant(changed)
        finally:
            self._deciding -= 1
        if changed.state in (State.DENIED, State.APPROVED):
            self._tell("denied" if changed.state is State.DENIED else "approved", changed)
        return self._approvals.get(approval_id, changed)

    async def _grant(self, approval: Approval) -> None:
        """What those who approved have granted beyond the request itself."""
        seconds = approval.ahead or changes.granted_for(approval)
        for hold in approval.holds if seconds else ():
            made = changes.grant(approval, hold, seconds, self._clock(), token_hex(12))
            await self._writer.write(Change(made))
            self._note("grant", {"step": "granted", **made.document()})
        if approval.ahead:
            await self.use(approval.id, "")

    async def end_grant(self, grant_id: str, approver: Principal, reason: str) -> Grant:
        """Take a grant back: anybody may who approves, but not their own. Raises VoteRefused, StoreUnavailable."""
        while True:
            held = self._grants.get(grant_id)
            if held is None or held.ended_at is not None or not may_end(held, approver):
                raise VoteRefused(404, "There is no such grant.")
            if (held.issuer, held.subject) == (approver.issuer, approver.subject):
                raise VoteRefused(403, "Nobody decides about a grant of their own.")
            outcome = f"ended by {approver.subject}" + (f": {reason}" if reason else "")
            end = replace(held, revision=held.revision + 1, ended_at=self._clock(), outcome=outcome)
            if await self._writer.write(Change(end)):
                self._note("grant", {"step": "ended", **end.document()})
                return end

    def use_grant(self, grant: Grant, request_id: str) -> None:
        """Count that a request goes on by a grant: its own record says so too."""
        if held := self._grants.get(grant.id):
            self._grants[grant.id] = replace(held, uses=held.uses + 1)
        self._note("grant", {"step": "used", "id": grant.id, "rule": grant.rule, "request_id": request_id})

    # What follows

    async def use(self, approval_id: str, request_id: str) -> bool:
        """Use an approval up, for one request: durable once this returns. False where it cannot be used any more.

        Raises StoreUnavailable: nobody knows whether it is used, so nothing may be sent.
        """
        await self.end_noted()
        try:
            changed = await self._change(approval_id, lambda held: changes.used(held, self._clock(), request_id))
        except VoteRefused:
            return False
        self._step("used", changed)
        return True

    async def cancel(self, approval_id: str, why: str) -> None:
        """End what nobody needs to decide any more. Raises StoreUnavailable."""
        try:
            changed = await self._change(approval_id, lambda held: changes.cancelled(held, self._clock(), why))
        except VoteRefused:
            return
        self._step("cancelled", changed)
        self._tell("cancelled", changed)

    async def kill(self, approval_id: str, why: str) -> None:
        """A denial by somebody who cannot be told by name. Raises StoreUnavailable."""
        try:
            changed = await self._change(approval_id, lambda held: changes.killed(held, self._clock(), why))
        except VoteRefused:
            return
        self._step("killed", changed)
        self._tell("denied", changed)

    def note_revoked(self, is_revoked: IsRevoked) -> None:
        """What was asked by, or granted to, callers that are revoked is void from now on, and so is what others who are
        have approved: it does not come back when they do. `end_noted` makes it durable, and `run` tries that again.
        """
        self._revoked.append(is_revoked)

    async def end_noted(self) -> None:
        """End what was noted as revoked. Raises StoreUnavailable."""
        for is_revoked in list(self._revoked):
            all_written = not self._deciding  # else a grant may still be on its way to the store
            await self._end_revoked(is_revoked)
            if all_written and is_revoked in self._revoked:
                self._revoked.remove(is_revoked)

    async def _end_revoked(self, is_revoked: IsRevoked) -> None:
        for approval in self.approvals(State.PENDING, State.APPROVED):
            if why := why_ended(approval, is_revoked):
                await self.cancel(approval.id, why)
        for grant_id in list(self._grants):
            while (held := self._grants.get(grant_id)) and held.ended_at is None and why_ended(held, is_revoked):
                end = replace(held, revision=held.revision + 1, ended_at=self._clock(), outcome="revoked")
                if await self._writer.write(Change(end)):
                    self._note("grant", {"step": "ended", **end.document()})

    async def sweep(self) -> None:
        """Let expire what is due, and let go of what has been over for a while.

        Raises StoreUnavailable, RecordingUnavailable.
        """
        if self._writer.broken:
            self._fill(await self._writer.load())
        await self.end_noted()
        while due := self._take_due():
            ended = await asyncio.gather(*map(self._end, due), return_exceptions=True)
            faults = [(held, fault) for held, fault in zip(due, ended, strict=True) if fault is not None]
            for held, _ in faults:
                heapq.heappush(self._due, (self._elapsed(), held.id, held.revision))
            if faults:
                raise faults[0][1]
        now = self._clock()
        for grant in [each for each in self._grants.values() if not changes.in_force(each, now)]:
            await self._keep("grant", {"step": "closed", **grant.document()})
            await self._writer.write(Change(grant, removes=True))

    def _take_due(self) -> list[Approval]:
        """Some of those that are due now, which wait for the disk together."""
        due: list[Approval] = []
        while len(due) < TOGETHER and self._due and self._due[0][0] <= self._elapsed():
            _, approval_id, revision = heapq.heappop(self._due)
            held = self._approvals.get(approval_id)
            if held is not None and held.revision == revision:  # else something has been done about it since
                due.append(held)
        return due

    async def _end(self, due: Approval) -> None:
        await (self._let_go(due) if due.over else self._expire(due))

    async def _expire(self, approval: Approval) -> None:
        try:
            changed = await self._change(approval.id, lambda held: changes.expired(held, self._clock()))
        except VoteRefused:
            return
        self._step("expired", changed)
        self._tell("expired", changed)

    async def _let_go(self, approval: Approval) -> None:
        """Its whole story is in the recordings before the store forgets it; the request itself has a record of its own,
        which says no more of it than the rules let it.
        """
        story = {name: value for name, value in approval.document().items() if name != "shown"}
        await self._keep("approval", {"step": "closed", **story})
        await self._writer.write(Change(approval, removes=True))

    # Changes

    async def _change(self, approval_id: str, alter: Callable[[Approval], Approval]) -> Approval:
        """What `alter` makes of it, durable; asked anew where somebody else was faster.

        Raises what `alter` raises, VoteRefused, StoreUnavailable.
        """
        while True:
            held = self._approvals.get(approval_id)
            if held is None:
                raise VoteRefused(404, "There is no such approval.")
            altered = replace(alter(held), revision=held.revision + 1)
            if await self._writer.write(Change(altered)):
                return altered

    def _put(self, change: Change) -> None:
        """Make of the memory what the store has."""
        row = change.row
        if isinstance(row, Grant):
            self._put_grant(row, removes=change.removes)
        else:
            self._put_approval(row, removes=change.removes)

    def _put_grant(self, grant: Grant, *, removes: bool) -> None:
        filed = self._granted.setdefault((grant.issuer, grant.subject, grant.rule, grant.target), set())
        if removes or grant.ended_at is not None:
            filed.discard(grant.id)
        else:
            filed.add(grant.id)
        if removes:
            self._grants.pop(grant.id, None)
        else:
            self._grants[grant.id] = grant

    def _put_approval(self, approval: Approval, *, removes: bool) -> None:
        before = self._approvals.pop(approval.id, None)
        asker = (approval.requester.issuer, approval.requester.subject)
        if before is not None and before.state is State.PENDING:
            self._held[asker] -= 1
        if approval.state is State.PENDING and not removes:
            self._held[asker] += 1
        present, size = int(not removes) - int(before is not None), len(approval.shown.body)
        self._kept[asker] += present
        self._bytes += present * size
        for counted in (self._held, self._kept):
            if not counted[asker]:
                del counted[asker]
        if removes:
            self.forget(approval)
            self._shown.pop(approval.id, None)
        else:
            self._approvals[approval.id] = approval
            self._remind(approval)
            for watcher in self._watchers:
                watcher.put(approval)
        self._wake(approval.id)

    def _remind(self, approval: Approval) -> None:
        """Note when something is to be done about it, on a clock that nobody sets."""
        if approval.ended_at is not None:
            end, most = approval.ended_at + KEPT, KEPT
        else:
            end, most = approval.expires_at, approval.expires_at - approval.asked_at
        left = min(max(end - self._clock(), 0.0), most)
        heapq.heappush(self._due, (self._elapsed() + left, approval.id, approval.revision))

    def _wake(self, approval_id: str) -> None:
        for future in self._waiting.get(approval_id, ()):
            if not future.done():
                future.set_result(None)

    def _fill(self, rows: Rows) -> None:
        for each in (self._approvals, self._grants, self._latest, self._granted, self._held, self._kept, self._due):
            each.clear()
        self._bytes = 0
        for approval in sorted(rows.approvals, key=lambda each: each.asked_at):
            self._put_approval(approval, removes=False)
            self._latest[approval.fingerprint] = approval.id
        for grant in rows.grants:
            self._put_grant(grant, removes=False)
        for approval_id in list(self._waiting):
            self._wake(approval_id)

    def _step(self, name: str, approval: Approval, vote: Vote | None = None) -> None:
        self._note("approval", changes.step(name, approval, vote))
