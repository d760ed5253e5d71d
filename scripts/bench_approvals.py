"""What approvals cost: from a decision to the first byte at the target, and what a request without a hold costs while
thousands wait for a person. Two gateways are measured in turns: nothing is pending at one, thousands at the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from lockgate.identity import dev

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
APPROVERS = "lockgate-approvals"
TARGET = "http://target.example"
DECISION_GOAL = 20.0  # ms, of 95 in 100
HELD, PENDING, ROUNDS, REQUESTS, AT_ONCE = 100, 5000, 8, 150, 32

RULES = """\
role: agent
rules:
  - {id: read, allow: GET target /read, mask: {$..email: redact}}
  - {id: write, hold: POST target /write, approvers: [person]}
"""


@dataclass
class Target:
    """Answers at once, and notes when each request began to arrive."""

    port: int = 0
    arrived: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b'{"id": 42, "email": "ada.marsh@customer.example"}'
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        try:
            while first := await reader.read(1):
                self.arrived.append(time.perf_counter())
                request = first + await reader.readuntil(b"\r\n\r\n")
                length = next((int(each[15:]) for each in request.lower().split(b"\r\n") if each[:15] == LENGTH), 0)
                await reader.readexactly(length)
                writer.write(head + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway is done
        finally:
            writer.close()


LENGTH = b"content-length:"


@dataclass
class Gateway:
    """One gateway, its process and its two ports."""

    home: Path
    port: int
    page: int
    process: subprocess.Popen[bytes]

    def token(self, role: str, subject: str, audience: str = "lockgate") -> str:
        return dev.mint(self.home / "state", [role], 86400, time.time(), subject=subject, audience=audience)

    def agent(self, subject: str = "agent") -> httpx.AsyncClient:
        proxy = httpx.Proxy(f"http://127.0.0.1:{self.port}", auth=("agent", self.token("agent", subject)))
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        return httpx.AsyncClient(proxy=proxy, trust_env=False, timeout=120, limits=limits)

    def approver(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.token('person', 'person', APPROVERS)}"}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.page}", headers=headers, trust_env=False, timeout=60)

    @property
    def memory(self) -> float:
        """MiB that it has in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@dataclass
class Report:
    """Times in milliseconds, memory in MiB; `missed` are the goals that were."""

    decision_p50: float
    decision_p95: float
    without_p50: float
    with_pending_p50: float
    spread: float
    hold_with_pending_p50: float
    memory: float
    memory_with_pending: float
    pending: int
    missed: list[str]


@contextmanager
def gateway(home: Path, target: int) -> Iterator[Gateway]:
    port, page = free_port(), free_port()
    rules = home / "rules"
    (rules / "roles").mkdir(parents=True)
    approvals = f"{{listen: '127.0.0.1:{page}', dev: true, timeout: 1h, pending: 9999, per_principal: 9999}}"
    (rules / "gateway.yaml").write_text(f"issuers: [{{dev: true}}]\napprovals: {approvals}\n")
    dial = f"connect: '127.0.0.1:{target}', private: true"
    (rules / "targets.yaml").write_text(f"targets:\n  target: {{url: {TARGET}, {dial}}}\n")
    (rules / "roles" / "agent.yaml").write_text(RULES)
    command = [str(BIN / "mitmdump"), "-q", "-s", str(ROOT / "addons" / "main.py"), "-p", str(port)]
    places = {"rules": rules, "recordings": home / "recordings", "state": home / "state"}
    for name, place in places.items():
        command += ["--set", f"lockgate_{name}={place}"]
    command += ["--set", f"confdir={home / 'ca'}"]
    log = (home / "log").open("wb")
    process = subprocess.Popen(command, cwd=home, env={"PATH": os.environ["PATH"]}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not (listens(port) and listens(page)):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the gateway did not start:\n{(home / 'log').read_text()}")
            time.sleep(0.05)
        yield Gateway(home, port, page, process)
    finally:
        process.terminate()
        process.wait(60)
        log.close()


async def decisions(made: Gateway, target: Target) -> list[float]:
    """How long it takes from each decision to the first byte at the target."""
    found = []
    async with made.agent() as agent, made.approver() as approver:
        for number in range(HELD):
            sent = asyncio.create_task(agent.post(f"{TARGET}/write", json={"decided": number}))
            pending: list[dict[str, str]] = []
            while not pending:
                pending = (await approver.get("/api/approvals?state=pending")).json()["approvals"]
            one = (await approver.get(f"/api/approvals/{pending[0]['id']}")).json()
            target.arrived.clear()
            decision = {"decision": "approve", "digest": one["digest"]}
            begin = time.perf_counter()
            (await approver.post(f"/api/approvals/{one['id']}", json=decision)).raise_for_status()
            (await sent).raise_for_status()
            found.append((target.arrived[0] - begin) * 1000)
    return found


async def hold(made: Gateway, count: int) -> list[float]:
    """Have so many requests wait for a person; how long each took to be told so."""
    found: list[float] = []
    numbers = iter(range(count))

    async def ask(agent: httpx.AsyncClient) -> None:
        for number in numbers:
            begin = time.perf_counter()
            body = {"held": number, "pad": "x" * 1000}
            reply = await agent.post(f"{TARGET}/write", json=body, headers={"Prefer": "respond-async"})
            if reply.status_code != 202:
                sys.exit(f"a request was not held: {reply.status_code} {reply.text}")
            found.append((time.perf_counter() - begin) * 1000)
            if number % 1000 == 0:
                progress(f"{number:,} of {count:,} are held")

    async with made.agent("waits") as agent:
        await asyncio.gather(*(ask(agent) for _ in range(AT_ONCE if count > AT_ONCE else 1)))
    return found


async def reads(agent: httpx.AsyncClient) -> float:
    """The median of some requests without a hold, one after the other."""
    found = []
    for _ in range(REQUESTS):
        begin = time.perf_counter()
        (await agent.get(f"{TARGET}/read")).raise_for_status()
        found.append((time.perf_counter() - begin) * 1000)
    return statistics.median(found)


async def measure(idle: Gateway, full: Gateway, target: Target) -> Report:
    progress("decisions ...")
    decided = sorted(await decisions(idle, target))
    memory = full.memory
    await hold(full, PENDING)
    progress("requests without a hold ...")
    without, beside = [], []
    async with idle.agent() as first, full.agent() as second:
        await reads(first), await reads(second)
        for _ in range(ROUNDS):
            without.append(await reads(first))
            beside.append(await reads(second))
    more = await hold_more(full)
    spread = max(max(without) - min(without), max(beside) - min(beside))
    report = Report(
        decision_p50=statistics.median(decided),
        decision_p95=decided[int(len(decided) * 0.95)],
        without_p50=statistics.median(without),
        with_pending_p50=statistics.median(beside),
        spread=spread,
        hold_with_pending_p50=statistics.median(more),
        memory=memory,
        memory_with_pending=full.memory,
        pending=PENDING,
        missed=[],
    )
    if report.decision_p95 > DECISION_GOAL:
        report.missed.append("decision")
    if report.with_pending_p50 - report.without_p50 > report.spread:
        report.missed.append("pending")
    return report


async def hold_more(made: Gateway) -> list[float]:
    """How long it takes to hold one more, one after the other."""
    found = []
    async with made.agent("another") as agent:
        for number in range(50):
            begin = time.perf_counter()
            headers = {"Prefer": "respond-async"}
            (await agent.post(f"{TARGET}/write", json={"more": number}, headers=headers)).raise_for_status()
            found.append((time.perf_counter() - begin) * 1000)
    return found


async def run() -> Report:
    target = Target()
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0)
    target.port = server.sockets[0].getsockname()[1]
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (home / "idle").mkdir()
        (home / "full").mkdir()
        idle, full = (stack.enter_context(gateway(home / name, target.port)) for name in ("idle", "full"))
        return await measure(idle, full, target)


def show(report: Report) -> None:
    table = Table(title="Approvals")
    for heading in ("", "measured", "goal", ""):
        table.add_column(heading, justify="left" if not heading else "right")

    def verdict(name: str) -> str:
        return "missed" if name in report.missed else "met"

    goal = f"p95 under {DECISION_GOAL:.0f} ms"
    decided = f"p50 {report.decision_p50:.1f} ms, p95 {report.decision_p95:.1f} ms"
    table.add_row("from a decision to the first byte at the target", decided, goal, verdict("decision"))
    table.add_row("a request without a hold, nothing pending", f"p50 {report.without_p50:.2f} ms", "", "")
    measured = f"p50 {report.with_pending_p50:.2f} ms"
    within = f"the same, within {report.spread:.2f} ms"
    table.add_row(f"the same, {report.pending:,} pending", measured, within, verdict("pending"))
    table.add_row("to hold one more then", f"p50 {report.hold_with_pending_p50:.1f} ms", "", "")
    memory = f"{report.memory:.0f} MiB, then {report.memory_with_pending:.0f} MiB"
    table.add_row("memory without and with them", memory, "", "")
    console = Console(width=120, highlight=False)
    console.print(table)
    console.print("Two gateways in turns; the margin is the largest spread of either one's rounds.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench approvals", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    report = asyncio.run(run())
    if options.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        show(report)
    return int(bool(report.missed))


if __name__ == "__main__":
    sys.exit(main())
