"""Kill -9 at any moment loses no request that a target has seen (law 5)."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest

from harness.answers import CRM_TOKEN
from harness.expect import leaks
from harness.gateway import Gateway, MakeGateway, content, head
from harness.rules import CRM
from harness.upstream import RecordingUpstream

ROUNDS = 20
CLIENTS = 4
MARK = re.compile(rb"mark=(\d+)\b")


def load(gateway: Gateway, token: str, marks: count[int], stop: threading.Event) -> None:
    """Send requests, each with a mark of its own, until the gateway is gone."""
    try:
        with gateway.tunnel(token) as wire:
            while not stop.is_set():
                wire.ask(
                    head("POST", f"/v1/json?mark={next(marks)}", CRM, "Content-Type: application/json", body=b"{}")
                )
    except Exception:  # noqa: BLE001 - the connection ends somewhere: that is the point
        return


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_request_is_lost(make_gateway: MakeGateway, crm: RecordingUpstream, token: str) -> None:
    gateway = make_gateway()
    marks = count()
    moment = random.Random(9)
    seen = crm.watch()
    for number in range(ROUNDS):
        gateway.start()
        before = len(seen.requests)
        stop = threading.Event()
        threads = [threading.Thread(target=load, args=(gateway, token, marks, stop)) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        seen.wait_for(before + 1)
        time.sleep(moment.uniform(0, 0.3))
        gateway.kill9()
        stop.set()
        for thread in threads:
            thread.join()
        written = gateway.journal + b"".join(map(content, gateway.dumps()))
        lost = {request.query for request in seen.requests} - {f"mark={int(mark)}" for mark in MARK.findall(written)}
        assert not lost, f"round {number}: the target saw {sorted(lost)}, no record has them"
    gateway.start()
    assert gateway.stop() == 0

    # After the repair at start, stock mitmproxy reads all of it, and every request is a whole flow.
    recorded = {flow.request.path for flow in gateway.flows() if hasattr(flow, "request")}
    assert {request.target for request in seen.requests} <= recorded
    for path in gateway.dumps():
        assert stock_reads(path)
    assert {path.name: leaks(content) for path, content in gateway.traces().items() if leaks(content)} == {}


def test_a_torn_tail_is_repaired(make_gateway: MakeGateway, token: str) -> None:
    gateway = make_gateway().start()
    for number in range(5):
        assert gateway.ask("GET", f"/v1/json?torn={number}", token).status == 200
    gateway.records(5)
    gateway.kill9()
    (dump,) = (path for path in gateway.dumps() if path.stat().st_size)
    whole = dump.read_bytes()
    dump.write_bytes(whole + whole[:100])  # as a kill in the middle of a write leaves it
    gateway.start()
    assert gateway.stop() == 0
    recorded = {flow.request.path for flow in gateway.flows() if hasattr(flow, "request")}
    assert {f"/v1/json?torn={number}" for number in range(5)} <= recorded
    assert all(stock_reads(path) for path in gateway.dumps())


def test_a_request_under_way_is_repaired_to_a_whole_flow(
    make_gateway: MakeGateway, crm: RecordingUpstream, token: str
) -> None:
    gateway = make_gateway().start()
    seen = crm.watch()
    with gateway.tunnel(token) as wire:
        wire.send(head("POST", "/v1/slow?seconds=5", CRM, "Content-Type: application/json", body=b'{"n": 1}'))
        seen.wait_for(1)
        gateway.kill9()
    gateway.start()
    assert gateway.stop() == 0
    (found,) = (flow for flow in gateway.flows() if getattr(flow, "request", None) and "slow" in flow.request.path)
    assert found.request.raw_content == b'{"n": 1}'
    assert found.response is None
    assert found.error is not None
    assert CRM_TOKEN not in str(found.get_state())


def stock_reads(dump: Path) -> bool:
    """Whether mitmdump by itself, with nothing of ours, reads the whole file, as `zstd -d` gives it back."""
    plain = dump.parent / "plain.dump"
    plain.write_bytes(content(dump))
    program = Path(sys.executable).parent / "mitmdump"
    finished = subprocess.run(
        [program, "-n", "-r", plain, "--set", f"confdir={dump.parent}/stock"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return "error" not in finished.stderr.lower()
