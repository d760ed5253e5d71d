"""Shows the main job on real traffic: an agent on the OpenAI Agents SDK, a model, a business API, the gateway between.

Started by `scripts/demo`. Needs no network and no root; everything it writes lies in `.lockgate/demo`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lockgate.identity import dev
from lockgate.recordings.files import in_order, opened

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(EXAMPLES / "demo"))
import certificates  # noqa: E402 - of the demo's own directory

BIN = Path(sys.executable).parent
API, API_PORT = "api.crm.example", 9443  # where rules/targets.yaml has the targets
MODEL, MODEL_PORT = "api.openai.com", 9444
SECRETS = {"CRM_TOKEN": "service-account-secret-7f3a9c", "OPENAI_API_KEY": "sk-the-real-key-51c07d"}
UNMASKED = {"ssn": "536-90-4399", "e-mail": "ada.marsh@customer.example", "card": "4929 4212 3456 7891"}
QUESTION = "Tell me about customer 42."
ORDER = "Pay customer 42 a refund of 750 EUR."
PATIENCE = 300.0  # seconds for the reader to decide
CALLS = [
    ("deletes a customer", f"DELETE https://{API}/v1/customers/42"),
    ("makes a small refund", f'POST https://{API}/v1/refunds {{"amount": 120, "currency": "EUR"}}'),
    ("tries another host", "GET https://elsewhere.example/"),
]
EXPIRED = "with an expired token"
APPROVERS = "lockgate-approvals"  # the audience of approvers' tokens
console = Console(width=110, highlight=False, markup=False)

Event = dict[str, Any]


def main() -> int:
    formatter = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__, formatter_class=formatter)
    parser.add_argument("--keep-running", action="store_true", help="leave targets and gateway running until Ctrl-C")
    parser.add_argument("--interactive", action="store_true", help="you decide about what is held, on the page")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with it
    work = ROOT / ".lockgate" / "demo"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, mode=0o700)
    for port in (API_PORT, MODEL_PORT):
        if in_use(port):
            console.print(
                f"Port {port} is in use, where a target of the demo's listens. Stop what uses it, and run again."
            )
            return 1
    certificates.make([API, MODEL], work / "ca.pem", work / "server.pem")
    port, page = free_port(), free_port()
    prepare_rules(work, page, options.interactive)
    with target("business_api", work, API_PORT), target("model_server", work, MODEL_PORT), gateway(work, port):
        tell_story(work, port)
        ask_a_person(work, port, page, interactive=options.interactive)
        try_the_rest(work, port)
        if options.keep_running:
            console.print(f"\nThe gateway listens on 127.0.0.1:{port}; Ctrl-C ends it.")
            wait_for_interrupt()
    found = search(work)
    look(work)
    return 1 if found else 0


# The story: an agent that reads a customer, and obeys what stands in the customer's notes


def tell_story(work: Path, port: int) -> None:
    events = finished(start_agent(work, port, QUESTION))
    tools = iter([event for event in events if event["event"] == "tool"])
    flows = recorded(work, 6)
    rows = [(step(flow), saw(flow, tools), flow) for flow in flows]
    show("An agent whose own process has a placeholder for a key, and a relay instead of a token", rows, work)
    answer = next(event for event in events if event["event"] == "answer")
    console.print(f"\nThe agent answers ({answer['pieces']} pieces, streamed):\n  {answer['text']}")
    for event in events:
        if event["event"] == "sdk":
            console.print(f"The SDK says of its traces:\n  {event['message']}")


def start_agent(work: Path, port: int, question: str) -> subprocess.Popen[str]:
    agent = EXAMPLES / "openai_agents" / "agent.py"
    given = ["--gateway", f"127.0.0.1:{port}", "--ca", str(ca_bundle(work)), "--state", str(work / "state")]
    identity = ["--role", "support", "--subject", "support-agent", "--rules", str(work / "rules")]
    command = [str(BIN / "lockgate"), "run", *given, *identity, "--", sys.executable, str(agent), question]
    console.print(f'$ lockgate run --role support -- python examples/openai_agents/agent.py "{question}"')
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(agent: subprocess.Popen[str]) -> list[Event]:
    """What an agent has said, once it is done."""
    said, errors = agent.communicate(timeout=120)
    if agent.returncode:
        sys.exit(f"the agent ended with {agent.returncode}:\n{errors}")
    return [json.loads(line) for line in said.splitlines()]


# What needs a person


def ask_a_person(work: Path, port: int, page: int, *, interactive: bool) -> None:
    """A refund that is above the limit: it waits, somebody of finance decides, and the agent's call returns."""
    console.print()
    before = len(recorded(work, 6))
    agent = start_agent(work, port, ORDER)
    token = dev.mint(work / "state", ["finance"], 3600, time.time(), subject="finance-approver", audience=APPROVERS)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{page}", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ) as approver:
        (held,) = until(lambda: approver.get("/api/approvals?state=pending").json()["approvals"], 60, "it is held")
        one = approver.get(f"/api/approvals/{held['id']}").json()
        console.print(f"Held: {held['verb']} {held['target']} {held['resource']}, of {held['requester']['subject']}")
        console.print(f"  {one['request']['body']}")
        console.print(f"  {held['rules'][0]}: {one['holds'][0]['reason']}")
        console.print(f"  http://127.0.0.1:{page}/approvals/{held['id']}")
        if interactive:
            console.print(
                f"Decide there, within {PATIENCE:g} seconds. Sign in with this token of an approver:\n{token}"
            )
        else:
            decision = {"decision": "approve", "digest": one["digest"], "reason": "Ticket 4711"}
            reply = approver.post(f"/api/approvals/{held['id']}", json=decision)
            reply.raise_for_status()
            console.print("Approved by finance-approver, through the API, for the reason: Ticket 4711")
        until(lambda: approver.get(f"/api/approvals/{held['id']}").json()["state"] != "pending", PATIENCE, "decided")
    events = finished(agent)
    tools = iter([event for event in events if event["event"] == "tool"])
    flows = [flow for flow in recorded(work, before + 3)[before:] if flow.request.host == API]
    rows = [("the model lets the agent pay a refund", saw(flow, tools), flow) for flow in flows]
    show("What a person had to approve", rows, work)
    answer = next(event for event in events if event["event"] == "answer")
    console.print(f"\nThe agent answers:\n  {answer['text']}\n")


def until(holds: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `holds` gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            sys.exit(f"Not within {seconds:g} seconds: {what}.")
        time.sleep(0.1)
    return found


def step(flow: HTTPFlow) -> str:
    """What a request was for."""
    if flow.request.path.startswith("/v1/traces"):
        return "the SDK exports its traces"
    if flow.request.host == MODEL:
        return "the agent asks the model"
    return "the model lets the agent " + (
        "export all customers" if "export" in flow.request.path else "read a customer"
    )


def saw(flow: HTTPFlow, tools: Iterator[Event]) -> str:
    """What the agent's process got: of the model, what it wants; of a tool's request, what the tool printed."""
    assert flow.response is not None
    if flow.request.host == API:
        event = next(tools)
        return described(event["status"], event["body"])
    if flow.response.headers.get("content-type") != "text/event-stream":
        return described(flow.response.status_code, flow.response.text or "")
    datas = [
        line.removeprefix("data: ") for line in (flow.response.text or "").splitlines() if line.startswith("data: ")
    ]
    output = json.loads(datas[-1])["response"]["output"][0]
    wants = f"calls {output['name']}" if output["type"] == "function_call" else "answers"
    return f"200, {len(datas)} events as they come\nthe model {wants}"


# The rest: what else an agent may try


def try_the_rest(work: Path, port: int) -> None:
    seen_before = len(recorded(work, 10))
    state = work / "state"
    token = dev.mint(state, ["support"], 3600, time.time(), subject="support-agent")
    expired = dev.mint(state, ["support"], 60, time.time() - 7200, subject="support-agent")
    (work / "tokens").write_text(f"{token}\n{expired}\n")
    seen = client(work, port, token, [call for _, call in CALLS]) + client(work, port, expired, [CALLS[0][1]])
    flows = recorded(work, seen_before + len(seen))[seen_before:]
    labels = [label for label, _ in CALLS] + [EXPIRED]
    rows = [
        (label, described(each["status"], each["body"]), flow)
        for label, each, flow in zip(labels, seen, flows, strict=True)
    ]
    show("The same role, from a client that holds the token itself", rows, work)


def client(work: Path, port: int, token: str, calls: list[str]) -> list[Event]:
    proxy = f"http://agent:{token}@127.0.0.1:{port}"
    given = {"PATH": os.environ["PATH"], "HTTPS_PROXY": proxy, "SSL_CERT_FILE": str(ca_bundle(work))}
    command = [sys.executable, str(EXAMPLES / "demo" / "agent.py")]
    done = subprocess.run(
        command, input="\n".join(calls), env=given, capture_output=True, text=True, check=True, timeout=60
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


# What is shown


def show(title: str, rows: list[tuple[str, str, HTTPFlow]], work: Path) -> None:
    """What the agent saw, what the target got, what the recording says, a row for each request."""
    table = Table(show_lines=True, title=title)
    for heading in ("", "what the agent saw", "what the target received", "what the recording says"):
        table.add_column(heading, overflow="fold")
    for label, agent_saw, flow in rows:
        record = flow.metadata["lockgate"]
        got = received(work, flow) if record["sent"] else "nothing"
        table.add_row(*map(Text, (label, agent_saw, got, explained(record))))
    console.print(table)


def described(status: int, body: str) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return f"{status}\n{body}"
    if "detail" in document:
        return f"{status} {document['title']}\n{document['detail']}\n{document.get('rule', '')}".rstrip()
    return f"{status}\n{json.dumps(document)}"


def received(work: Path, flow: HTTPFlow) -> str:
    """What a target logged of this request: the next of its log that was not shown yet."""
    log, secret = ("model_server", "OPENAI_API_KEY") if flow.request.host == MODEL else ("business_api", "CRM_TOKEN")
    entry = next(logs.setdefault(log, entries(work / f"{log}.jsonl")))
    headers = {name.lower(): value for name, value in entry["headers"].items()}
    assert "proxy-authorization" not in headers
    whose = "the gateway's own" if headers["authorization"] == f"Bearer {SECRETS[secret]}" else "WRONG"
    body = entry["body"] if len(entry["body"]) < 80 else f"{len(entry['body'])} bytes"
    return f"{entry['method']} {entry['path']}\nauthorization: {whose}\n{body}".rstrip()


logs: dict[str, Iterator[Event]] = {}


def entries(log: Path) -> Iterator[Event]:
    with log.open() as lines:
        for line in lines:
            yield json.loads(line)


def explained(record: Event) -> str:
    decision, refusal, principal = record["decision"], record["refusal"], record["principal"]
    lines = []
    if principal:
        lines.append(f"{principal['subject']} as {', '.join(principal['roles'])}")
    if decision:
        lines.append(f"{decision['verdict']} {decision['rule'] or ''}")
    if refusal:
        lines.append(f"refused {refusal['status']}")
    if (approval := record.get("approval")) and approval["id"]:
        lines.append(f"approved, after {approval['waited']:.1f} s")
    if record["masks"]:
        lines.append("masked " + ", ".join(f"{path} x{count}" for path, count in record["masks"].items()))
    if record["injected"]:
        lines.append(f"injected {', '.join(record['injected'])}")
    return "\n".join(lines)


def recorded(work: Path, count: int) -> list[HTTPFlow]:
    """Every recorded request to a target, in order; waits until there are `count`."""
    deadline = time.monotonic() + 10
    while True:
        flows = []
        for file in in_order(work / "recordings"):
            with opened(file) as dump:
                flows += [flow for flow in FlowReader(dump).stream() if isinstance(flow, HTTPFlow)]
        found = [flow for flow in flows if flow.request.host != "lockgate.invalid"]
        if len(found) >= count:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"{len(found)} requests are recorded, not {count}")
        time.sleep(0.1)


def search(work: Path) -> int:
    """Look for what must not be anywhere in what was written: unmasked values, the secrets, the agents' tokens."""
    tokens = (work / "tokens").read_text().split()
    (work / "tokens").unlink()
    wanted = {**UNMASKED, **SECRETS, "the agent's tokens": tokens[0], "expired": tokens[1]}
    places = [work / "recordings", work / "state", work / "gateway.log"]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]
    hits = [(name, file) for name, value in wanted.items() for file in files if value.encode() in file.read_bytes()]
    size = sum(file.stat().st_size for file in files)
    console.print(f"\nSearched {len(files)} files ({size:,} bytes) the gateway wrote for {', '.join(wanted)}:")
    for name, file in hits:
        console.print(f"  FOUND {name} in {file.relative_to(ROOT)}")
    console.print("  nothing found" if not hits else f"  {len(hits)} found")
    return len(hits)


def look(work: Path) -> None:
    where = (work / "recordings").relative_to(ROOT)
    console.print("\nLook at it yourself:")
    console.print(f"  .venv/bin/lockgate recordings list {where}")
    console.print(f"  .venv/bin/lockgate recordings verify {where}")
    console.print(f"  .venv/bin/mitmweb -n -r {where}/*.mitm")


# Processes


def prepare_rules(work: Path, page: int, interactive: bool) -> None:
    """The rules of `rules/`, but for where the approvals page is, since its port may be in use, and for how long a
    reader may take.
    """
    shutil.copytree(ROOT / "rules", work / "rules")
    file = work / "rules" / "gateway.yaml"
    text = file.read_text()
    assert "127.0.0.1:8765" in text
    listen = f"127.0.0.1:{page}" + (f"\n  wait: {PATIENCE:g}s" if interactive else "")
    file.write_text(text.replace("127.0.0.1:8765", listen))


@contextmanager
def target(program: str, work: Path, port: int) -> Iterator[None]:
    log = work / f"{program}.jsonl"
    log.touch()
    command = [sys.executable, str(EXAMPLES / "demo" / f"{program}.py"), str(port), str(work / "server.pem"), str(log)]
    with process(command, work / f"{program}.log", environment() | SECRETS, port):
        yield


@contextmanager
def gateway(work: Path, port: int) -> Iterator[None]:
    command = [str(BIN / "mitmdump"), "-s", "addons/main.py", "-p", str(port)]
    settings = {
        "lockgate_rules": work / "rules",
        "lockgate_recordings": work / "recordings",
        "lockgate_state": work / "state",
        "confdir": work / "ca",
        "ssl_verify_upstream_trusted_ca": work / "ca.pem",
    }
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    console.print(f"$ {' '.join(f'{name}=...' for name in SECRETS)} mitmdump -s addons/main.py")
    with process(command, work / "gateway.log", environment() | SECRETS, port):
        yield


@contextmanager
def process(command: list[str], log: Path, given: dict[str, str], port: int) -> Iterator[None]:
    """A process that listens on `port`, ended on leaving."""
    with log.open("w") as output:
        started = subprocess.Popen(command, cwd=ROOT, env=given, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while not in_use(port):
            if started.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{Path(command[0]).name} did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        started.terminate()
        started.wait(15)


def environment() -> dict[str, str]:
    """Ours, less what would lead the SDK elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "SSLKEYLOGFILE"))}


def ca_bundle(work: Path) -> Path:
    return work / "ca" / "mitmproxy-ca-cert.pem"


def in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
