"""Measures what recording costs, and what is done with recordings: verifying, deciding anew, listing.

Started by `scripts/bench`. Records are made by the stages as the gateway makes them, and written by its own recorder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from mitmproxy import http
from mitmproxy.test import tflow
from rich.console import Console
from rich.table import Table

from lockgate.exchange import Exchange, exchange
from lockgate.identity.presented import Presented
from lockgate.model import Principal
from lockgate.policy.authorize import authorize
from lockgate.policy.load import load
from lockgate.recordings.chain import START, seal
from lockgate.recordings.generations import keep
from lockgate.recordings.recorder import Recorder
from lockgate.recordings.tnetstring import dumps
from lockgate.runtime import Runtime
from lockgate.stages.read import Read
from lockgate.stages.record import Record

RULES = Path("rules")
CLOCK = datetime(2026, 11, 1, 12, tzinfo=UTC)
ANSWER = json.dumps({"id": 7, "name": "Ann", "contacts": [{"name": "Bob", "email": "[redacted]"}]}).encode()
TIMES = 2000  # of each call that is timed
ROUNDS = 5  # the quietest counts, for others use the machine too
LISTED, DECIDED, LARGE = 100_000, 20_000, 200
DURABLE, AT_ONCE = 4000, 64
GENERATION = load(RULES)


@dataclass(frozen=True, slots=True)
class Measured:
    """One number; the goal is that it is at most, or with `least` at least, that. None where there is no goal."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    least: bool = False

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.least else self.value <= self.goal


def flow_of(number: int, *, refund: bool = True) -> tuple[http.HTTPFlow, Exchange]:
    """A refund that two rules with conditions are about, or a read without any; read and decided, with its answer."""
    body = json.dumps({"amount": 10 + number % 400, "currency": "EUR", "order": f"o-{number}"}).encode()
    fields = {"Host": "api.crm.example", "User-Agent": "agent/1.0", "Accept": "application/json"}
    flow = tflow.tflow(req=http.Request.make("GET", "https://api.crm.example/v1/customers/42"))
    if refund:
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        flow = tflow.tflow(req=http.Request.make("POST", "https://api.crm.example/v1/refunds", body))
    flow.id = f"{number:08d}-0000-4000-8000-000000000000"
    flow.request.headers = http.Headers([(name.encode(), value.encode()) for name, value in fields.items()])
    flow.client_conn.sni = "api.crm.example"
    found = exchange(flow)
    found.session.tunnel, found.form = ("api.crm.example", 443), "origin"
    found.generation = GENERATION
    found.presented = Presented("header.claims.signature-of-forty-characters-at-least", "")
    found.principal = Principal("https://login.example", "agent-7", ("support",), 2e9, "token-7")
    reading = Read()
    reading.requestheaders(flow)
    asyncio.run(reading.request(flow))
    assert found.facts is not None
    found.decided_at = CLOCK
    found.decision = authorize(GENERATION.policy, found.principal, found.actions, found.facts, CLOCK)
    flow.response = http.Response.make(200, ANSWER, {"content-type": "application/json"})
    found.masked = found.sent = True
    found.timings = dict.fromkeys(("Identify", "Limit", "Read", "Decide", "Inject", "Mask", "Record", "Seal"), 0.1)
    return flow, found


def stage() -> Record:
    runtime = SimpleNamespace(hash_key=b"k" * 32, current=SimpleNamespace(generation=GENERATION))
    return Record(cast("Runtime", runtime))


def on_the_loop() -> list[Measured]:
    """What the loop does for one request: the intent with its serialisation, and the record without it."""
    recording = stage()
    measured = []
    for name, refund in (("a read", False), ("a body that two conditions read", True)):
        flow, found = flow_of(1, refund=refund)
        intent = quietest(lambda: dumps(recording.make_state(flow, found, shows_answer=False, is_over=False)))  # noqa: B023
        record = quietest(lambda: recording.make_state(flow, found, shows_answer=True, is_over=True))  # noqa: B023
        measured.append(Measured(f"on the loop, {name}", intent + record, "us", goal=250.0))
    return measured


def quietest(call: Callable[[], object]) -> float:
    """Processor time of one call, in microseconds."""
    found = []
    for _ in range(ROUNDS):
        begun = time.thread_time()
        for _ in range(TIMES):
            call()
        found.append((time.thread_time() - begun) / TIMES * 1e6)
    return min(found)


async def durable(directory: Path, states: list[dict[str, Any]]) -> Measured:
    """Requests a second whose intent and record are durable, so many at once."""
    recorder = Recorder(directory)
    recorder.start({})
    left = iter(range(DURABLE))

    async def asking(state: dict[str, Any]) -> None:
        for number in left:
            own = {**state, "id": f"{number}"}
            await recorder.intent(own["id"], own)
            recorder.sending(own["id"])
            recorder.finish(own["id"], own, "done")

    begun = time.monotonic()
    await asyncio.gather(*map(asking, states))
    recorder.close()
    return Measured(f"records with fsync, {AT_ONCE} at once", DURABLE / (time.monotonic() - begun), "/s")


def recorded(count: int) -> list[dict[str, Any]]:
    """What the stage makes of so many requests."""
    return [stage().make_state(*flow_of(number), shows_answer=True, is_over=True) for number in range(count)]


def written(directory: Path, count: int, body: bytes | None = None) -> int:
    """A recording of so many requests, as the gateway's own writer leaves it; its bytes."""
    directory.mkdir(mode=0o700, parents=True)
    keep(directory, GENERATION.id, GENERATION.files)
    kinds = recorded(min(count, 50))
    link, size = START, 0
    with (directory / "2026-11-22T000000Z-0001.mitm").open("wb") as out:
        for number in range(count):
            state = {**kinds[number % len(kinds)], "id": f"{number:08d}-0000-4000-8000-000000000000"}
            if body is not None:
                state["response"] = {**state["response"], "content": body}
            data, link = seal(state, link)
            size += out.write(data)
    return size


def command(*arguments: object) -> tuple[float, float]:
    """Seconds that a `lockgate` command took, and those of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    took = time.monotonic() - begun
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        sys.exit(f"lockgate {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(say: Callable[[str], None]) -> Iterator[Measured]:
    with workplace() as place:
        say("on the loop")
        yield from on_the_loop()
        say("durable records")
        yield asyncio.run(durable(place / "durable", recorded(AT_ONCE)))
        say("verifying")
        size = written(place / "small", DECIDED)
        took = min(command("recordings", "verify", place / "small")[1] for _ in range(2))
        yield Measured("verify, 3 KB records", size / took / 1e6, "MB/s")
        yield Measured("verify, 3 KB records", DECIDED / took, "/s")
        size = written(place / "large", LARGE, b"x" * 1_000_000)
        took = min(command("recordings", "verify", place / "large")[1] for _ in range(2))
        yield Measured("verify, 1 MB records", size / took / 1e6, "MB/s")
        say("deciding anew")
        took = min(command("whatif", RULES, place / "small")[1] for _ in range(2))
        yield Measured("whatif, on one core", DECIDED / took, "flows/s", goal=2000.0, least=True)
        say(f"listing {LISTED:,}")
        written(place / "many", LISTED)
        yield Measured("index of 100,000, made", command("recordings", "list", place / "many")[0], "s")
        wanted = ("recordings", "list", "--verdict", "allow", "--role", "support", place / "many")
        yield Measured("list of 100,000", min(command(*wanted)[0] for _ in range(3)), "s", goal=2.0)


@contextmanager
def workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as place:
        yield Path(place)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench recordings", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    as_json = parser.parse_args().json
    progress = Console(stderr=True)
    found = list(measure(lambda what: progress.print(f"[dim]{what}[/dim]")))
    if as_json:
        print(json.dumps([asdict(each) | {"met": each.met} for each in found], indent=2))
    else:
        table = Table("what", "measured", "goal", "", box=None, pad_edge=False)
        for each in found:
            sign = ">=" if each.least else "<="
            goal = f"{sign} {each.goal:g} {each.unit}" if each.goal is not None else ""
            verdict = {True: "met", False: "missed", None: ""}[each.met]
            table.add_row(each.name, f"{each.value:,.2f} {each.unit}", goal, verdict)
        Console().print(table)
    return 1 if any(each.met is False for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
