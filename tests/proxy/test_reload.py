"""What is in force after a turn, what is said and what is recorded: with real rules and recordings, without a proxy."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Queue
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from lockgate.errors import RecordingUnavailable, RulesInvalid
from lockgate.proxy import looks, reload
from lockgate.proxy.reload import INTERVAL, RETRY, Reload
from lockgate.recordings.files import RecordFile, in_order
from lockgate.recordings.verify import verify
from lockgate.runtime import InForce, Runtime

RULES = {
    "gateway.yaml": "issuers:\n  - dev: true\n",
    "targets.yaml": "targets:\n  crm: {url: https://api.crm.example}\n",
    "roles/support.yaml": "role: support\nrules:\n  - id: read\n    allow: GET crm /v1\n",
}
NEW = RULES["roles/support.yaml"].replace("/v1", "/v2")
BAD = "role: support\nrules: 7\n"
MOVED = "recordings: {dir: elsewhere}\nstate: elsewhere\n"


class Place:
    """A started runtime, its rules and its recordings."""

    def __init__(self, home: Path) -> None:
        self.rules = home / "rules"
        self.recordings = home / "recordings"
        self.runtime = Runtime()
        self.write(RULES)
        self.runtime.start(self.rules, state=str(home / "state"))
        self.first = self.runtime.current

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.rules / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def edit(self, role: str) -> None:
        self.write({"roles/support.yaml": role})

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What was recorded, once the runtime has stopped."""
        self.runtime.stop()
        assert verify(self.recordings).fault is None
        found = [record for path in in_order(self.recordings) for record in RecordFile(path)]
        told = [(one.lockgate["event"], json.loads(one.state["request"]["content"])) for one in found if one.state]
        return [each for each in told if each[0] not in ("start", "stop", "checkpoint")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, logger="lockgate")
    made = Place(tmp_path)
    yield made
    made.runtime.stop()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


async def turns(watch: Reload, count: int = 3) -> list[float]:
    return [await watch.turn() for _ in range(count)]


async def test_generation_and_verifier_change_together(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    watch = Reload(place.runtime)
    await turns(watch)
    assert place.runtime.current is place.first
    place.edit(NEW)
    await turns(watch)
    now = place.runtime.current
    assert now.generation.files["roles/support.yaml"] == NEW.encode()
    assert now.verifier is not place.first.verifier
    assert said(caplog) == [f"Rules reloaded: generation {now.generation.id[:12]}, 1 targets."]
    kept = place.recordings / "generations" / now.generation.id
    assert (kept / "roles/support.yaml").read_text() == NEW
    assert place.events() == [("reload", {"from": place.first.generation.id, "to": now.generation.id})]


async def test_there_and_back(place: Place) -> None:
    watch = Reload(place.runtime)
    for role in (NEW, RULES["roles/support.yaml"], NEW):
        place.edit(role)
        await turns(watch)
        assert place.runtime.current.generation.files["roles/support.yaml"] == role.encode()
    assert [kind for kind, _ in place.events()] == ["reload"] * 3


async def test_what_is_wrong_is_said_and_recorded_once_for_each_content(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Reload(place.runtime)
    refused = [
        f"Rules refused: generation {place.first.generation.id[:12]} stays in force.",
        f"{place.rules}/roles/support.yaml:2:8: a list is needed here: lines that begin with -",
    ]
    place.edit(BAD)
    assert await turns(watch, 6) == [INTERVAL] * 6
    assert said(caplog) == refused
    place.edit(BAD + "\n")
    await turns(watch)
    assert said(caplog) == refused
    await watch.turn(asked=True)
    assert said(caplog) == [f"Rules refused as before: generation {place.first.generation.id[:12]} stays in force."]
    assert place.runtime.current is place.first
    place.edit(RULES["roles/support.yaml"])
    await turns(watch)
    unchanged = [f"Rules not changed: generation {place.first.generation.id[:12]} stays in force."]
    assert said(caplog) == unchanged
    await turns(watch)
    assert said(caplog) == []
    await watch.turn(asked=True)
    assert said(caplog) == unchanged
    noted = {"generation": place.first.generation.id, "count": 1, "problems": refused[1:]}
    assert place.events() == [("reload-refused", noted)] * 2


async def test_text_that_cannot_be_kept_is_not_in_force_until_it_can(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Reload(place.runtime)
    generations = place.recordings / "generations"
    shutil.rmtree(generations)
    generations.write_text("in the way")
    place.edit(NEW)
    assert await turns(watch, 6) == [INTERVAL] + [RETRY] * 5
    assert place.runtime.current is place.first
    first, second = said(caplog)
    assert "stays in force" in first
    assert "cannot be kept" in second
    generations.unlink()
    await turns(watch)
    assert place.runtime.current.generation.files["roles/support.yaml"] == NEW.encode()
    assert [kind for kind, _ in place.events()] == ["reload-refused", "reload"]


async def test_directories_in_use_cannot_be_changed(place: Place) -> None:
    """The state was named on the command line, which goes before the rules: what they say of it changes nothing."""
    files = {name: text.encode() for name, text in RULES.items()}
    with pytest.raises(RulesInvalid) as caught:
        place.runtime.prepare({**files, "gateway.yaml": (RULES["gateway.yaml"] + MOVED).encode()})
    assert str(caught.value) == (
        "gateway.yaml:3:19: recordings.dir cannot change while the gateway runs: "
        "put recordings back, or restart it to take elsewhere"
    )


async def test_a_fault_leaves_what_is_in_force(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(files: object) -> InForce:
        raise RuntimeError("a-secret")

    def other_fault(files: object) -> InForce:
        raise MemoryError

    watch = Reload(place.runtime)
    place.edit(NEW)
    with monkeypatch.context() as patched:
        patched.setattr(place.runtime, "prepare", fault)
        assert await turns(watch, 4) == [INTERVAL, RETRY, RETRY, RETRY]
        assert place.runtime.current is place.first
        _, problem = said(caplog)
        assert "RuntimeError at" in problem
        assert "a-secret" not in problem
        patched.setattr(place.runtime, "prepare", other_fault)
        assert await watch.turn() == RETRY
        assert "MemoryError at" in said(caplog)[1]
    assert await watch.turn() == INTERVAL
    assert place.runtime.current is not place.first


async def test_a_fault_in_looking_leaves_it_too(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(directory: object) -> None:
        raise MemoryError

    watch = Reload(place.runtime)
    await turns(watch)
    with monkeypatch.context() as patched:
        patched.setattr(looks, "stamps", fault)
        assert await turns(watch) == [RETRY] * 3
        kept, problem = said(caplog)
        assert kept == f"Rules refused: generation {place.first.generation.id[:12]} stays in force."
        assert "MemoryError at" in problem
        await watch.turn(asked=True)
        assert len(said(caplog)) == 1
    await turns(watch)
    assert said(caplog) == [f"Rules not changed: generation {place.first.generation.id[:12]} stays in force."]
    place.edit(NEW)
    await turns(watch)
    assert place.runtime.current is not place.first


@pytest.mark.parametrize("name", ["\udcff/x", "\udcff", "roles/\udcff.yaml", "a\nb.yaml"])
async def test_a_name_that_cannot_be_printed_is_refused_on_one_line(
    place: Place, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    watch = Reload(place.runtime)
    place.write({name: ""})
    assert await turns(watch) == [INTERVAL] * 3
    _, problem = said(caplog)
    assert problem.endswith(":1:1: its name is not printable UTF-8: rename it")
    assert problem.isprintable()
    assert [kind for kind, _ in place.events()] == ["reload-refused"]


async def test_nothing_is_decided_by_rules_whose_coming_is_not_durable(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_force: list[InForce] = []
    recorder = place.runtime.recorder

    async def durable(*arguments: Any, durable_event: Any = recorder.durable_event) -> None:
        in_force.append(place.runtime.current)
        await durable_event(*arguments)
        in_force.append(place.runtime.current)

    async def fails(*arguments: object) -> None:
        raise RecordingUnavailable("No space left on device")

    watch = Reload(place.runtime)
    place.edit(NEW)
    monkeypatch.setattr(recorder, "durable_event", fails)
    assert await turns(watch) == [INTERVAL, RETRY, RETRY]
    assert place.runtime.current is place.first
    assert said(caplog)[1:] == ["Their reload cannot be recorded: No space left on device."]
    monkeypatch.setattr(recorder, "durable_event", durable)
    await watch.turn()
    assert in_force == [place.first] * 2
    assert place.runtime.current is not place.first


async def test_it_waits_for_nobody_elses_work(place: Place) -> None:
    """Names are resolved, bodies read and secrets fetched in the threads that the loop lends."""
    done = Event()
    lent = [asyncio.create_task(asyncio.to_thread(done.wait, 30)) for _ in range(40)]
    await asyncio.sleep(0)
    try:
        place.edit(NEW)
        await turns(Reload(place.runtime))
        assert place.runtime.current is not place.first
        assert not done.is_set()
    finally:
        done.set()
        await asyncio.gather(*lent)


async def test_its_thread_ends_with_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "INTERVAL", 0)

    def stamps(directory: object) -> tuple[()]:
        looking.put(current_thread())
        return ()

    looking: Queue[Thread] = Queue()
    monkeypatch.setattr(looks, "stamps", stamps)
    running = asyncio.create_task(Reload(place.runtime).run())
    thread = await asyncio.to_thread(looking.get, timeout=10)
    assert thread.is_alive()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    thread.join(10)
    assert not thread.is_alive()


async def test_nothing_is_put_in_force_once_the_recording_is_closed(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.runtime.stop()
    place.edit(NEW)
    await Reload(place.runtime).turn(asked=True)
    assert place.runtime.current is place.first
    assert "cannot be recorded" in said(caplog)[-1]


async def test_very_many_problems_are_recorded_in_part(place: Place) -> None:
    watch = Reload(place.runtime)
    place.edit(RULES["roles/support.yaml"] + "".join(f"  - id: r{n}\n    allow: GET c{n} /v1\n" for n in range(150)))
    await turns(watch)
    [(_, noted)] = place.events()
    assert (noted["count"], len(noted["problems"])) == (150, 100)


async def test_however_often_it_is_asked_it_looks_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "INTERVAL", 1000)
    watch = Reload(place.runtime)
    looked: list[bool] = []
    done = asyncio.Event()

    async def turn(*, asked: bool = False) -> float:
        looked.append(asked)
        done.set()
        return 1000

    monkeypatch.setattr(watch, "turn", turn)
    running = asyncio.create_task(watch.run())
    for _ in range(100):
        watch.ask()
    await asyncio.wait_for(done.wait(), 5)
    await asyncio.sleep(0)
    running.cancel()
    assert looked == [True]
