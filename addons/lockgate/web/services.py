"""What the handlers of the API and the page work with, and how whoever asks is found out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lockgate.approvals.approval import Approval, Grant
from lockgate.approvals.ballot import may_end, may_see
from lockgate.approvals.desk import Desk
from lockgate.approvals.recent import Recent
from lockgate.errors import TokenRejected, VoteRefused
from lockgate.limits import Attempts, HeldTokens
from lockgate.model import Approvals, Principal
from lockgate.web.followers import Followers
from lockgate.web.problem import Problem
from lockgate.web.sessions import Sessions
from lockgate.web.sign_in import SignIns

RATE, BURST = 1.0, 30  # failed attempts of an address: a second, and at once

Verify = Callable[[str, bool], Awaitable[Principal]]


@dataclass
class Services:
    """One gateway's. For one event loop."""

    desk: Desk
    config: Callable[[], Approvals]
    verify: Verify
    recent: Callable[[str, str], Sequence[Recent]]
    sign_ins: SignIns
    clock: Callable[[], float] = time.time
    sessions: Sessions = field(default_factory=Sessions)
    followers: Followers = field(default_factory=Followers)
    attempts: Attempts = field(default_factory=lambda: Attempts(RATE, BURST))
    known: HeldTokens = field(default_factory=HeldTokens)

    async def approver(self, token: str, address: str, *, on_this_machine: bool) -> Principal:
        """Whom a token identifies. Raises Problem (429) where too many did not from this address, TokenRejected,
        KeysUnavailable, RevocationsUnavailable.
        """
        require_ascii(token)
        if token not in self.known:
            self.require_attempts_left(address)
        try:
            principal = await self.verify(token, on_this_machine)
        except TokenRejected:
            self.known.discard(token)
            self.attempts.failed(address, time.monotonic())
            raise
        self.known.add(token)
        return principal

    def require_attempts_left(self, address: str) -> None:
        """Raises Problem (429)."""
        if self.attempts.too_many(address, time.monotonic()):
            raise Problem(429, "Too many attempts to be identified have failed: wait a minute.", retry_after=60)

    def approvals(self, approver: Principal) -> list[Approval]:
        """Those that somebody may see, the oldest first."""
        return [each for each in self.desk.approvals() if may_see(each, approver)]

    def approval(self, approval_id: str, approver: Principal) -> Approval:
        """Raises VoteRefused (404) where there is none, or none that they may see: nobody finds out which."""
        found = self.desk.get(approval_id)
        if found is None or not may_see(found, approver):
            raise VoteRefused(404, "There is no such approval.")
        return found

    def grants(self, approver: Principal) -> list[Grant]:
        """Those in force that somebody may see, and end."""
        return [each for each in self.desk.grants() if may_end(each, approver)]


def require_ascii(token: str) -> None:
    if not token.isascii():
        raise TokenRejected("malformed")
