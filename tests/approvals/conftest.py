"""Held requests without a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.office import BIG, ISSUER, Clock, MemoryStore, Office, desk_of
from lockgate.approvals.approval import Approval, Requester, Shown, State, Vote
from lockgate.approvals.shown import shown_digest
from lockgate.model import Principal


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def office(clock: Clock) -> AsyncIterator[Office]:
    made = desk_of(MemoryStore(), clock)
    yield made
    await made.desk.close()


@pytest.fixture
def draft(clock: Clock) -> Callable[..., Approval]:
    """A request that is to be held; every test says what is different about it."""

    def made(approval_id: str = "a1", **different: Any) -> Approval:
        base = Approval(
            id=approval_id,
            revision=1,
            state=State.PENDING,
            asked_at=clock.now,
            expires_at=clock.now + 900,
            requester=Requester(ISSUER, "agent-7", ("support",), "jti-1"),
            fingerprint=f"print-{approval_id}",
            binding="b1",
            digest="",
            generation="g1",
            target="crm",
            action=("POST", "/refunds"),
            holds=(BIG,),
            shown=Shown(
                "POST", "https://api.crm.example/refunds", (("content-type", "application/json"),), "{}", "json"
            ),
            request_id="r1",
            grantable=((BIG.rule, "gb1"),),
        )
        changed = replace(base, **different)
        return replace(changed, digest=shown_digest(changed))

    return made


@pytest.fixture
def make_vote(clock: Clock) -> Callable[..., Vote]:
    """What a person says about an approval."""

    def made(approval: Approval, who: Principal, decision: str = "approve", **different: Any) -> Vote:
        base = Vote(
            decision="approve" if decision == "approve" else "deny",
            issuer=who.issuer,
            subject=who.subject,
            roles=who.roles,
            at=clock.now,
            via="api",
            address="127.0.0.1",
            digest=approval.digest,
        )
        return replace(base, **different)

    return made
