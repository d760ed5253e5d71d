"""Measures what it costs to read a request in one way only: its head, its content encoding, its body as rules see it.

Started by `scripts/bench`. The stage is asked as the chain asks it, with rules that read every body.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlencode

from mitmproxy import http
from mitmproxy.test import tflow
from rich.console import Console
from rich.table import Table

from lockgate.exchange import exchange
from lockgate.identity.presented import Presented
from lockgate.model import Principal
from lockgate.policy.load import assemble
from lockgate.stages.read import Read

KIB, MIB = 1024, 1024 * 1024
SECONDS = 1.5  # for each row
ROUNDS = 5  # of requests whose stalls are watched; the quietest counts, for others use the machine too
WATCHED = 10  # requests a round
TICK = 0.001  # s
STALL_GOAL = 50.0  # ms

RULES = {
    "gateway.yaml": "issuers:\n  - dev: true\n",
    "targets.yaml": "targets:\n  crm: {url: https://api.crm.example, limits: {request: 4MiB}}\n",
    "roles/support.yaml": (
        "role: support\nrules:\n"
        "  - {id: read, allow: GET crm /v1/**}\n"
        '  - {id: write, allow: POST crm /v1/**, when: body.currency == "EUR"}\n'
    ),
}
GENERATION = assemble({name: text.encode() for name, text in RULES.items()}, Path("/rules"))
WHO = Principal("https://login.example", "agent-7", ("support",), 2e9)
PRESENTED = Presented("header.claims.signature-of-forty-characters-at-least", "")
FIELDS = {"User-Agent": "agent/1.0", "Accept": "application/json", "Accept-Encoding": "gzip, br", "X-Request-Id": "r-7"}


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request. `goal` is in microseconds, None where there is none."""

    name: str
    goal: float | None
    body: bytes = b""
    content_type: str = "application/json"
    coding: str | None = None

    def flow(self) -> http.HTTPFlow:
        """Such a request, as it stands before Read."""
        flow = tflow.tflow(req=http.Request.make("POST" if self.body else "GET", "https://api.crm.example/v1/orders"))
        fields = {"Host": "api.crm.example", **FIELDS}
        if self.body:
            fields |= {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
        if self.coding:
            fields["Content-Encoding"] = self.coding
        flow.request.headers = http.Headers([(name.encode(), value.encode()) for name, value in fields.items()])
        flow.request.raw_content = self.body
        flow.client_conn.sni = "api.crm.example"
        found = exchange(flow)
        found.session.tunnel = ("api.crm.example", 443)
        found.principal, found.presented, found.generation, found.form = WHO, PRESENTED, GENERATION, "origin"
        return flow


@dataclass(frozen=True, slots=True)
class Measured:
    """Processor time of one request in microseconds, on all threads, and the longest stall of the loop in ms."""

    case: str
    micros: float
    stall: float
    goal: float | None

    @property
    def missed(self) -> list[str]:
        return [
            *(["time"] if self.goal is not None and self.micros > self.goal else []),
            *(["stall"] if self.stall > STALL_GOAL else []),
        ]


def document(size: int) -> bytes:
    """An order of about `size` bytes: text, whole numbers, decimals, lists and objects."""
    item = {"sku": "A-100", "name": "Lock gate", "count": 3, "price": 19.9, "tags": ["steel", "blue"], "in_stock": True}
    number = max(1, size // (len(json.dumps(item)) + 2))
    return json.dumps({"currency": "EUR", "items": [item | {"line": line} for line in range(number)]}).encode()


def cases() -> list[Case]:
    form = urlencode({"currency": "EUR", **{f"field-{number}": "value & more" for number in range(40)}}).encode()
    large = document(100 * KIB)
    return [
        Case("no body", 60.0),
        Case("JSON, 1 KiB", 120.0, document(KIB)),
        Case("JSON, 100 KiB", 3_000.0, large),
        Case("JSON, 1 MiB", 30_000.0, document(MIB)),
        Case("form, 1 KiB", None, form, "application/x-www-form-urlencoded"),
        Case("JSON, 100 KiB, gzip", None, gzip.compress(large), coding="gzip"),
    ]


async def read(flow: http.HTTPFlow) -> None:
    stage = Read()
    stage.requestheaders(flow)
    await stage.request(flow)


async def measured(case: Case) -> Measured:
    await read(case.flow())
    return Measured(case.name, await micros(case), min([await stall(case) for _ in range(ROUNDS)]), case.goal)


async def micros(case: Case) -> float:
    """The least that one of many requests took: what else the machine does only adds."""
    best, until = float("inf"), time.monotonic() + SECONDS
    while time.monotonic() < until:
        flow = case.flow()
        begin = time.process_time_ns()
        await read(flow)
        best = min(best, (time.process_time_ns() - begin) / 1000)
    return best


async def stall(case: Case) -> float:
    """The longest time for which the loop did nothing else, in ms, over some requests one after the other."""
    flows, longest, done = [case.flow() for _ in range(WATCHED)], 0.0, False

    async def watch() -> None:
        nonlocal longest
        while not done:
            begin = time.monotonic()
            await asyncio.sleep(TICK)
            longest = max(longest, time.monotonic() - begin - TICK)

    watching = asyncio.create_task(watch())
    for flow in flows:
        await read(flow)
        await asyncio.sleep(0)
    done = True
    await watching
    return longest * 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench read", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    found = []
    for case in cases():
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        found.append(asyncio.run(measured(case)))
    if options.json:
        print(json.dumps([asdict(each) | {"missed": each.missed} for each in found], indent=2))
    else:
        print_table(found)
    return int(any(each.missed for each in found))


def print_table(found: list[Measured]) -> None:
    table = Table(title="To read a request in one way only")
    for heading in ("request", "microseconds", "goal", "longest stall, ms", ""):
        table.add_column(heading, justify="left" if heading in ("request", "") else "right")
    for each in found:
        goal = f"{each.goal:,.0f}" if each.goal is not None else ""
        table.add_row(each.case, f"{each.micros:,.0f}", goal, f"{each.stall:.1f}", ", ".join(each.missed) or "met")
    console = Console(width=100, highlight=False)
    console.print(table)
    console.print(f"Processor time on all threads, the least of many. Goal of a stall: under {STALL_GOAL:.0f} ms.")


if __name__ == "__main__":
    sys.exit(main())
