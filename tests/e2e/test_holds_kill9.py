"""The gateway is killed, with SIGKILL, at each moment of a hold: an approval is used at most once, and is not lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.approver import until
from harness.gateway import head
from harness.holding import JSON_TYPE, Beside, Holding, MakeHolding, nothing_arrived, problem
from harness.rules import CRM

AT_ONCE = "Prefer: respond-async"

# Stops for ever at a moment that a test names by a file, having said that it is there.
PAUSES = """\
import asyncio
from pathlib import Path

async def stop_at(moment):
    if Path(moment).exists():
        Path(moment + ".reached").touch()
        while Path(moment).exists():
            await asyncio.sleep(0.01)

from lockgate.approvals.desk import Desk
from lockgate.recordings.recorder import Recorder

async def use(self, *arguments, use=Desk.use):
    found = await use(self, *arguments)
    await stop_at("used")
    return found

async def intent(self, *arguments, intent=Recorder.intent):
    await intent(self, *arguments)
    await stop_at("intended")

Desk.use, Recorder.intent = use, intent
"""


def killed_at(here: Holding, moment: str, beside: Beside, token: str) -> None:
    """Kill the gateway once a request has got as far as `moment`."""
    reached = here.gateway.home / f"{moment}.reached"
    (here.gateway.home / moment).touch()

    def send() -> None:
        with here.gateway.tunnel(token) as wire:
            wire.send(head("POST", "/open/json", CRM, JSON_TYPE, body=b'{"amount": 900}'))
            until(reached.exists, f"it has got to {moment}")

    sent = beside(send)
    until(reached.exists, f"it has got to {moment}")
    here.gateway.kill9()
    sent.exception()
    (here.gateway.home / moment).unlink()


def test_while_it_is_held(make_holding: MakeHolding, beside: Beside) -> None:
    here = make_holding()
    seen, token = here.target.watch(), here.agent("held")
    with here.gateway.tunnel(token) as wire:
        wire.send(head("POST", "/open/json", CRM, JSON_TYPE, body=b'{"amount": 900}'))
        (held,) = here.held("held")
        here.gateway.kill9()
    here.gateway.start()
    (found,) = here.held("held")
    assert found["id"] == held["id"]
    told = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    assert told["approval_id"] == held["id"]
    here.approver().approve(held["id"])
    here.gateway.kill9()
    here.gateway.start()
    assert nothing_arrived(seen)
    assert here.send(token).status == 200
    assert len(seen.requests) == 1
    assert here.send(token, "/open/json", 900, AT_ONCE).status == 202


def test_between_a_grant_and_its_next_use(make_holding: MakeHolding) -> None:
    here = make_holding()
    token = here.agent("granted")
    told = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"], grant="10m")
    here.gateway.kill9()
    here.gateway.start()
    assert here.send(token, "/open/json", 901).status == 200


@pytest.mark.parametrize("moment", ["used", "intended"])
def test_between_its_use_and_the_send(
    make_holding: MakeHolding, beside: Beside, script_with: Callable[[str], Path], moment: str
) -> None:
    """Nothing has been sent; it is not sent later either. What the record says is so."""
    here = make_holding(script=script_with(PAUSES))
    seen, token = here.target.watch(), here.agent("unlucky")
    told = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"])
    killed_at(here, moment, beside, token)
    here.gateway.start()
    assert here.approver().one(told["approval_id"])["state"] == "used"
    anew = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    assert anew["approval_id"] != told["approval_id"]
    assert seen.plain == b""
    here.gateway.stop()
    flows = [flow for flow in here.gateway.flows() if flow.metadata["lockgate"].get("approval")]
    by_approval = [flow for flow in flows if flow.metadata["lockgate"]["approval"]["id"] == told["approval_id"]]
    assert len(by_approval) == (1 if moment == "intended" else 0)
    assert all(flow.metadata["lockgate"]["sent"] is False for flow in by_approval)


def test_after_the_send(make_holding: MakeHolding) -> None:
    here = make_holding()
    token = here.agent("slow")
    told = problem(here.send(token, "/open/slow?seconds=20", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"])
    seen = here.target.watch()
    with here.gateway.tunnel(token) as wire:
        wire.send(head("POST", "/open/slow?seconds=20", CRM, JSON_TYPE, body=b'{"amount": 900}'))
        seen.wait_for(1)
        here.gateway.kill9()
    here.gateway.start()
    assert here.send(token, "/open/slow?seconds=20", 900, AT_ONCE).status == 202
    time.sleep(0.2)
    assert len(seen.requests) == 1
    here.gateway.stop()
    told_of = [flow.metadata["lockgate"] for flow in here.gateway.flows() if flow.metadata["lockgate"].get("approval")]
    (record,) = [each for each in told_of if each["approval"]["id"] == told["approval_id"]]
    assert record["repaired"]


def test_the_store_was_tampered_with(make_holding: MakeHolding) -> None:
    """It does not start: whoever put back an older store would use an approval again."""
    here = make_holding()
    told = problem(here.send(here.agent("rolls-back"), "/open/json", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"])
    here.gateway.stop()
    log = here.gateway.state / "approvals.log"
    older = log.read_bytes()
    here.gateway.start()
    assert here.send(here.agent("rolls-back")).status == 200
    here.gateway.stop()
    log.write_bytes(older)
    here.gateway.launch()
    assert here.gateway.wait_exit() == 1
    assert "an older one was put back" in here.gateway.output


def test_the_disk_of_the_store_is_full(make_holding: MakeHolding, script_with: Callable[[str], Path]) -> None:
    full = """
import errno, os
from pathlib import Path
from lockgate.approvals import log

def write_all(descriptor, data, write_all=log.write_all):
    if Path("full").exists():
        raise OSError(errno.ENOSPC, "No space left on device")
    write_all(descriptor, data)

log.write_all = write_all
"""
    here = make_holding(script=script_with(full))
    seen, token = here.target.watch(), here.agent("full")
    told = problem(here.send(token, "/open/json", 900, AT_ONCE), 202)
    here.approver().approve(told["approval_id"])
    (here.gateway.home / "full").touch()
    problem(here.send(token), 503)
    problem(here.send(token, "/open/json", 901, AT_ONCE), 503)
    assert here.approver().say(told["approval_id"], "deny").status_code == 503
    assert nothing_arrived(seen)
    assert here.gateway.ask("GET", "/v1/json", token).status == 200  # what is not held goes on
    (here.gateway.home / "full").unlink()
    until(lambda: here.send(token).status == 200, "it is kept again")
    assert len([each for each in seen.requests if each.target == "/open/json"]) == 1
