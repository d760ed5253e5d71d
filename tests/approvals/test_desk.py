"""The desk: whoever asks, decides, joins, comes too late, or at once with somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.office import BIG, ISSUER, Clock, Office, desk_of, person
from lockgate.approvals import desk as desk_module
from lockgate.approvals.approval import Approval, Grant, Requester, Shown, State, Vote
from lockgate.approvals.desk import KEPT
from lockgate.errors import StoreUnavailable, TooManyHeld, VoteRefused
from lockgate.model import Hold, Principal

Draft = Callable[..., Approval]
Says = Callable[..., Vote]
MANY = {"most": 1000, "most_of_one": 100}
AGENT = Principal(ISSUER, "agent-7", ("support",), 2_000_000.0)


async def test_asked_decided_used(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    assert (asked.state, office.desk.pending) == (State.PENDING, 1)
    approved = await office.desk.decide("a1", person(), make_vote(asked, person()))
    assert (approved.state, office.desk.pending, approved.decided_at) == (State.APPROVED, 0, office.clock.now)
    assert await office.desk.use("a1", "r2")
    used = office.desk.get("a1")
    assert used is not None and (used.state, used.used_by) == (State.USED, "r2")
    assert office.store.rows["a1"].revision == 3
    assert office.steps() == ["asked", "voted", "used"]
    assert office.told == [("asked", "a1"), ("approved", "a1")]


async def test_it_is_used_once(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    used = await asyncio.gather(*(office.desk.use("a1", f"r{number}") for number in range(20)))
    assert used.count(True) == 1


async def test_what_is_pending_cannot_be_used(office: Office, draft: Draft) -> None:
    await office.desk.ask(draft(), **MANY)
    assert not await office.desk.use("a1", "r1")
    assert not await office.desk.use("guessed", "r1")


async def test_one_approves_and_one_denies_at_once(office: Office, draft: Draft, make_vote: Says) -> None:
    """Whichever is first: the end is a denial, and nothing was used."""
    asked = await office.desk.ask(draft(), **MANY)
    yes, no = person("fiona"), person("felix")
    await asyncio.gather(
        office.desk.decide("a1", yes, make_vote(asked, yes)),
        office.desk.decide("a1", no, make_vote(asked, no, "deny", reason="No ticket.")),
        return_exceptions=True,
    )
    ended = office.desk.get("a1")
    assert ended is not None and (ended.state, ended.outcome) == (State.DENIED, "No ticket.")
    assert not await office.desk.use("a1", "r1")


async def test_two_approve_at_once_where_two_are_needed(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(holds=(Hold("support/big", "d", quorum=2, approvers=("finance",)),)), **MANY)
    people = [person("fiona"), person("felix")]
    await asyncio.gather(*(office.desk.decide("a1", each, make_vote(asked, each)) for each in people))
    approved = office.desk.get("a1")
    assert approved is not None and approved.state is State.APPROVED
    assert {each.subject for each in approved.votes} == {"fiona", "felix"}


async def test_the_same_person_counts_once(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(holds=(Hold("support/big", "d", quorum=2, approvers=("finance",)),)), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    with pytest.raises(VoteRefused, match="somebody else"):
        await office.desk.decide("a1", person(), make_vote(asked, person()))
    assert office.desk.pending == 1


async def test_an_approval_can_be_taken_back_until_it_is_used(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    denied = await office.desk.decide("a1", person(), make_vote(asked, person(), "deny"))
    assert denied.state is State.DENIED
    with pytest.raises(VoteRefused) as refused:
        await office.desk.decide("a1", person(), make_vote(asked, person()))
    assert refused.value.status == 409


async def test_identical_requests_join(office: Office, draft: Draft) -> None:
    """At once, while the first is not durable yet, and later."""
    asked = await asyncio.gather(*(office.desk.ask(draft(f"a{n}", fingerprint="same"), **MANY) for n in range(5)))
    later = await office.desk.ask(draft("late", fingerprint="same"), **MANY)
    assert len({each.id for each in (*asked, later)}) == 1
    assert (later.joined, office.desk.pending, len(office.store.rows)) == (5, 1, 1)
    assert office.steps() == ["asked", *["joined"] * 5]


async def test_whoever_waits_is_told_at_once(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    waiting = [asyncio.create_task(office.desk.changed(asked, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    assert {each.state for each in await asyncio.gather(*waiting)} == {State.APPROVED}
    assert (await office.desk.changed(asked, 60)).state is State.APPROVED  # whoever comes later does not wait


async def test_whoever_waits_gets_it_as_it_is_in_the_end(office: Office, draft: Draft) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    assert await office.desk.changed(asked, 0.01) is asked


@pytest.mark.parametrize(
    ("limits", "taken"),
    [
        pytest.param({"most": 3, "most_of_one": 100}, 3, id="in-all"),
        pytest.param({"most": 100, "most_of_one": 2}, 2, id="of-one"),
    ],
)
async def test_no_more_are_held_than_may_be(office: Office, draft: Draft, limits: dict[str, int], taken: int) -> None:
    asked = [office.desk.ask(draft(f"a{number}"), **limits) for number in range(6)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, Approval) for each in found) == taken
    assert sum(isinstance(each, TooManyHeld) for each in found) == 6 - taken
    await office.desk.cancel("a0", "enough")
    await office.desk.ask(draft("again"), **limits)


async def test_nobody_decides_their_own(office: Office, draft: Draft, make_vote: Says) -> None:
    behind = Requester(ISSUER, "agent-7", ("support",), None, ((ISSUER, "anna"),))
    asked = await office.desk.ask(draft(requester=behind), **MANY)
    for subject in ("agent-7", "anna"):
        own = person(subject)
        for decision in ("approve", "deny"):
            with pytest.raises(VoteRefused) as refused:
                await office.desk.decide("a1", own, make_vote(asked, own, decision))
            assert refused.value.status == 403
    stranger = person("agent-7", issuer="https://other.example")
    assert (await office.desk.decide("a1", stranger, make_vote(asked, stranger))).state is State.APPROVED


async def test_it_expires_and_says_so(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    office.clock.pass_(900)
    with pytest.raises(VoteRefused, match="expired"):  # though nobody has swept yet
        await office.desk.decide("a1", person(), make_vote(asked, person()))
    await office.desk.sweep()
    ended = office.desk.get("a1")
    assert ended is not None and (ended.state, ended.outcome) == (State.EXPIRED, "nobody decided in time")
    assert office.told[-1] == ("expired", "a1")


async def test_what_was_approved_is_used_in_time_or_not_at_all(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    office.clock.pass_(800)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    office.clock.pass_(899)
    await office.desk.sweep()
    held = office.desk.get("a1")
    assert held is not None and held.state is State.APPROVED
    office.clock.pass_(1)
    assert not await office.desk.use("a1", "r1")
    await office.desk.sweep()
    held = office.desk.get("a1")
    assert held is not None and (held.state, held.outcome) == (State.EXPIRED, "it was not used in time")


@pytest.mark.parametrize("jump", [-10 * 86400.0, -3600.0])
async def test_a_clock_that_is_set_back_gives_no_more_time(office: Office, draft: Draft, jump: float) -> None:
    await office.desk.ask(draft(), **MANY)
    office.clock.now += jump
    office.clock.pass_(900)
    await office.desk.sweep()
    held = office.desk.get("a1")
    assert held is not None and held.state is State.EXPIRED


async def test_a_clock_that_is_set_forward_ends_it(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    office.clock.now += 86400
    with pytest.raises(VoteRefused, match="expired"):
        await office.desk.decide("a1", person(), make_vote(asked, person()))


async def test_after_a_restart_it_is_there_as_it_was(
    office: Office, draft: Draft, make_vote: Says, clock: Clock
) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.ask(draft("a2"), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    again = desk_of(office.store, clock)
    found = again.desk.find("print-a1")
    assert found is not None and found.state is State.APPROVED
    assert again.desk.pending == 1
    assert await again.desk.use("a1", "r9")
    await again.desk.close()


async def test_after_a_restart_time_goes_on(office: Office, draft: Draft, clock: Clock) -> None:
    await office.desk.ask(draft(), **MANY)
    clock.now -= 86400  # the clock of the new start is a day behind
    again = desk_of(office.store, clock)
    clock.pass_(900)
    await again.desk.sweep()
    held = again.desk.get("a1")
    assert held is not None and held.state is State.EXPIRED
    await again.desk.close()


async def test_what_is_over_leaves_for_the_recording(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person(), "deny", reason="No."))
    assert office.desk.find("print-a1") is not None
    office.clock.pass_(KEPT)
    await office.desk.sweep()
    assert (office.desk.get("a1"), office.desk.find("print-a1"), office.store.rows) == (None, None, {})
    ((kind, details),) = office.kept
    assert (kind, details["step"], details["votes"][0]["reason"]) == ("approval", "closed", "No.")
    assert "shown" not in details  # the request has a record of its own, and rules say what is in it


async def test_a_store_that_fails_lets_nothing_through(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    office.store.fails = True
    with pytest.raises(StoreUnavailable):
        await office.desk.use("a1", "r1")
    office.store.fails = False
    with pytest.raises(StoreUnavailable):  # until it has been read anew
        await office.desk.use("a1", "r1")
    await office.desk.sweep()
    assert await office.desk.use("a1", "r1")


async def test_a_failed_ask_holds_nothing(office: Office, draft: Draft) -> None:
    office.store.fails = True
    asked = await asyncio.gather(
        *(office.desk.ask(draft(f"a{n}", fingerprint="same"), **MANY) for n in range(3)), return_exceptions=True
    )
    assert all(isinstance(each, StoreUnavailable) for each in asked)
    assert office.desk.pending == 0


async def test_a_grant_lets_the_same_caller_past_the_rule(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person(), grant=600.0))
    (grant,) = office.desk.grants()
    assert (grant.rule, grant.until - grant.since) == (BIG.rule, 600.0)
    assert office.desk.granted(AGENT, BIG, "crm", "gb1") == grant
    others = [
        office.desk.granted(Principal(ISSUER, "agent-8", ("support",), 2e6), BIG, "crm", "gb1"),
        office.desk.granted(Principal(ISSUER, "agent-7", ("support", "admin"), 2e6), BIG, "crm", "gb1"),
        office.desk.granted(Principal("https://other.example", "agent-7", ("support",), 2e6), BIG, "crm", "gb1"),
        office.desk.granted(AGENT, Hold("support/other", "d1"), "crm", "gb1"),
        office.desk.granted(AGENT, BIG, "wiki", "gb1"),
        office.desk.granted(AGENT, BIG, "crm", "changed"),
    ]
    assert others == [None] * 6
    office.clock.pass_(600)
    assert office.desk.granted(AGENT, BIG, "crm", "gb1") is None
    await office.desk.sweep()
    assert not any(each.id == grant.id for each in office.store.rows.values())


async def test_a_grant_is_as_short_as_any_of_those_who_gave_it_says(
    office: Office, draft: Draft, make_vote: Says
) -> None:
    hold = Hold("support/big", "d", quorum=2, approvers=("finance",), max_grant=3600.0)
    asked = await office.desk.ask(draft(holds=(hold,)), **MANY)
    await office.desk.decide("a1", person("fiona"), make_vote(asked, person("fiona"), grant=3600.0))
    await office.desk.decide("a1", person("felix"), make_vote(asked, person("felix")))
    assert office.desk.grants() == []


async def test_a_grant_asked_for_ahead(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(ahead=1800.0, action=("", "")), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    (grant,) = office.desk.grants()
    assert grant.until - grant.since == 1800.0
    used = office.desk.get("a1")
    assert used is not None and used.state is State.USED


async def test_a_grant_ends_when_somebody_else_says_so(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person(), grant=600.0))
    (grant,) = office.desk.grants()
    with pytest.raises(VoteRefused):
        await office.desk.end_grant(grant.id, AGENT, "mine")
    with pytest.raises(VoteRefused):
        await office.desk.end_grant(grant.id, person("sam", "support"), "not theirs")
    await office.desk.end_grant(grant.id, person("felix"), "enough")
    assert office.desk.granted(AGENT, BIG, "crm", "gb1") is None
    with pytest.raises(VoteRefused):
        await office.desk.end_grant(grant.id, person("felix"), "again")


async def test_what_is_revoked_ends_what_was_given(office: Office, draft: Draft, make_vote: Says) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person(), grant=600.0))
    await office.desk.ask(draft("a2"), **MANY)
    office.desk.note_revoked(lambda principal, target: principal.subject == "agent-7" and target == "crm")
    await office.desk.end_noted()
    states = {each.id: each.state for each in office.desk.approvals()}
    assert states == {"a1": State.CANCELLED, "a2": State.CANCELLED}
    assert office.desk.grants() == []


@pytest.mark.parametrize("revoked", ["fiona", "jti-f"])
async def test_what_somebody_approved_ends_once_they_are_revoked(
    office: Office, draft: Draft, make_vote: Says, revoked: str
) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person(), grant=600.0, token_id="jti-f"))
    await office.desk.ask(draft("a2"), **MANY)
    office.desk.note_revoked(lambda principal, _: revoked in (principal.subject, principal.token_id))
    await office.desk.end_noted()
    states = {each.id: each.state for each in office.desk.approvals()}
    assert states == {"a1": State.CANCELLED, "a2": State.PENDING}
    assert office.desk.grants() == []


async def test_a_grant_that_is_gone_does_not_come_back_by_being_used(
    office: Office, draft: Draft, make_vote: Says
) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person(), grant=600.0))
    (grant,) = office.desk.grants()
    with pytest.raises(VoteRefused):
        await office.desk.end_grant(grant.id, person("sam", "support"), "not theirs")
    await office.desk.end_grant(grant.id, person("felix"), "enough")
    await office.desk.sweep()
    office.desk.use_grant(grant, "r1")
    assert office.desk.grants() == []


async def test_whoever_watches_sees_each_change(office: Office, draft: Draft, make_vote: Says) -> None:
    watcher = office.desk.watch()
    asked = await office.desk.ask(draft(), **MANY)
    await office.desk.decide("a1", person(), make_vote(asked, person()))
    seen = [await watcher.next(1), await watcher.next(1)]
    assert [each.state for each in seen if each] == [State.PENDING, State.APPROVED]
    office.desk.unwatch(watcher)
    await office.desk.cancel("a1", "enough")
    assert await watcher.next(0.01) is None


async def test_changes_that_come_at_once_wait_for_the_disk_together(office: Office, draft: Draft) -> None:
    await asyncio.gather(*(office.desk.ask(draft(f"a{number}"), **MANY) for number in range(50)))
    assert office.store.syncs <= 3


async def test_what_is_due_at_once_waits_for_the_disk_together(office: Office, draft: Draft) -> None:
    await asyncio.gather(*(office.desk.ask(draft(f"a{number}"), **MANY) for number in range(50)))
    syncs = office.store.syncs
    office.clock.pass_(900)
    await office.desk.sweep()
    assert {each.state for each in office.desk.approvals()} == {State.EXPIRED}
    office.clock.pass_(KEPT)
    await office.desk.sweep()
    assert (office.desk.approvals(), office.store.rows) == ([], {})
    assert office.store.syncs <= syncs + 4


async def test_what_could_not_be_ended_is_tried_again(office: Office, draft: Draft) -> None:
    await asyncio.gather(*(office.desk.ask(draft(f"a{number}"), **MANY) for number in range(3)))
    office.clock.pass_(900)
    office.store.fails = True
    with pytest.raises(StoreUnavailable):
        await office.desk.sweep()
    office.store.fails = False
    await office.desk.sweep()
    assert {each.state for each in office.desk.approvals()} == {State.EXPIRED}


async def test_a_kill_is_a_denial(office: Office, draft: Draft) -> None:
    await office.desk.ask(draft(), **MANY)
    await office.desk.kill("a1", "killed in mitmweb")
    killed = office.desk.get("a1")
    assert killed is not None and (killed.state, killed.outcome) == (State.DENIED, "killed in mitmweb")


async def test_whom_it_was_shown_is_noted_once(office: Office, draft: Draft) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    for subject in ("fiona", "felix", "fiona"):
        office.desk.show(asked, person(subject), "page", "127.0.0.1")
    shown = [details["to"]["subject"] for _, details in office.notes if details["step"] == "shown"]
    assert shown == ["fiona", "felix"]


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        pytest.param({"most": 1000, "most_of_one": 2}, 8, id="of-one"),
        pytest.param({"most": 3, "most_of_one": 100}, 12, id="in-all"),
    ],
)
async def test_what_is_over_counts_for_a_while(office: Office, draft: Draft, limits: dict[str, int], kept: int) -> None:
    """Nobody fills the memory by asking for what is over soon."""
    for number in range(kept):
        await office.desk.ask(draft(f"a{number}"), **limits)
        await office.desk.cancel(f"a{number}", "over")
    with pytest.raises(TooManyHeld):
        await office.desk.ask(draft("more"), **limits)
    office.clock.pass_(KEPT)
    await office.desk.sweep()
    await office.desk.ask(draft("more"), **limits)


async def test_what_is_shown_has_a_limit_in_all(office: Office, draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "BYTES", 100)
    await office.desk.ask(draft("a1", shown=Shown(body="x" * 60)), **MANY)
    with pytest.raises(TooManyHeld):
        await office.desk.ask(draft("a2", shown=Shown(body="x" * 60)), **MANY)


async def test_what_was_revoked_is_ended_once_the_store_is_back(office: Office, draft: Draft) -> None:
    await office.desk.ask(draft(), **MANY)
    office.store.fails = True
    office.desk.note_revoked(lambda principal, target: principal.subject == "agent-7")
    with pytest.raises(StoreUnavailable):
        await office.desk.end_noted()
    office.store.fails = False
    await office.desk.sweep()
    ended = office.desk.get("a1")
    assert ended is not None and ended.state is State.CANCELLED


async def test_what_is_revoked_is_void_before_the_store_says_so(office: Office, draft: Draft, make_vote: Says) -> None:
    """It may be lifted again before the disk has taken that it ended."""
    for approval_id, grant in (("a1", 0.0), ("a2", 600.0)):
        asked = await office.desk.ask(draft(approval_id), **MANY)
        await office.desk.decide(approval_id, person(), make_vote(asked, person(), grant=grant))
    office.desk.note_revoked(lambda principal, target: principal.subject == "agent-7")
    assert office.desk.granted(AGENT, BIG, "crm", "gb1") is None
    assert office.desk.grants() == []
    assert not await office.desk.use("a1", "r1")
    ended = office.desk.get("a1")
    assert ended is not None and ended.state is State.CANCELLED


async def test_nobody_decides_what_was_asked_by_somebody_who_is_revoked(
    office: Office, draft: Draft, make_vote: Says
) -> None:
    asked = await office.desk.ask(draft(), **MANY)
    office.desk.note_revoked(lambda principal, target: principal.subject == "agent-7")
    with pytest.raises(VoteRefused):
        await office.desk.decide("a1", person(), make_vote(asked, person()))


async def test_grants_that_are_being_written_end_too(office: Office, draft: Draft, make_vote: Says) -> None:
    holds = (BIG, replace(BIG, rule="support/late"))
    asked = await office.desk.ask(draft(holds=holds, grantable=(("support/big", "b1"), ("support/late", "b2"))), **MANY)
    deciding = asyncio.ensure_future(office.desk.decide("a1", person(), make_vote(asked, person(), grant=600.0)))
    await office.desk.changed(asked, 5.0)
    office.desk.note_revoked(lambda principal, target: principal.subject == "agent-7")
    await office.desk.end_noted()
    await deciding
    assert office.desk.grants() == []
    await office.desk.end_noted()
    made = [each for each in office.store.rows.values() if isinstance(each, Grant)]
    assert [each.outcome for each in made] == ["revoked", "revoked"]
